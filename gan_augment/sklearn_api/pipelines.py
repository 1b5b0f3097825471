"""imbalanced-learn's `Pipeline` and `make_pipeline`, in which a step may change the rows."""

from imblearn.pipeline import Pipeline, make_pipeline

__all__ = ["Pipeline", "make_pipeline"]
