"""The training loop. Start at `loop.py`."""
