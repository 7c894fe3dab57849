"""Benchmarks for the speed table of the README. `python benchmarks/run.py` measures all of it."""
