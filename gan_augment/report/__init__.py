"""Reports of an evaluation: a page, charts, and text for a terminal. Start at `html.py`.

This package reads the dictionaries of result.json and timings.json and imports no other package.
"""
