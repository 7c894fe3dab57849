"""GANs whose discriminator is regularised by Manifold Mixup: loop, networks, scores, and the run as a whole."""
