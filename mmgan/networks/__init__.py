"""What generators, discriminators and classifiers share."""
