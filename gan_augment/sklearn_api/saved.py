"""A fitted `GANAugmenter` as a folder: the model as `fit` writes it, and the face's own as JSON.

FOLDER/model/            safetensors, JSON and checksums, as of ImageGAN.save or TabularGAN.save
FOLDER/augmenter.json    settings, labels, and whether rows are NumPy's or pandas'; no pickle
"""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, NonNegativeInt, PositiveInt, ValidationError

from gan_augment.data.tables.columns import restored
from gan_augment.data.tables.schema import Name, Scalar
from gan_augment.errors import ModelFileError, OutputExistsError
from gan_augment.settings import Frozen
from gan_augment.sklearn_api.inputs import (
    ClassLabels,
    OutputFormat,
    PixelFormat,
    White,
    plainest_output,
    python_scalar,
)
from gan_augment.storage import new_folder, write_file
from gan_augment.synthesizers import load_model, model_folder

if TYPE_CHECKING:
    from gan_augment.synthesizers.image_gan import ImageGAN
    from gan_augment.synthesizers.tabular_gan import TabularGAN

    GAN = ImageGAN | TabularGAN

FACE = "augmenter.json"
MODEL = "model"
LARGEST_BYTES = 16 << 20


class _Part(BaseModel):
    """A part of the JSON. What earlier versions wrote beside these names is passed over."""

    model_config = ConfigDict(frozen=True, extra="ignore")


class SavedLabels(_Part):
    """The classes. container: "array"; "series" and all others of a frame's kind are a series."""

    names: tuple[str, ...]
    labels: tuple[Scalar, ...]
    dtype: str
    container: str = "array"
    unnamed: bool = False


class SavedImages(_Part):
    """How images are given back, see `PixelFormat`."""

    shape: tuple[PositiveInt, ...]
    dtype: str
    scale: White


class SavedRows(_Part):
    """How rows of a table are given back: "pandas" and "other" as a frame, else as an array."""

    kind: Literal["array", "list", "sparse", "pandas", "other"]
    dtype: str = "O"


class SavedFace(Frozen):
    """The JSON beside the model. settings: parameters, those that JSON can hold.

    strategy: a mapping as pairs, since its keys are labels. asked: `sampling_strategy_` as pairs.
    """

    format: Literal["gan-augment augmenter"] = "gan-augment augmenter"
    version: Literal[1] = Field(default=1, alias="schema")
    settings: dict[str, Any]
    strategy: tuple[tuple[Scalar, int], ...] | None = None
    asked: tuple[tuple[Scalar, int], ...] = ()
    seed: NonNegativeInt
    labels: SavedLabels
    images: SavedImages | None = None
    rows: SavedRows | None = None
    feature_names: tuple[Name, ...] | None = None


def write(folder: Path, gan: GAN, face: SavedFace) -> None:
    """Write the folder, whole or not at all; one that was written before is replaced.

    Raises OutputExistsError for a folder of anything else, WriteFailedError.
    """
    ours = (folder / FACE).is_file()
    if folder.exists() and not ours and (not folder.is_dir() or any(folder.iterdir())):
        raise OutputExistsError(
            f"{str(folder)!r} is there and holds no GANAugmenter; choose another name. Nothing was "
            "written."
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
        return gan, _plainest(gan), None
    face = _read_face(path)
    try:
        return gan, _output_of(gan, face), face
    except (TypeError, ValueError, LookupError) as error:
        raise ModelFileError(f"{str(path)!r} does not fit its model: {error}") from None


def face_of(params: Mapping[str, Any], output: OutputFormat, **facts: Any) -> SavedFace:
    """The JSON of an augmenter. facts: seed, feature_names, asked."""
    labels, template, pixels = output.labels, output.template, output.pixels
    pairs, strategy = None, params["sampling_strategy"]
    if isinstance(strategy, Mapping):
        pairs = tuple((python_scalar(label), int(n)) for label, n in strategy.items())
    examples = labels.examples
    flat = isinstance(examples, list | tuple | np.ndarray) or hasattr(examples, "tocsr")
    indicator = len(getattr(examples, "shape", ())) == 2 and examples.shape[1] > 1
    images = rows = None
    if pixels is not None:
        images = SavedImages(shape=pixels.shape, dtype=pixels.dtype.str, scale=pixels.white)
    elif isinstance(template, list | np.ndarray) or hasattr(template, "tocsr"):
        rows = SavedRows(kind="array", dtype=getattr(template, "dtype", np.dtype(object)).str)
    else:
        rows = SavedRows(kind="pandas")
    return SavedFace(
        settings=settings_of(params),
        strategy=pairs,
        labels=SavedLabels(
            names=labels.names,
            labels=labels.labels,
            dtype=labels.values.dtype.str,
            container="array" if flat or indicator else "series",
            unnamed=getattr(examples, "name", None) in (None, ""),
        ),
        images=images,
        rows=rows,
        **facts,
    )


def settings_of(params: Mapping[str, Any]) -> dict[str, Any]:
    """The parameters that JSON can hold; tuples, sets and arrays become lists.

    >>> settings_of({"random_state": np.int64(3), "image_shape": (8, 8), "callbacks": print})
    {'random_state': 3, 'image_shape': [8, 8]}
    """
    settings = {}
    for name, value in params.items():
        several = isinstance(value, list | tuple | set | frozenset | np.ndarray)
        flat = [python_scalar(one) for one in value] if several else [python_scalar(value)]
        if all(one is None or type(one) in (str, int, float, bool) for one in flat):
            settings[name] = flat if several else flat[0]
    return settings


def settings_in(face: SavedFace, known: Collection[str]) -> dict[str, Any]:
    """Parameters by name, as they were given: the `known` ones of those that JSON could hold."""
    settings = {name: value for name, value in face.settings.items() if name in known}
    if face.strategy is not None:
        settings["sampling_strategy"] = dict(face.strategy)
    if settings.get("image_shape") is not None:
        settings["image_shape"] = tuple(settings["image_shape"])
    return settings


def _read_face(path: Path) -> SavedFace:
    if path.stat().st_size > LARGEST_BYTES:
        raise ModelFileError(f"{str(path)!r} is larger than a GANAugmenter's; it is damaged")
    try:
        return SavedFace.model_validate(json.loads(path.read_bytes()))
    except (ValueError, RecursionError) as error:
        why = str(error.errors()[0]["msg"]) if isinstance(error, ValidationError) else "no JSON"
        raise ModelFileError(
            f"{str(path)!r} cannot be used: {why}. It is damaged or of another version; the model "
            f"alone can be loaded from {str(model_folder(path.parent))!r}."
        ) from None


def _output_of(gan: GAN, face: SavedFace) -> OutputFormat:
    """How rows go back. Raises ValueError where the JSON and the model do not belong together."""
    saved, images, rows = face.labels, face.images, face.rows
    if len(saved.names) != len(saved.labels):
        raise ValueError(f"{len(saved.names)} classes have {len(saved.labels)} labels")
    if set(saved.names) - set(gan.classes_):
        raise ValueError(f"it names classes {saved.names}, the model {tuple(gan.classes_)}")
    labels = ClassLabels.of(saved.names, saved.labels, _checked_dtype(saved.dtype))
    if images is not None:
        if getattr(gan, "image_shape_", None) is None:
            raise ValueError("it describes images, and the model is of a table")
        pixels = PixelFormat(images.shape, _checked_dtype(images.dtype), images.scale)
        return OutputFormat(labels, pixels=pixels)
    if rows is None or getattr(gan, "schema_", None) is None:
        raise ValueError("the JSON is of a table, and the model of images, or the other way round")
    if saved.container not in ("array", "list", "tuple", "indicator"):
        labels = _in_series(gan, labels, unnamed=saved.unnamed)
    if rows.kind in ("pandas", "other"):
        return OutputFormat(labels)
    return OutputFormat(labels, np.empty((0, 0), dtype=_checked_dtype(rows.dtype)))


def _plainest(gan: GAN) -> OutputFormat:
    """For a model without a face; labels as the table's column has them."""
    names = tuple(gan.classes_)
    target = getattr(getattr(gan, "schema_", None), "target", None)
    labels = ClassLabels.of(names, names if target is None else tuple(target.cells.levels))
    return plainest_output(gan, labels if target is None else _in_series(gan, labels))


def _in_series(gan: Any, labels: ClassLabels, *, unnamed: bool = False) -> ClassLabels:
    """Labels that go back as a pandas series, of the dtype that y had."""
    target = gan.schema_.target
    if target is None:
        return labels
    series = restored(np.arange(len(labels.names)), target.cells)
    return replace(labels, examples=series.rename(None) if unnamed else series)


def _checked_dtype(text: str) -> np.dtype[Any]:
    """A NumPy dtype of cells. Raises TypeError or ValueError for any other."""
    dtype = np.dtype(text)
    if dtype.kind not in "biufUOMm" or dtype.itemsize > 1 << 16:
        raise ValueError(f"{text!r} is no dtype of cells")
    return dtype
