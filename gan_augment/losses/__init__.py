"""Losses and penalties: logits or gradients in, one scalar out. No networks, no state."""
