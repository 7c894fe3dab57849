"""The skeleton of a run: its folder, checkpoints, data, session and printed lines."""
