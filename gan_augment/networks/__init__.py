"""Networks: encoder, decoder, generators, discriminator, their layers. No losses, no training."""
