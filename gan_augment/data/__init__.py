"""Readers and splits: whatever a user has becomes `LabelledImages`. Start at `images/reader.py`."""
