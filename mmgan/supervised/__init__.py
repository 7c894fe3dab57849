"""Classifiers trained with Manifold Mixup: loop, held-out results, networks, judges, and the run as a whole."""
