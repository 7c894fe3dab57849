"""What a run came to, on one page to open and in one table to compare."""

from mmgan.report.page import write_report
from mmgan.report.run_table import compare

__all__ = ["compare", "write_report"]
