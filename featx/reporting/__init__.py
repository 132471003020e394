"""Reports: what runs are worth, on one page."""

from featx.reporting.make import Report, report

__all__ = ["Report", "report"]
