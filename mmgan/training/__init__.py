"""Parts that both training loops share. They know no run folder, no scoring and no command line."""
