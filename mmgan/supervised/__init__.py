"""Classifiers trained with Manifold Mixup: the loop, held-out results, networks, judges and the whole run."""
