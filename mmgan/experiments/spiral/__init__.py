"""Figures 1 and 2: two spirals through a 2D bottleneck."""
