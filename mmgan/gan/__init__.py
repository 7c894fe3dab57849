"""GANs whose discriminator is regularised by Manifold Mixup: the loop, networks, scores and the whole run."""
