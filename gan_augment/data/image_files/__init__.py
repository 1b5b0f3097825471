"""Image files: listed, scanned, decoded within limits, and written."""
