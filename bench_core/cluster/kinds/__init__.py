"""Kinds of cluster: one module each, whose ``start`` takes nodes, threads and options."""
