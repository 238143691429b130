"""Formulas: pure functions on arrays, each next to the equation that it computes."""
