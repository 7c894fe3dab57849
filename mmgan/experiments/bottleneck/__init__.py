"""Figure 5: MNIST through a 2D bottleneck."""
