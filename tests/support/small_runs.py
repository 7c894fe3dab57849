"""Flags of the smallest runs of both trainers, the same for whole, broken and resumed ones."""

CLASSIFIER = [
    *("--arch", "mlp", "--depth", "null", "--widen-factor", "null", "--widths", "16,12", "--image-size", "8"),
    *("--epochs", "2", "--batch-size", "200", "--validation", "300", "--checkpoint-every", "1", "--log-every", "1"),
    *("--mix", "1,pixel", "--ema", "0.5", "--dropout", "0.2", "--batch-norm", "--keep-checkpoints", "1"),
]
"""Two epochs of six steps; the second epoch is the better one, so that `best` is replaced."""

GAN = [
    *("--d-width", "4", "--g-width", "4", "--latent-dim", "8", "--batch-size", "8", "--n-dis", "2", "--ema", "0.9"),
    *("--score-samples", "40", "--is-splits", "2", "--mix", "1,2,pixel", "--sample-every", "2", "--log-every", "3"),
    *("--steps", "6", "--checkpoint-every", "2", "--lr", "0.0004"),
]
UNSCORED = [*GAN, "--score-every", "0"]
