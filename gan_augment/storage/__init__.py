"""Files that survive a crash: atomic writes, verified models, folder locks. Loads no torch."""
