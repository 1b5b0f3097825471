"""Data and models as the commands read them: `read_data`, `Source`, `read_meta`. No torch here."""

from __future__ import annotations

import shlex
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from gan_augment.commands.writing import (
    FILE_FORMAT,
    MODEL,
    SAMPLES,
    TABLE_SAMPLES,
)
from gan_augment.data.arrays import read_npz, to_uint8
from gan_augment.data.images.contact_sheet import SheetRow, contact_sheet
from gan_augment.data.images.png_folder import png_bytes, safe_name
from gan_augment.data.images.reader import read_images
from gan_augment.data.images.sources import root_of
from gan_augment.data.signals import holds_signals, read_signals
from gan_augment.data.tables import TABLE_SUFFIXES
from gan_augment.data.tables.schema import TableSchema
from gan_augment.data.topup_plan import choose_classes
from gan_augment.errors import UsageError
from gan_augment.generators import model_path
from gan_augment.generators.generator import check_length
from gan_augment.generators.model_file import (
    LEAST_ROWS,
    TRIED_IMAGES,
    ModelMeta,
    too_few_rows,
)
from gan_augment.input_files import check_there
from gan_augment.kinds import kind_named
from gan_augment.kinds.image import IMAGE
from gan_augment.kinds.kind import Kind, KindName, Labelled
from gan_augment.kinds.signal import SIGNAL, file_bytes
from gan_augment.options import FitOptions, with_options
from gan_augment.progress import Progress
from gan_augment.recipes import (
    Recipe,
    image_recipe,
    table_recipe,
)
from gan_augment.rng import rng_for
from gan_augment.storage.bundle import load_meta
from gan_augment.storage.files import write_file

if TYPE_CHECKING:
    from gan_augment.machine import ComputeConfig
    from gan_augment.training.callbacks import Callback

IMAGES_A_CLASS = 12
ROWS_A_CLASS = 5
PHOTO_PX = 100
"""From this side on, pretrained features serve better than drawn images."""
CLASSES_SHOWN = 50
_FOREIGN: dict[KindName, tuple[str, ...]] = {
    "image": ("columns",),
    "signal": ("image_size", "columns"),
    "table": ("image_size", "flips", "skip_bad", "window"),
}
"""Options that are refused for each kind of data."""
_SHORT = (
    "under {:,} steps a fit cannot test its images, so real ones are repeated and nothing is "
    "trained: take more --steps, or --synthetic-share 0.5 to generate anyway"
)


@dataclass(frozen=True)
class Source:
    """Labelled rows as they were read, and the options of a fit.

    path: where the data is. Attributes of `read` differ by kind: `scan` for images and signals,
    `schema` and `source` for tables.
    """

    path: Path
    read: Any
    options: FitOptions

    @property
    def data(self) -> Labelled:
        """The labelled rows; images have the size of the model."""
        data: Labelled = self.read.data
        return data

    @property
    def kind(self) -> Kind:
        return self.data.kind

    @property
    def samples(self) -> str:
        """The file name of a run's samples."""
        return TABLE_SAMPLES if self.kind.tabular else SAMPLES

    @property
    def schema(self) -> TableSchema | None:
        """The columns of a table; None for other kinds."""
        schema: TableSchema | None = getattr(self.read, "schema", None)
        return schema

    @property
    def counts(self) -> Mapping[str, int]:
        return self.data.counts

    @property
    def notes(self) -> tuple[str, ...]:
        notes: tuple[str, ...] = self.read.notes
        return notes

    @cached_property
    def topped_up(self) -> tuple[str, ...]:
        """The classes that the options select."""
        return choose_classes(self.options.classes, self.counts)

    @property
    def advised_share(self) -> float | None:
        """Return 0 if the fit is too short for a trial of generated images; else None, unknown."""
        options = self.options
        if self.kind.tabular or not options.selection:
            return None
        recipe = self.recipe()
        steps = options.steps or (None if options.budget else recipe.steps)
        short = steps is not None and steps * recipe.batch < TRIED_IMAGES
        return 0.0 if short and recipe.generator.trained else None

    def advice(self) -> str:
        """Say why nothing is generated where `advised_share` is 0."""
        return _SHORT.format(-(-TRIED_IMAGES // self.recipe().batch))

    @property
    def refuses(self) -> dict[str, str]:
        """Return {class: why} of the classes with too few images for a selection."""
        if self.kind.tabular or not self.options.selection:
            return {}
        counts = self.counts.items()
        return {name: too_few_rows(name, n) for name, n in counts if n < LEAST_ROWS}

    @property
    def for_photos(self) -> tuple[str, ...]:
        """Return the command that suits photos of 100 px and more better, if these are such."""
        size = self.read.scan.sizes.get("median") if self.kind is IMAGE else None
        if size is None or max(size) < PHOTO_PX:
            return ()
        command = ["gan-augment", "evaluate", str(self.path), "--backbone", "lite0.pth"]
        return (
            f"photos of {size[1]} x {size[0]} px: first judge features of a pretrained network "
            f"(docs/photos.md): {shlex.join(command)}",
        )

    @cached_property
    def sha256(self) -> str:
        return self.kind.sha256(self.data)

    def line(self) -> str:
        """Return one line for people: the number of rows, and their size or columns."""
        if self.schema is None:
            return self.kind.describe(self.data)
        n, classes, columns = sum(self.counts.values()), len(self.data.names), self.schema.columns
        kinds = ", ".join(f"{k} {kind}" for kind, k in Counter(c.kind for c in columns).items())
        return f"{n} rows of {classes} classes; {len(columns)} columns: {kinds}"

    def facts(self) -> dict[str, Any]:
        """Return the facts of `line` for JSON."""
        schema = self.schema
        if schema is None:
            return self.kind.facts(self.data)
        return {
            "target": None if schema.target is None else str(schema.target.name),
            "columns": {str(column.name): column.kind for column in schema.columns},
        }

    def recipe(self) -> Recipe:
        """Return the recipe with the changes of the options."""
        options = self.options
        if self.kind.tabular:
            recipe = table_recipe(options.recipe, options.steps, options.budget)
            return with_options(recipe, options)
        check_length(options.steps, options.budget)
        recipe = image_recipe(options.recipe, options.steps, options.budget)
        return with_options(recipe, options)

    def machine(self) -> ComputeConfig:
        """Return the device, precision and threads that train."""
        from gan_augment.machine import compute_config

        options = self.options
        how = (options.device, options.precision, options.threads)
        if self.kind.tabular:
            return compute_config(*how)
        height, width, _ = self.data.image_shape
        return compute_config(*how, height * width)

    def generator(self, callbacks: Sequence[Callback] = ()) -> Any:
        """Return an unfitted generator with the settings of the options."""
        from gan_augment.generators.image_gan import ImageGAN
        from gan_augment.generators.tabular_gan import TabularGAN

        names = ("steps", "budget", "device", "precision", "threads")
        settings: dict[str, Any] = {name: getattr(self.options, name) for name in names}
        settings |= {"recipe": self.recipe(), "classes": self.topped_up}
        settings |= {"random_state": self.options.seed, "callbacks": callbacks}
        if self.kind.tabular:
            return TabularGAN(**settings)
        return ImageGAN(**settings, selection=self.options.selection)

    def originals(self, *, match: bool) -> tuple[list[str], Callable[[int], bytes]]:
        """Return the name of each row's file, and what returns the content of a row's file.

        Files are copied. Rows of an archive and windows of longer signals become files, and all
        images with `match`: at the size of the model.
        """
        data, archive = self.data, self.path.suffix.lower() == ".npz" and self.path.is_file()
        ids, root, rows = data.ids.tolist(), root_of(self.path), None
        if self.kind is SIGNAL:
            rows = self.read.values if archive or self.read.cut else None
        elif match or archive:
            rows = data.pixels if match else to_uint8(read_npz(self.path)["x"])[0]
        if rows is None:
            return ids, lambda row: (root / ids[row]).read_bytes()
        names = [safe_name(id_) for id_ in ids] if archive else ids
        rate = data.meta.rate
        end = self.kind.suffix(rate)
        names = [name if name.lower().endswith(end) else f"{name}{end}" for name in names]
        if self.kind is SIGNAL:
            return names, lambda row: file_bytes(rows[row], rate)
        return names, lambda row: png_bytes(rows[row])

    def write_run(self, run: Path, gan: Any) -> None:
        """Write the model, its samples, and for tables the format of the training file."""
        gan.save(run / MODEL)
        if not self.kind.tabular:
            write_file(run / SAMPLES, self._samples_sheet(gan))
            return
        dialect = self.read.source.dialect
        if dialect is not None:
            write_file(run / FILE_FORMAT, dialect.model_dump_json(exclude_defaults=True).encode())
        write_file(run / TABLE_SAMPLES, self._samples_csv(gan, dialect))

    def _shown(self, gan: Any, most: int) -> Iterator[tuple[str, int, NDArray[np.int64]]]:
        """Yield name, count and at most `most` drawn rows per class, topped-up classes first."""
        first = sorted(gan.classes_, key=lambda name: name not in gan.topped_up_)
        for name in first[:CLASSES_SHOWN]:
            own = np.flatnonzero(self.data.labels == self.data.names.index(name))
            if len(own):
                drawn = rng_for(0, "samples sheet", name).permutation(own)[:most]
                yield name, len(own), np.sort(drawn)  # consecutive rows may be alike

    def _samples_sheet(self, gan: Any) -> bytes:
        """Return a PNG file of real images per class, above synthetic and refused ones."""
        rows = []
        for name, count, shown in self._shown(gan, IMAGES_A_CLASS):
            samples, why = gan.candidates(name)
            kept, refused = (samples[own][:IMAGES_A_CLASS] for own in (why == "", why != ""))
            note = "1 real row" if count == 1 else f"{count:,} real rows"
            left = refused if self.options.selection else None
            rows.append(SheetRow(name, note, self.data.pixels[shown], kept, left))
        return png_bytes(contact_sheet(rows, caption=gan.meta_.quality_lines()))

    def _samples_csv(self, gan: Any, dialect: Any) -> bytes:
        """Return a CSV file of real and synthetic rows per class, in the file's dialect."""
        import pandas as pd

        from gan_augment.data.tables.csv import Dialect

        parts, labels, origins = [], [], []
        for name, _, shown in self._shown(gan, ROWS_A_CLASS):
            samples = gan.rows(name, 0, ROWS_A_CLASS).frame
            parts += [self.data.frame.iloc[shown], samples]
            labels += [name] * (len(shown) + len(samples))
            origins += ["real"] * len(shown) + ["synthetic"] * len(samples)
        frame = pd.concat(parts, ignore_index=True)
        for place, (name, cells) in enumerate({"class": labels, "origin": origins}.items()):
            while name in frame.columns:
                name += "_"
            frame.insert(place, name, cells)
        how = dialect or Dialect()
        return bytes(how.lines([list(map(str, frame.columns))]) + how.frame_lines(frame))


def read_data(
    source: str | Path | Source, options: FitOptions, progress: Progress | None = None
) -> Source:
    """Read labelled images or signals, or with `options.target` a table.

    A `Source` is read already, and only gets the options. Raises DataError for unusable data,
    UsageError for options of another kind of data.
    """
    if isinstance(source, Source):
        return source if source.options == options else replace(source, options=options)
    source, progress = Path(source), progress or Progress()
    if source.resolve() == Path(source.resolve().anchor):
        raise UsageError(f"{str(source)!r} is the whole file system; name a folder of classes")
    if options.target is not None:
        from gan_augment.data.tables.reader import read_table

        check_options(source, options, "table")
        progress.phase("reading the table")
        return Source(source, read_table(source, options.target, options.columns), options)
    how: dict[str, Any] = {"skip_bad": options.skip_bad, "progress": progress}
    if options.window is not None or holds_signals(source):
        check_options(source, options, "signal")
        check_there(source, "a folder of classes of .npy or .wav files, or an .npz")
        return Source(source, read_signals(source, window=options.window, **how), options)
    check_options(source, options, "image")
    return Source(source, read_images(source, image_size=options.image_size, **how), options)


def check_options(source: Path, options: FitOptions, kind: KindName) -> None:
    """Raise UsageError for options of other kinds of data, and for a path of another kind."""
    usual, suffix = FitOptions(), source.suffix.lower()
    given = [n for n in _FOREIGN[kind] if getattr(options, n) != getattr(usual, n)]
    if given:
        flags = ", ".join("--" + name.replace("_", "-") for name in given)
        raise UsageError(
            f"{flags}: not for {kind}s, and {str(source)!r} is read as {kind}s. A table needs "
            "--target COLUMN; --window is for signals."
        )
    if kind_named(kind).tabular:
        check_there(source, "a .csv or .parquet file")
        if source.is_dir() or suffix not in TABLE_SUFFIXES:
            raise UsageError(
                f"--target is for tables, and {str(source)!r} is not one; expected a file with "
                f"the suffix {', '.join(TABLE_SUFFIXES)}. Leave --target out for images."
            )
    elif source.is_file() and suffix in set(TABLE_SUFFIXES) - {".csv"}:
        raise UsageError(
            f"{str(source)!r} is a table: name the column with the labels, --target COLUMN. (A "
            "list of images is a .csv with the columns path,label or path,label,group.)"
        )


def read_meta(run: str | Path) -> ModelMeta:
    """Return the checked description of a run's model."""
    return load_meta(model_path(Path(run)), schema=ModelMeta)
