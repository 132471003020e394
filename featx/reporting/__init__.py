"""Reports: what a run is worth, on one page."""
