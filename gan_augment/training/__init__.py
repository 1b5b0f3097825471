"""The training loop. Start with `loop.py`; `build.py` turns a recipe into the parts it runs."""
