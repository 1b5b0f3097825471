"""Networks: encoder, decoder, generators, discriminator and their layers. No losses, no training."""
