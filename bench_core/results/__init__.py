"""Folders of results over years: what is in them, and one folder from several."""

from bench_core.results.inventory import Held, inventory
from bench_core.results.merge import Merged, merge_results

__all__ = ["Held", "Merged", "inventory", "merge_results"]
