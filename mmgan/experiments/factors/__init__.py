"""Table 8 and Figure 4: mixing in the true factors of variation."""
