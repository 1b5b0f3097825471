"""Generators: fit, sample, save, load. `load_model` reads a model of any kind."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from gan_augment.errors import ModelFileError
from gan_augment.input_files import check_there
from gan_augment.kinds import kind_named
from gan_augment.storage.bundle import load_meta

if TYPE_CHECKING:
    from gan_augment.generators.image_gan import ImageGAN
    from gan_augment.generators.tabular_gan import TabularGAN


MODEL = "model.safetensors"
"""The name of the model in the folder of a run."""


def model_path(run: Path) -> Path:
    """Return the file of the model, `run/model.safetensors` or `run`; or raise ModelFileError."""
    run = Path(run)
    check_there(run, "the folder of a run, as `fit` prints")
    file = run / MODEL if run.is_dir() else run
    if not file.exists():
        raise ModelFileError(
            f"{str(run)!r} holds no model yet; expected the folder of a run, which `fit --resume` "
            "finishes."
        )
    return file


def load_model(
    run: str | Path,
    *,
    device: str = "auto",
    threads: int | None = None,
) -> ImageGAN | TabularGAN:
    """Load and verify the model of a run, or a saved model; or raise ModelFileError."""
    from gan_augment.generators.model_file import ModelMeta

    file = model_path(Path(run))
    if kind_named(load_meta(file, schema=ModelMeta).kind).tabular:
        from gan_augment.generators.tabular_gan import TabularGAN

        return TabularGAN.load(file, device=device, threads=threads)
    from gan_augment.generators.image_gan import ImageGAN

    return ImageGAN.load(file, device=device, threads=threads)
