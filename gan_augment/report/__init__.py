"""The result of an evaluation as a page that one sends to a colleague. Start at `html.py`.

It knows the dictionaries of result.json and timings.json and no other room of the library.
"""
