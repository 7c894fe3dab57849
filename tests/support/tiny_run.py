"""Flags of a run on digits whose steps take milliseconds."""

TINY = [
    *("--arch", "mlp", "--depth", "null", "--widen-factor", "null", "--widths", "16,12", "--image-size", "8"),
    *("--epochs", "2", "--batch-size", "200", "--validation", "300", "--checkpoint-every", "1", "--log-every", "3"),
]
