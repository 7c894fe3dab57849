"""One process among several: Accelerate, signals, the terminal, exit codes."""
