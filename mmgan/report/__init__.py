"""What a run came to, on one page to open and in one table to compare."""

from mmgan.report.comparison import compare
from mmgan.report.page import write_report

__all__ = ["compare", "write_report"]
