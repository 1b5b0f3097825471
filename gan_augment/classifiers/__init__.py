"""Classifiers: a small CNN of images, and what a top-up does for classifiers of rows. No GANs."""
