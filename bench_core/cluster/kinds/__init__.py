"""Kinds of cluster: one module each, whose ``KIND`` has its settings, start and capacity."""
