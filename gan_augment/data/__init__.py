"""Readers and splits: whatever a user has becomes `Labelled`. Start at `images/reader.py`."""
