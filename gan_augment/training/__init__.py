"""The training loop. Start with `loop.py`; `images.py` and `tables.py` make the parts it runs."""
