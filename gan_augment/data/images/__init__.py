"""Labelled images in and out: folders, manifests and arrays read, PNG files written."""
