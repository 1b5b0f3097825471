"""Changes of images: what the discriminator sees, and classical augmentation for classifiers."""
