"""Theorem 1 and Corollary 1."""
