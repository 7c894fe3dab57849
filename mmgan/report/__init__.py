"""A run's results: one page to read, and one table to compare runs."""

from mmgan.report.page import write_report
from mmgan.report.run_table import compare

__all__ = ["compare", "write_report"]
