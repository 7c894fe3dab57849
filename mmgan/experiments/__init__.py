"""The paper, experiment by experiment: `mmgan reproduce NAME`."""
