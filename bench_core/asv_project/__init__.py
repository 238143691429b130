"""Projects of asv for people who want their own: configurations, suites and profiles."""

from bench_core.asv_project.write import Written, write_project

__all__ = ["Written", "write_project"]
