"""What a trained run says of itself, read without torch and without its arrays."""

from __future__ import annotations

from pathlib import Path

from gan_augment.errors import UsageError
from gan_augment.storage.bundle import bundle_sha256, load_meta
from gan_augment.synthesizers import model_folder
from gan_augment.synthesizers.model_file import NAME, ModelMeta, TableMeta

__all__ = [
    "image_facts",
    "model_facts",
    "model_folder",
    "model_sha256",
    "table_facts",
]


def model_facts(run: Path) -> ModelMeta | TableMeta:
    """The description of a run's model, verified: of images or of a table."""
    folder = model_folder(run)
    if load_meta(folder, NAME).get("kind") == "table":
        return load_meta(folder, NAME, schema=TableMeta)
    return load_meta(folder, NAME, schema=ModelMeta)


def image_facts(run: Path) -> ModelMeta:
    """The description of a run on images; UsageError for one on a table."""
    facts = model_facts(run)
    if isinstance(facts, TableMeta):
        raise UsageError(f"the run {str(run)!r} is of a table, and images are asked for")
    return facts


def table_facts(run: Path) -> TableMeta:
    """The description of a run on a table; UsageError for one on images."""
    facts = model_facts(run)
    if isinstance(facts, ModelMeta):
        raise UsageError(f"the run {str(run)!r} is of images, and rows of a table are asked for")
    return facts


def model_sha256(run: Path) -> str:
    """The identity of a run's model, arrays included."""
    return bundle_sha256(model_folder(run))
