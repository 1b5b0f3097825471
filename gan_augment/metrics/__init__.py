"""Formulas over feature arrays (N, d). No networks, no files."""
