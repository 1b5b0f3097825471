"""Read, group, split and batch data, and plan top-ups. Start at `images/reader.py`."""
