"""The process that a run works in: Accelerate, signals, the terminal, exit codes."""
