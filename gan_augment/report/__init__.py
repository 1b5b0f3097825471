"""The report of an evaluation as one HTML file: result.json in, text out. Knows no other room."""
