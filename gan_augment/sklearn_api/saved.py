"""A fitted `GANAugmenter` as a folder: the model as `fit` writes it, and the face's own as JSON.

FOLDER/model/            safetensors, JSON and checksums, as of ImageGAN.save or TabularGAN.save
FOLDER/augmenter.json    settings, labels, and whether rows are NumPy's or pandas'; no pickle
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, NonNegativeInt

from gan_augment.data.tables.columns import restored
from gan_augment.data.tables.schema import Name, Scalar
from gan_augment.errors import ModelFileError, OutputExistsError
from gan_augment.generators import load_model, model_folder
from gan_augment.settings import Frozen
from gan_augment.sklearn_api.inputs import (
    ClassLabels,
    OutputFormat,
    PixelFormat,
    plain_output,
    python_scalar,
)
from gan_augment.storage import new_folder, write_file
from gan_augment.storage.bundle import read_json

if TYPE_CHECKING:
    from gan_augment.generators.image_gan import ImageGAN
    from gan_augment.generators.tabular_gan import TabularGAN

    GAN = ImageGAN | TabularGAN

FACE = "augmenter.json"
MODEL = "model"


class SavedLabels(BaseModel):
    """Holds the classes. container: "array"; all but arrays and lists go back as a series."""

    model_config = ConfigDict(frozen=True, extra="ignore")  # earlier versions wrote more

    names: tuple[str, ...]
    labels: tuple[Scalar, ...]
    dtype: str
    container: str = "array"
    unnamed: bool = False


class SavedRows(BaseModel):
    """Holds how rows of a table go back: "pandas" and "other" as a frame, else as an array."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    kind: Literal["array", "list", "sparse", "pandas", "other"]
    dtype: str = "O"


class SavedFace(Frozen):
    """Holds the JSON beside the model. settings: parameters, those that JSON can hold.

    strategy: a mapping as pairs, since its keys are labels. added: `sampling_strategy_` as pairs.
    """

    format: Literal["gan-augment augmenter"] = "gan-augment augmenter"
    version: Literal[1] = Field(default=1, alias="schema")
    settings: dict[str, Any]
    strategy: tuple[tuple[Scalar, int], ...] | None = None
    added: tuple[tuple[Scalar, int], ...] = Field(default=(), alias="asked")
    seed: NonNegativeInt
    labels: SavedLabels
    images: PixelFormat | None = None
    rows: SavedRows | None = None
    feature_names: tuple[Name, ...] | None = None

    @property
    def parameters(self) -> dict[str, Any]:
        """Parameters by name, as they were given."""
        settings = dict(self.settings)
        if self.strategy is not None:
            settings["sampling_strategy"] = dict(self.strategy)
        if settings.get("image_shape") is not None:
            settings["image_shape"] = tuple(settings["image_shape"])
        return settings


def write(
    folder: Path, gan: GAN, params: Mapping[str, Any], output: OutputFormat, **facts: Any
) -> None:
    """Write the folder, whole or not at all; one that was written before is replaced.

    params: of the augmenter. facts: seed, feature_names and asked of a `SavedFace`.
    Raises OutputExistsError for a folder of anything else, WriteFailedError.
    """
    ours = (folder / FACE).is_file()
    if folder.exists() and not ours and (not folder.is_dir() or any(folder.iterdir())):
        raise OutputExistsError(
            f"{str(folder)!r} is there and holds no GANAugmenter; choose another name. Nothing was "
            "written."
        )
    strategy, rows = params["sampling_strategy"], None
    if output.pixels is None:
        flat = _is_array(output.template)
        dtype = getattr(output.template, "dtype", np.dtype(object)).str if flat else "O"
        rows = SavedRows(kind="array" if flat else "pandas", dtype=dtype)
    face = SavedFace(
        settings=settings_of(params),
        strategy=tuple((python_scalar(label), int(n)) for label, n in strategy.items())
        if isinstance(strategy, Mapping)
        else None,
        labels=_saved_labels(output.labels),
        images=output.pixels,
        rows=rows,
        **facts,
    )
    content = json.dumps(face.model_dump(mode="json", by_alias=True), indent=1).encode()
    with new_folder(folder, replace=True) as temporary:
        gan.save(temporary / MODEL)
        write_file(temporary / FACE, content, sync=False)  # new_folder syncs everything


def read(
    folder: Path, *, device: str, threads: int | None
) -> tuple[GAN, OutputFormat, SavedFace | None]:
    """Read a folder of `write`, a run of `gan-augment fit`, or of a GAN; the last two have no face.

    Raises ModelFileError.
    """
    gan = load_model(folder, device=device, threads=threads)
    path = folder / FACE
    if not path.is_file():
        return gan, _without_face(gan), None
    try:
        face = read_json(path, schema=SavedFace)
    except ModelFileError as error:
        place = model_folder(folder)
        raise ModelFileError(
            f"{error} The model alone can be loaded from {str(place)!r}."
        ) from None
    try:
        return gan, _output_of(gan, face), face
    except (TypeError, ValueError, LookupError) as error:
        raise ModelFileError(f"{str(path)!r} does not fit its model: {error}") from None


def settings_of(params: Mapping[str, Any]) -> dict[str, Any]:
    """Return the parameters that JSON can hold; tuples, sets and arrays become lists.

    >>> settings_of({"random_state": np.int64(3), "sampling_strategy": {1}, "callbacks": print})
    {'random_state': 3, 'sampling_strategy': [1]}
    """
    settings = {}
    for name, value in params.items():
        several = isinstance(value, list | tuple | set | frozenset | np.ndarray)
        flat = [python_scalar(one) for one in value] if several else [python_scalar(value)]
        if all(one is None or type(one) in (str, int, float, bool) for one in flat):
            settings[name] = flat if several else flat[0]
    return settings


def _is_array(rows: Any) -> bool:
    """Return whether rows go back as an array, as those of lists and sparse matrices do."""
    return isinstance(rows, list | tuple | np.ndarray) or hasattr(rows, "tocsr")


def _saved_labels(labels: ClassLabels) -> SavedLabels:
    examples = labels.examples
    indicator = len(getattr(examples, "shape", ())) == 2 and examples.shape[1] > 1
    return SavedLabels(
        names=labels.names,
        labels=labels.labels,
        dtype=labels.values.dtype.str,
        container="array" if indicator or _is_array(examples) else "series",
        unnamed=getattr(examples, "name", None) in (None, ""),
    )


def _output_of(gan: GAN, face: SavedFace) -> OutputFormat:
    """Return how rows go back. Raises ValueError where JSON and model do not belong together."""
    saved, images, rows = face.labels, face.images, face.rows
    if len(saved.names) != len(saved.labels):
        raise ValueError(f"{len(saved.names)} classes have {len(saved.labels)} labels")
    if set(saved.names) - set(gan.classes_):
        raise ValueError(f"it names classes {saved.names}, the model {tuple(gan.classes_)}")
    labels = ClassLabels.of(saved.names, saved.labels, _checked_dtype(saved.dtype))
    if images is not None:
        _checked_dtype(images.dtype)
        if math.prod(images.shape) != math.prod(getattr(gan, "image_shape_", ())):
            raise ValueError(f"it describes images of shape {images.shape}, as the model has none")
        return OutputFormat(labels, pixels=images)
    if rows is None or getattr(gan, "schema_", None) is None:
        raise ValueError("the JSON is of a table, and the model of images, or the other way round")
    if saved.container not in ("array", "list", "tuple", "indicator"):
        labels = _in_series(gan, labels, unnamed=saved.unnamed)
    if rows.kind in ("pandas", "other"):
        return OutputFormat(labels)
    return OutputFormat(labels, np.empty((0, 0), dtype=_checked_dtype(rows.dtype)))


def _without_face(gan: GAN) -> OutputFormat:
    """Return how rows of a model without a face go back; labels as its column has them."""
    names = tuple(gan.classes_)
    target = getattr(getattr(gan, "schema_", None), "target", None)
    labels = ClassLabels.of(names, names if target is None else tuple(target.cells.levels))
    return plain_output(gan, labels if target is None else _in_series(gan, labels))


def _in_series(gan: Any, labels: ClassLabels, *, unnamed: bool = False) -> ClassLabels:
    """Return labels that go back as a pandas series, of the dtype that y had."""
    target = gan.schema_.target
    if target is None:
        return labels
    series = restored(np.arange(len(labels.names)), target.cells)
    return replace(labels, examples=series.rename(None) if unnamed else series)


def _checked_dtype(text: str) -> np.dtype[Any]:
    """Return a NumPy dtype of cells. Raises TypeError or ValueError for any other."""
    dtype = np.dtype(text)
    if dtype.kind not in "biufUOMm" or dtype.itemsize > 1 << 16:
        raise ValueError(f"{text!r} is no dtype of cells")
    return dtype
