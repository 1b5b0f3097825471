"""Synthesizers: fit on labelled data, sample exactly what is asked, save, load."""
