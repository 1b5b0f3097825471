"""The synthesizer behind `GANAugmenter`: trained on what was given, or kept where it knows it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

from gan_augment.data.contract import LabelledImages, LabelledTable
from gan_augment.data.images.resize import LONGEST_SIDE_PX
from gan_augment.data.tables.schema import Column, TableSchema
from gan_augment.errors import DivergedError, warn
from gan_augment.sklearn_api.settings import Settings
from gan_augment.sklearn_api.telling import Told

if TYPE_CHECKING:
    from gan_augment.synthesizers.image_gan import ImageGAN
    from gan_augment.synthesizers.tabular_gan import TabularGAN

    GAN = ImageGAN | TabularGAN


def trained(
    data: LabelledImages | LabelledTable,
    topped_up: Sequence[str],
    settings: Settings,
    seed: int,
    schema: TableSchema | None = None,
) -> GAN:
    """A GAN of the kind that suits the data, trained on every class of it.

    topped_up: the classes that its choices serve. If training diverges the best generator before
    that is used, with a warning. Raises what `ImageGAN.fit` and `TabularGAN.fit` raise.
    """
    from gan_augment.synthesizers.image_gan import ImageGAN
    from gan_augment.synthesizers.tabular_gan import TabularGAN

    chosen: dict[str, Any] = {
        "recipe": settings.recipe,
        "steps": settings.steps,
        "budget_s": settings.budget_s,
        "classes": tuple(topped_up),
        "device": settings.device,
        "threads": settings.threads,
        "random_state": seed,
        "callbacks": settings.callbacks,
    }
    progress = Told(settings.verbose)
    _warn_if_long(data, settings)
    gan: GAN
    if isinstance(data, LabelledImages):
        gan = images = ImageGAN(**chosen, selection=settings.selection)
        fit: Callable[[], GAN] = partial(images.fit, data, progress=progress)
    else:
        gan = table = TabularGAN(**chosen)
        fit = partial(table.fit, data, schema=schema, progress=progress)
    try:
        fit()
    except DivergedError as error:
        if not hasattr(gan, "classes_"):
            raise
        progress.warn(f"{error} The best generator before that is used.")
    return gan


def _warn_if_long(data: LabelledImages | LabelledTable, settings: Settings) -> None:
    """Large images on a processor, with nothing said about how long it may take."""
    if settings.steps is not None or settings.budget_s is not None:
        return
    if not isinstance(data, LabelledImages) or max(data.image_shape[:2]) <= LONGEST_SIDE_PX:
        return
    from gan_augment.devices import compute_config

    if compute_config(settings.device).device.type == "cpu":
        height, width, _ = data.image_shape
        warn(
            f"images of {height} x {width} px take long to train on without a GPU; make them "
            f"smaller (at most {LONGEST_SIDE_PX} px a side), or give steps or a budget, such as "
            "budget='10m'"
        )


def why_not_kept(
    gan: GAN | None, data: LabelledImages | LabelledTable, schema: TableSchema | None
) -> str | None:
    """Why a fitted GAN cannot be used for this data; None where it can.

    It must know every class by name, and have images of the same size and channels, or columns of
    the same names, kinds and dtypes (of categories and constants the values too) in the same order.
    """
    if gan is None:
        return "there is no fitted model"
    unknown = [name for name, n in data.counts.items() if n and not gan.classes_.get(name)]
    if unknown:
        return f"the model does not know the class {unknown[0]!r}"
    if isinstance(data, LabelledImages):
        shape = getattr(gan, "image_shape_", None)
        if shape == data.image_shape:
            return None
        held = "a table" if shape is None else f"images of shape {shape}"
        return f"the model knows {held}, the images are of shape {data.image_shape}"
    known: TableSchema | None = getattr(gan, "schema_", None)
    if known is None:
        return "the model knows images, not a table"
    if schema is None or known.names != schema.names:
        return "the model knows other columns, or in another order"
    for mine, theirs in zip(known.columns, schema.columns, strict=True):
        if _written(mine) != _written(theirs):
            return (
                f"the model knows column {mine.name!r} as {mine.kind} ({mine.dtype}), here it is "
                f"{theirs.kind} ({theirs.dtype}), or of other values"
            )
    return None


def _written(column: Column) -> tuple[object, ...]:
    """What must agree for cells of one column to stand in another."""
    fixed = column.levels if column.kind == "constant" else ()
    return column.kind, column.dtype, column.categories, column.ordered, fixed
