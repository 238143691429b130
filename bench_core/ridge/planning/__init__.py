"""Plans: flops, memory and division of a fit, from its shape alone."""
