"""The kinds of data: one container of labelled rows, one object per kind that answers for it."""
