"""What tests share, imported as `tests.support.NAME`: tiny runs, launches, forks, and what results must be."""
