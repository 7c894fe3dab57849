"""Section 3.2, Figures 9 to 12: singular values of hidden states."""
