"""Read labelled images from folders, manifests and arrays; write PNG files."""
