"""Manifold Mixup next to the regularizers that people use for GANs: docs/reproduction/regularizers-gan.md."""
