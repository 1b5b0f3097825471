"""Fitting on images: `ImageTask`. What tables and images have in common is in `fitting.py`."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from gan_augment.config import FitOptions
from gan_augment.data.contract import LabelledImages
from gan_augment.data.images.contact_sheet import contact_sheet, real_above_synthetic
from gan_augment.data.images.png_folder import png_bytes
from gan_augment.data.images.reader import ReadImages, data_sha256
from gan_augment.devices import ComputeConfig, compute_config
from gan_augment.errors import TooFewAcceptedError
from gan_augment.progress import Progress
from gan_augment.randomness import generator
from gan_augment.recipes import DataKind, Recipe, resolve_recipe
from gan_augment.storage import load_bundle, write_file
from gan_augment.synthesizers.image_gan import ImageGAN
from gan_augment.synthesizers.model_file import NAME, ModelMeta
from gan_augment.training.callbacks import Callback, StopFlag
from gan_augment.training.checkpoint import CheckpointStore
from gan_augment.workflows.run_folder import MODEL, SAMPLES, with_flips
from gan_augment.workflows.tasks import Described

if TYPE_CHECKING:
    from gan_augment.workflows.fitting import FitPlan

SAMPLES_A_CLASS = 12
CLASSES_A_SHEET = 50


@dataclass(frozen=True)
class ImageTask:
    """Images that were read, with the options of a fit."""

    read: ReadImages
    options: FitOptions
    kind: DataKind = "image"
    unit: tuple[str, str] = ("image", "images")
    samples: str = SAMPLES

    @property
    def data(self) -> LabelledImages:
        """The images."""
        return self.read.data

    @property
    def notes(self) -> tuple[str, ...]:
        """What the scan found."""
        return self.read.notes

    def sha256(self) -> str:
        """The identity of the data."""
        return data_sha256(self.data)

    def in_words(self) -> str:
        """How many, of which size."""
        height, width, channels = self.data.image_shape
        n, classes = len(self.data), len(self.data.names)
        return f"{n} images of {classes} classes, {width} x {height} px, channels {channels}"

    def facts(self) -> dict[str, Any]:
        """The size."""
        return {"image_shape": list(self.data.image_shape)}

    def recipe(self, options: FitOptions) -> Recipe:
        """The recipe, with mirrored images if they are wanted."""
        return with_flips(resolve_recipe(options.recipe), options.flips)

    def machine(self, options: FitOptions) -> ComputeConfig:
        """As the options and this machine allow."""
        return compute_config(options.device, options.precision, options.threads)

    def length(self, recipe: Recipe) -> str:
        """The recipe's own steps."""
        return f"{recipe.steps} steps (the recipe's own)"

    def begin(self, plan: FitPlan, callbacks: Sequence[Callback]) -> ImageFit:
        """A fit of the images."""
        options = plan.options
        gan = ImageGAN(
            recipe=plan.recipe,
            steps=options.steps,
            budget_s=options.budget_s,
            classes=plan.topped_up,
            device=options.device,
            precision=options.precision,
            threads=options.threads,
            random_state=options.seed,
            selection=options.selection,
            callbacks=callbacks,
        )
        return ImageFit(gan, self)

    def saved(self, run: Path) -> ModelMeta:
        """The description of the model in a run, its arrays verified."""
        return load_bundle(run / MODEL, NAME, schema=ModelMeta)[1]

    def found(self, about: Described) -> tuple[str, ...]:
        """What is kept of each class, how visible the artefacts are, and what follows."""
        assert isinstance(about, ModelMeta)
        judged = () if about.artefacts is None else (about.artefacts.in_words(), about.advice())
        return (*about.selection_lines(), *judged)

    def chosen(self, about: Described) -> str:
        """The score of the kept generator."""
        if about.score.value is None:
            return "no scored generator was fit to keep; the last one was"
        score = f"held-out score {about.score.value:.4g}, lower is better"
        return f"kept: {about.chosen} ({score})"


@dataclass(frozen=True)
class ImageFit:
    """A fit of an `ImageGAN`."""

    gan: ImageGAN
    task: ImageTask

    def train(
        self,
        *,
        checkpoints: CheckpointStore,
        resume: bool,
        force: bool,
        on_steps: Callable[[int, ComputeConfig], None],
        progress: Progress,
        stop: StopFlag,
    ) -> None:
        """Train on the images."""
        self.gan.fit(
            self.task.data,
            checkpoints=checkpoints,
            resume=resume,
            force=force,
            on_steps=on_steps,
            progress=progress,
            stop=stop,
            original_size=_median_size(self.task.read),
            resize=self.task.options.resize,
        )

    @property
    def about(self) -> ModelMeta | None:
        """The description of the model, once there is one."""
        return getattr(self.gan, "meta_", None)

    def write(self, run: Path) -> None:
        """The model, then the picture of its samples."""
        self.gan.save(run / MODEL)
        write_file(run / SAMPLES, png_bytes(samples_sheet(self.gan, self.task.data)))


def samples_sheet(gan: ImageGAN, data: LabelledImages) -> NDArray[np.uint8]:
    """Per class reals above synthetics, topped-up classes first, 50 at most; uint8 (H, W, 3)."""
    rows = []
    first = sorted(gan.classes_, key=lambda name: name not in gan.topped_up_)
    for name in first[:CLASSES_A_SHEET]:
        own = np.flatnonzero(data.labels == data.names.index(name))
        if len(own):
            shown = generator(0, "samples sheet", name).permutation(own)[:SAMPLES_A_CLASS]
            real = data.pixels[np.sort(shown)]  # rows that follow each other may be alike
            made = _shown(gan, name)
            rows.append(real_above_synthetic(name, len(own), real, made))
    return contact_sheet(rows, columns=SAMPLES_A_CLASS)


def _shown(gan: ImageGAN, name: str) -> NDArray[np.uint8]:
    """The first samples of a class; of one that selection refuses, the first candidates."""
    try:
        return gan.sample_range(name, 0, SAMPLES_A_CLASS)
    except TooFewAcceptedError:
        return gan.judged_block(name, 0)[0][:SAMPLES_A_CLASS]


def _median_size(read: ReadImages) -> tuple[int, int]:
    entries = read.scan.entries
    height = statistics.median_low([entry.height for entry in entries])
    width = statistics.median_low([entry.width for entry in entries])
    return int(height), int(width)
