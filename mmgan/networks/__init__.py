"""Convolutions, initialisation and checks shared by generators, discriminators and classifiers."""
