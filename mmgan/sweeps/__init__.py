"""Grids of runs over settings and seeds: `mmgan sweep FILE.yaml`."""
