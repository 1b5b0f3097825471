"""What fits and samples: `ImageGAN`."""
