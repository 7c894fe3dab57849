"""Appendix E and Figure 8: scores of GANs."""
