"""Adversarial losses and penalties. No networks, no state."""
