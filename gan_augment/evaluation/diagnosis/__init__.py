"""What generated rows are like beside real ones: figures and pictures, outside the verdict."""
