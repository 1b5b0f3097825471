"""Generators: fit, sample, save, load. `load_model` reads a model of any kind."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from gan_augment.errors import ModelFileError
from gan_augment.input_files import check_there
from gan_augment.storage.bundle import MANIFEST, load_meta

if TYPE_CHECKING:
    from gan_augment.generators.image_gan import ImageGAN
    from gan_augment.generators.tabular_gan import TabularGAN


def model_folder(run: Path) -> Path:
    """Return the folder of the model: `run/model`, or `run` itself if it is one.

    Raises ModelFileError where there is none.
    """
    run = Path(run)
    check_there(run, "the folder of a run, as `fit` prints")
    for folder in (run / "model", run):
        if (folder / MANIFEST).exists():
            return folder
    if (run / "config.toml").is_file():
        raise ModelFileError(
            f"the run {str(run)!r} holds no model yet; finish it with `fit --resume` first."
        )
    there = "a folder without a model" if run.is_dir() else "no folder"
    raise ModelFileError(f"{str(run)!r} is {there}; expected the folder of a run, as `fit` prints.")


def load_model(
    run: str | Path,
    *,
    device: str = "auto",
    threads: int | None = None,
    allow_code: bool = False,
) -> ImageGAN | TabularGAN:
    """Load and verify the model of a run, or a saved model; or raise ModelFileError."""
    folder = model_folder(Path(run))
    if load_meta(folder, "model", schema=dict).get("kind") == "table":
        from gan_augment.generators.tabular_gan import TabularGAN

        return TabularGAN.load(folder, device=device, threads=threads)
    from gan_augment.generators.image_gan import ImageGAN

    return ImageGAN.load(folder, device=device, threads=threads, allow_code=allow_code)
