"""Augmentation: what the discriminator sees, and the classical kind for classifiers."""
