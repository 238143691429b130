"""Solvers: the dual and the primal form, each with the same five steps."""
