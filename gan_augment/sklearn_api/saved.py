"""A fitted `GANAugmenter` as a folder: the model as `fit` writes it, and the face's own as JSON.

FOLDER/model/            safetensors, JSON and checksums, as of ImageGAN.save or TabularGAN.save
FOLDER/augmenter.json    settings, and the containers and dtypes of X and y; no pickle anywhere
"""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from pydantic import Field, NonNegativeInt, ValidationError

from gan_augment.data.tables.schema import Name, Scalar
from gan_augment.errors import ModelFileError, OutputExistsError
from gan_augment.settings import Frozen
from gan_augment.sklearn_api.given import Form
from gan_augment.sklearn_api.image_form import ImageForm
from gan_augment.sklearn_api.label_form import LabelForm, form_of_labels, plain
from gan_augment.sklearn_api.labelled import form_of_model
from gan_augment.sklearn_api.saved_forms import SavedImages, SavedLabels, SavedRows
from gan_augment.sklearn_api.table_form import TableForm
from gan_augment.storage import new_folder, write_file
from gan_augment.synthesizers import load_model, model_folder

if TYPE_CHECKING:
    from gan_augment.sklearn_api.making import GAN

FACE = "augmenter.json"
MODEL = "model"
LARGEST_BYTES = 16 << 20


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


@dataclass(frozen=True)
class Loaded:
    """What a folder holds. face: None where it was written by the command line, or by a GAN."""

    gan: GAN
    form: Form
    labels: LabelForm
    face: SavedFace | None


def write(folder: Path, gan: GAN, face: SavedFace) -> None:
    """The folder, whole or not at all; one that was written before is replaced.

    Raises OutputExistsError for a folder of anything else, WriteFailedError.
    """
    if (
        folder.exists()
        and not (folder / FACE).is_file()
        and (not folder.is_dir() or any(folder.iterdir()))
    ):
        raise OutputExistsError(
            f"{str(folder)!r} is there and holds no GANAugmenter; choose another name. Nothing was "
            "written."
        )
    content = json.dumps(face.model_dump(mode="json", by_alias=True), indent=1).encode()
    with new_folder(folder, replace=True) as temporary:
        gan.save(temporary / MODEL)
        write_file(temporary / FACE, content, sync=False)  # new_folder syncs everything


def read(folder: Path, *, device: str, threads: int | None) -> Loaded:
    """A folder of `write`, a run of `gan-augment fit`, or of a GAN. Raises ModelFileError."""
    gan = load_model(folder, device=device, threads=threads)
    path = folder / FACE
    face = _face(path) if path.is_file() else None
    try:
        form, labels = _plain(gan) if face is None else _described(gan, face)
    except (TypeError, ValueError, LookupError) as error:
        raise ModelFileError(f"{str(path)!r} does not fit its model: {error}") from None
    known, found = tuple(gan.classes_), labels.names
    if set(found) - set(known):
        raise ModelFileError(f"{str(path)!r} names classes {found}, the model {known}")
    return Loaded(gan, form, labels, face)


def settings_of(params: Mapping[str, Any]) -> dict[str, Any]:
    """The parameters that JSON can hold; tuples, sets and arrays become lists.

    >>> settings_of({"random_state": np.int64(3), "image_shape": (8, 8), "callbacks": print})
    {'random_state': 3, 'image_shape': [8, 8]}
    """
    kept = {}
    for name, value in params.items():
        several = isinstance(value, list | tuple | set | frozenset | np.ndarray)
        flat = [plain(one) for one in value] if several else [plain(value)]
        if all(one is None or type(one) in (str, int, float, bool) for one in flat):
            kept[name] = flat if several else flat[0]
    return kept


def settings_in(face: SavedFace, known: Collection[str]) -> dict[str, Any]:
    """Parameters by name, as they were given: the `known` ones of those that JSON could hold."""
    settings = {name: value for name, value in face.settings.items() if name in known}
    if face.strategy is not None:
        settings["sampling_strategy"] = dict(face.strategy)
    if settings.get("image_shape") is not None:
        settings["image_shape"] = tuple(settings["image_shape"])
    return settings


def _face(path: Path) -> SavedFace:
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


def _described(gan: GAN, face: SavedFace) -> tuple[Form, LabelForm]:
    labels = face.labels.form()
    if face.images is not None:
        if getattr(gan, "image_shape_", None) is None:
            raise ValueError("it describes images, and the model is of a table")
        return face.images.form(), labels
    if face.rows is None:
        raise ValueError("it describes neither images nor a table")
    schema = getattr(gan, "schema_", None)
    if schema is None:
        raise ValueError("it describes a table, and the model is of images")
    return TableForm(face.rows.rows(), schema), labels


def _plain(gan: GAN) -> tuple[Form, LabelForm]:
    """The plainest way back for a model without a face; labels as the table's column has them."""
    names = tuple(gan.classes_)
    schema = getattr(gan, "schema_", None)
    target = None if schema is None else schema.target
    if target is None:
        return form_of_model(gan), form_of_labels(names, names)
    saved = SavedLabels(
        names=names, labels=target.cells.levels, container="series", dtype="O", column=target
    )
    return form_of_model(gan), saved.form()


def face_of(
    params: Mapping[str, Any], form: Form, labels: LabelForm, facts: Mapping[str, Any]
) -> SavedFace:
    """The JSON of a face. facts: seed, feature_names, asked."""
    settings = settings_of(params)
    strategy = params["sampling_strategy"]
    pairs = None
    if isinstance(strategy, Mapping):
        pairs = tuple((plain(label), int(n)) for label, n in strategy.items())
    images = SavedImages.of(form) if isinstance(form, ImageForm) else None
    return SavedFace(
        settings=settings,
        strategy=pairs,
        labels=SavedLabels.of(labels),
        images=images,
        rows=SavedRows.of(form.rows) if isinstance(form, TableForm) else None,
        **facts,
    )
