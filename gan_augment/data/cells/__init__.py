"""How columns hold their cells: storage, levels, numbers, texts, and Python's own values."""
