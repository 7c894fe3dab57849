"""What the README's speed table is made from: `python benchmarks/run.py` measures all of it."""
