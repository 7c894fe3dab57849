"""The two training loops and what they share. They know no run folder, no scoring and no command line."""
