"""What Python programs and notebooks call: train a GAN, load its generator, score images."""
