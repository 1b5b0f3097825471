"""The kinds of data as the commands see them: labelled images, signals and tables.

`read_data` reads one, `Kind` is what commands know of it: what it holds, how a generator learns it,
what of a run shows it, and whether a saved model is one of this data. A further kind is a further
class here, beside its ways out in `augmenting.py` and `sampling.py`. Importing loads no torch.
"""

from __future__ import annotations

import statistics
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from gan_augment.commands.writing import FILE_FORMAT, MODEL, SAMPLES, TABLE_SAMPLES
from gan_augment.data.arrays import read_npz, to_uint8
from gan_augment.data.images.contact_sheet import SheetRow, contact_sheet
from gan_augment.data.images.png_folder import png_bytes
from gan_augment.data.images.reader import ReadImages, read_images
from gan_augment.data.images.resize import resize_image
from gan_augment.data.signals import (
    ReadSignals,
    file_bytes,
    holds_signals,
    read_signals,
    suffix_of,
)
from gan_augment.data.tables import TABLE_SUFFIXES
from gan_augment.data.tables.schema import Overrides, TableSchema
from gan_augment.data.topup_plan import choose_classes
from gan_augment.errors import DataError, TooFewAcceptedError, UsageError
from gan_augment.generators import model_path
from gan_augment.generators.generator import check_length
from gan_augment.generators.model_file import ModelMeta, TableMeta
from gan_augment.input_files import check_there
from gan_augment.kinds.kind import Labelled
from gan_augment.options import FitOptions, with_options
from gan_augment.progress import Progress
from gan_augment.recipes import (
    DataKind,
    Recipe,
    check_unlabelled,
    resolve_recipe,
    table_recipe,
)
from gan_augment.rng import rng_for
from gan_augment.storage import write_file
from gan_augment.storage.bundle import bundle_sha256, load_meta

if TYPE_CHECKING:
    from gan_augment.data.tables.export import FileFormat
    from gan_augment.data.tables.reader import ReadTable
    from gan_augment.generators.image_gan import ImageGAN
    from gan_augment.generators.tabular_gan import TabularGAN
    from gan_augment.machine import ComputeConfig
    from gan_augment.training.callbacks import Callback

IMAGES_A_CLASS = 12
ROWS_A_CLASS = 5
CLASSES_SHOWN = 50
_OF_IMAGES = (
    *("image_size", "resize", "flips", "skip_bad", "until", "patience"),
    "window",
)
_FAMILIES = {
    "number": ("int", "uint", "float", "double", "halffloat", "decimal"),
    "boolean": ("bool",),
    "time": ("datetime64", "timestamp", "date"),
    "text": ("object", "str", "large_string", "category", "dictionary"),
}

Meta = ModelMeta | TableMeta


class _Kind(ABC):
    """What all kinds of data share: which classes are topped up, settings of a generator."""

    read: ReadImages | ReadSignals | ReadTable
    options: FitOptions

    @property
    @abstractmethod
    def data(self) -> Labelled:
        """The labelled rows."""

    @property
    def counts(self) -> Mapping[str, int]:
        """Rows a class, also those of a large table that were not read."""
        return self.data.counts

    @property
    def notes(self) -> tuple[str, ...]:
        """Sentences on the data."""
        return self.read.notes

    @cached_property
    def topped_up(self) -> tuple[str, ...]:
        """The classes that the options select."""
        return choose_classes(self.options.classes, self.counts)

    def _settings(self, callbacks: Sequence[Callback]) -> dict[str, Any]:
        """Settings that both kinds of generator take."""
        names = ("steps", "budget_s", "device", "precision", "threads")
        own = {name: getattr(self.options, name) for name in names}
        seed = {"random_state": self.options.seed, "callbacks": callbacks}
        return {"classes": self.topped_up, **own, **seed}

    def _shown(
        self, gan: ImageGAN | TabularGAN, most: int
    ) -> Iterator[tuple[str, int, NDArray[np.int64]]]:
        """Name, number of rows and at most `most` drawn rows of classes, topped-up ones first."""
        first = sorted(gan.classes_, key=lambda name: name not in gan.topped_up_)
        for name in first[:CLASSES_SHOWN]:
            own = np.flatnonzero(self.data.labels == self.data.names.index(name))
            if len(own):
                drawn = rng_for(0, "samples sheet", name).permutation(own)[:most]
                yield name, len(own), np.sort(drawn)  # rows that follow each other may be alike


@dataclass(frozen=True)
class ImageKind(_Kind):
    """Labelled images that were read with the options of a fit."""

    read: ReadImages | ReadSignals
    options: FitOptions
    name: ClassVar[DataKind] = "image"
    unit: ClassVar[str] = "images"
    samples: ClassVar[str] = SAMPLES

    @property
    def suffix(self) -> str:
        """Of the files that are written."""
        return ".png"

    def rows_to_write(self, source: Path, size: tuple[int, int] | None) -> NDArray[Any] | None:
        """Rows whose originals become new files; None where the files of `source` are copied.

        size: (height, width) px of all files, None for that of each original.
        """
        if size is None and source.suffix.lower() == ".npz" and source.is_file():
            return to_uint8(read_npz(source)["x"])[0]
        return None if size is None else self.data.pixels

    def file_content(self, row: NDArray[Any], size: tuple[int, int] | None) -> bytes:
        """The bytes of the file of one of these rows."""
        return png_bytes(resize_image(row, size or row.shape[:2]))

    @property
    def data(self) -> Labelled:
        """The images, at the size that a model works at; of signals the windows."""
        return self.read.data

    @cached_property
    def sha256(self) -> str:
        """The fingerprint of the data."""
        return self.data.kind.sha256(self.data, self.unlabelled)

    @cached_property
    def unlabelled(self) -> Labelled | None:
        """The images without a class, at the size of the others, if there are any."""
        options = self.options
        if options.unlabelled is None:
            return None
        check_unlabelled(self.recipe())
        return read_images(
            options.unlabelled,
            image_size=self.data.image_shape[:2],
            resize=options.resize,
            skip_bad=options.skip_bad,
            workers=options.workers,
            labelled=False,
        ).data

    def line(self) -> str:
        """How many images of which size, for people."""
        return self.data.kind.describe(self.data)

    def facts(self) -> dict[str, Any]:
        """The same for JSON."""
        return self.data.kind.facts(self.data)

    def recipe(self) -> Recipe:
        """The recipe, with what the options say otherwise."""
        check_length(self.options.steps, self.options.budget_s)
        return with_options(resolve_recipe(self.options.recipe), self.options)

    def machine(self) -> ComputeConfig:
        """Return the device, precision and threads that train."""
        from gan_augment.machine import compute_config

        options, (height, width, _) = self.options, self.data.image_shape
        return compute_config(options.device, options.precision, options.threads, height * width)

    def own_length(self, recipe: Recipe) -> str:
        """How long a fit trains where neither steps nor a budget are given."""
        if not recipe.generator.trained:
            return "nothing is trained"
        return f"{recipe.steps} steps (the recipe's own)"

    def generator(self, callbacks: Sequence[Callback] = ()) -> ImageGAN:
        """An unfitted generator with the settings of the options."""
        from gan_augment.generators.image_gan import ImageGAN

        selection = self.options.selection
        return ImageGAN(recipe=self.recipe(), selection=selection, **self._settings(callbacks))

    def fit_arguments(self) -> dict[str, Any]:
        """What `ImageGAN.fit` wants to know beside the pixels."""
        entries = self.read.scan.entries
        height = statistics.median_low([entry.height for entry in entries])
        width = statistics.median_low([entry.width for entry in entries])
        size = {"original_size": (int(height), int(width)), "resize": self.options.resize}
        return size | {"unlabelled": self.unlabelled}

    def write_run(self, run: Path, gan: Any) -> None:
        """Write the model, then the picture of its samples."""
        gan.save(run / MODEL)
        write_file(run / SAMPLES, self._samples_sheet(gan))

    def check_model(self, meta: Meta) -> None:
        """Raise DataError where the images have other classes or channels than the model."""
        assert isinstance(meta, ModelMeta)
        _check_classes(self.data.names, meta)
        if meta.kind != "image":
            raise DataError("the data is images, the model makes signals; fit a model to it.")
        channels, known = self.data.image_shape[2], meta.image_shape[2]
        if channels != known:
            raise DataError(
                f"the data has images of {channels} channels, the model makes {known}; fit a model "
                "to it."
            )

    def _samples_sheet(self, gan: ImageGAN) -> bytes:
        """Per class reals above synthetics, topped-up classes first, as the bytes of a PNG file."""
        rows = []
        for name, count, shown in self._shown(gan, IMAGES_A_CLASS):
            try:
                samples = gan.rows(name, 0, IMAGES_A_CLASS).pixels
            except TooFewAcceptedError:  # of a refused class its first candidates
                samples = gan.candidates(name)[0][:IMAGES_A_CLASS]
            note = "1 real row" if count == 1 else f"{count:,} real rows"
            rows.append(SheetRow(name, note, self.data.pixels[shown], samples))
        return png_bytes(contact_sheet(rows, columns=IMAGES_A_CLASS))


@dataclass(frozen=True)
class SignalKind(ImageKind):
    """Labelled windows of signals, which a generator learns as images one pixel high."""

    unit: ClassVar[str] = "windows"

    @property
    def signals(self) -> ReadSignals:
        """What was read."""
        assert isinstance(self.read, ReadSignals)
        return self.read

    @property
    def suffix(self) -> str:
        """Of the files that are written: .wav where the data has a rate, else .npy."""
        return suffix_of(self.signals.data.meta.rate)

    def rows_to_write(self, source: Path, size: tuple[int, int] | None) -> NDArray[Any] | None:
        """Windows of arrays and of longer recordings, (N, C, L); other files are copied."""
        return self.signals.values if source.is_file() or self.signals.cut else None

    def file_content(self, row: NDArray[Any], size: tuple[int, int] | None) -> bytes:
        """The bytes of the file of a window (C, L)."""
        return file_bytes(row, self.signals.data.meta.rate)

    @cached_property
    def unlabelled(self) -> Labelled | None:
        """None: signals without a class are not taken."""
        if self.options.unlabelled is not None:
            raise UsageError("--unlabelled is of images and tables, and the data is signals")
        return None

    def fit_arguments(self) -> dict[str, Any]:
        """What `ImageGAN.fit` wants to know beside the signals."""
        return {"unlabelled": self.unlabelled}

    def check_model(self, meta: Meta) -> None:
        """Raise DataError where the windows have other classes or another shape than the model."""
        assert isinstance(meta, ModelMeta)
        _check_classes(self.data.names, meta)
        (_, length, channels), known = self.data.image_shape, meta.image_shape
        if (1, length, channels) != known or self.signals.data.meta.rate != meta.rate:
            theirs = "images"
            if meta.kind == "signal":
                theirs = f"windows of {known[1]} samples, {known[2]} channels, rate {meta.rate}"
            raise DataError(
                f"the data has windows of {length} samples, {channels} channels, rate "
                f"{self.signals.data.meta.rate}, the model makes {theirs}; cut them alike with "
                "--window (window=), or fit a model to them."
            )


@dataclass(frozen=True)
class TableKind(_Kind):
    """A labelled table that was read with the options of a fit."""

    read: ReadTable
    options: FitOptions
    name: ClassVar[DataKind] = "table"
    unit: ClassVar[str] = "rows"
    samples: ClassVar[str] = TABLE_SAMPLES

    @property
    def data(self) -> Labelled:
        """The rows."""
        return self.read.table

    @property
    def counts(self) -> Mapping[str, int]:
        """Rows a class, of the whole file."""
        return self.read.counts

    @property
    def notes(self) -> tuple[str, ...]:
        """Sentences on the data, and which classes are too small to be learned."""
        from gan_augment.generators.row_sampler import FEW_ROWS

        few = {name: n for name, n in self.counts.items() if 0 < n < FEW_ROWS}
        listed = ", ".join(f"{name} ({n})" for name, n in few.items())
        small = f"too small to be learned: {listed}; their rows are jittered, a lone one repeated"
        return (*self.read.notes, small) if few else self.read.notes

    @cached_property
    def sha256(self) -> str:
        """The fingerprint of the data."""
        known = self.data.kind.sha256(self.data, self.unlabelled)
        both = f"{known} {self.read.whole.sha256}" if self.read.whole else ""
        return sha256(both.encode()).hexdigest() if both else known

    @cached_property
    def unlabelled(self) -> Labelled | None:
        """The rows without a class, if there are any."""
        from gan_augment.data.tables.reader import read_unlabelled

        path, target = self.options.unlabelled, self.options.target
        if path is None or target is None:
            return None
        check_unlabelled(self.recipe())
        return read_unlabelled(path, target)

    def line(self) -> str:
        """How many rows, and columns of which kind, for people."""
        n, classes = sum(self.counts.values()), len(self.data.names)
        schema = self.read.schema
        return f"{n} rows of {classes} classes; {len(schema.columns)} columns: {kinds_of(schema)}"

    def facts(self) -> dict[str, Any]:
        """The columns and their kinds for JSON."""
        schema = self.read.schema
        return {
            "target": None if schema.target is None else str(schema.target.name),
            "columns": {str(column.name): column.kind for column in schema.columns},
        }

    def recipe(self) -> Recipe:
        """The recipe, with what the options say otherwise."""
        options = self.options
        recipe = table_recipe(options.recipe, options.steps, options.budget_s)
        return with_options(recipe, options)

    def machine(self) -> ComputeConfig:
        """Return the device, precision and threads that train."""
        from gan_augment.machine import compute_config

        options = self.options
        return compute_config(options.device, options.precision, options.threads)

    def own_length(self, recipe: Recipe) -> str:
        """How long a fit trains where neither steps nor a budget are given."""
        if not recipe.generator.trained:
            return "nothing is trained (--steps and --budget train)"
        return f"{recipe.steps} steps (the recipe's own)"

    def generator(self, callbacks: Sequence[Callback] = ()) -> TabularGAN:
        """An unfitted generator with the settings of the options."""
        from gan_augment.generators.tabular_gan import TabularGAN

        return TabularGAN(recipe=self.recipe(), **self._settings(callbacks))

    def fit_arguments(self) -> dict[str, Any]:
        """What `TabularGAN.fit` wants to know beside the rows."""
        return {"schema": self.read.schema, "unlabelled": self.unlabelled}

    def write_run(self, run: Path, gan: Any) -> None:
        """Write the model, how its training file is written, and real beside synthetic rows."""
        from gan_augment.data.tables.export import FileFormat

        gan.save(run / MODEL)
        stored = FileFormat.of(self.read.source)
        write_file(run / FILE_FORMAT, stored.model_dump_json(exclude_defaults=True).encode())
        write_file(run / TABLE_SAMPLES, self._samples_csv(gan, stored))

    def check_model(self, meta: Meta) -> None:
        """Raise DataError where the data has other classes, columns or types than the model."""
        assert isinstance(meta, TableMeta)
        _check_classes(self.data.names, meta)
        mine = {column.name: column.dtype for column in self.read.schema.columns}
        theirs = {column.name: column.dtype for column in meta.table.columns}
        for name in [*theirs, *mine]:
            here, there = mine.get(name, "not there"), theirs.get(name, "not there")
            if _family(here) != _family(there):
                raise DataError(
                    f"column {name!r} is {here} in the data and {there} in the model; fit a model "
                    "to this data."
                )

    def _samples_csv(self, gan: TabularGAN, stored: FileFormat) -> bytes:
        """Per class reals, then synthetics, topped-up classes first, as the bytes of a CSV file.

        The columns `class` and `origin` stand before those of the data, whose cells are written as
        in the training file.
        """
        import pandas as pd

        from gan_augment.data.tables.csv import CellFormat, CsvFormat, format_rows, plain_format

        parts, labels, origins = [], [], []
        for name, _, shown in self._shown(gan, ROWS_A_CLASS):
            samples = gan.rows(name, 0, ROWS_A_CLASS).frame
            parts += [self.data.frame.iloc[shown], samples]
            labels += [name] * (len(shown) + len(samples))
            origins += ["real"] * len(shown) + ["synthetic"] * len(samples)
        frame = pd.concat(parts, ignore_index=True)
        plain = plain_format(frame)
        known = {column.name: column for column in (stored.csv or plain).columns}
        for place, (name, cells) in enumerate((("class", labels), ("origin", origins))):
            while name in frame.columns:
                name += "_"
            frame.insert(place, name, cells)
        own = [known.get(c.name, c) for c in plain.columns]
        first = [CellFormat(name=name) for name in frame.columns[:2]]
        how = CsvFormat.of([*first, *own], (stored.csv or plain).dialect)
        return how.first_line() + format_rows(frame, how)


Kind = ImageKind | SignalKind | TableKind


def read_data(
    source: str | Path,
    options: FitOptions,
    progress: Progress | None = None,
    *,
    sampled: bool = False,
    more: Sequence[str] = (),
) -> ImageKind | SignalKind | TableKind:
    """Read labelled images or signals, or with `options.target` a table. Nothing is written.

    sampled: only `options.most_rows` rows of a Parquet file of more, as `read_table` chooses them.
    more: of a manifest of images, columns beside its own.
    Raises DataError where the data cannot be used, UsageError where the options are of the other
    kind.
    """
    source = Path(source)
    if options.target is None:
        check_no_table(source, options)
        if options.window is not None or holds_signals(source):
            if more:
                raise UsageError(
                    f"{more[0]!r} names a column, and {str(source)!r} is signals, which have none"
                )
            return SignalKind(_read_signals(source, options, progress), options)
        read = read_images(
            source,
            image_size=options.image_size,
            resize=options.resize,
            skip_bad=options.skip_bad,
            workers=options.workers,
            columns=more,
            progress=progress,
        )
        return ImageKind(read, options)
    from gan_augment.data.tables.reader import read_table

    _check_table(source, options)
    (progress or Progress()).phase("reading the table")
    columns = Overrides.checked({"columns": options.columns}, "column kinds")
    most = options.most_rows if sampled else None
    return TableKind(read_table(source, options.target, columns, most_rows=most), options)


def _read_signals(source: Path, options: FitOptions, progress: Progress | None) -> ReadSignals:
    check_there(source, "a folder of classes of .npy or .wav files, or an .npz")
    if options.image_size is not None or options.resize != "squeeze":
        raise UsageError(
            f"--image-size and --resize are for images, and {str(source)!r} is signals; --window "
            "cuts those to a length"
        )
    return read_signals(source, window=options.window, skip_bad=options.skip_bad, progress=progress)


def unit_of(meta: Meta) -> str:
    """What a model makes: "images", "windows" or "rows"."""
    return "rows" if isinstance(meta, TableMeta) else meta.unit


def check_no_table(source: Path, options: FitOptions) -> None:
    """Raise UsageError for a table without a target, and for the root of a file system."""
    if source.resolve() == Path(source.resolve().anchor):
        raise UsageError(f"{str(source)!r} is the root of a file system; name a folder of classes")
    if options.columns:
        raise UsageError("kinds of columns were given and no table: name its --target COLUMN")
    if options.most_rows != FitOptions().most_rows:
        raise UsageError("--most-rows is of a table, and none was given: name its --target COLUMN")
    if source.is_file() and source.suffix.lower() in set(TABLE_SUFFIXES) - {".csv"}:
        raise UsageError(
            f"{str(source)!r} is a table; say which column holds the labels, with --target COLUMN. "
            "(A list of images is a .csv with the columns path,label or path,label,group.)"
        )


def read_meta(run: str | Path) -> ModelMeta | TableMeta:
    """The description of a run's model, verified: of images or of a table."""
    file = model_path(Path(run))
    if load_meta(file, schema=dict).get("kind") == "table":
        return load_meta(file, schema=TableMeta)
    return load_meta(file, schema=ModelMeta)


def kept_lines(meta: Meta) -> list[str]:
    """Which generator was kept and why; of images what selection keeps and artefacts show."""
    if isinstance(meta, TableMeta):
        return [f"kept: {meta.chosen}; {meta.reason}"]
    first = "no scored generator was fit to keep; the last one was"
    if meta.score.value is not None:
        first = f"kept: {meta.chosen} (held-out score {meta.score.value:.4g}, lower is better)"
    found = [meta.usefulness.in_words()] if meta.usefulness else []
    return [first, *meta.selection_lines(), *found, *([meta.advice()] if meta.selection else [])]


def model_sha256(run: str | Path) -> str:
    """The fingerprint of a run's model, arrays included."""
    return bundle_sha256(model_path(Path(run)))


def options_of_model(options: FitOptions, meta: Meta) -> FitOptions:
    """The options with the size, or the target and the ids, and the classes of a model.

    Raises UsageError where they are of the other kind, or name another target.
    """
    classes = meta.topped_up if options.classes == "rare" else options.classes
    if isinstance(meta, ModelMeta):
        if options.target is not None:
            raise UsageError("the model is of images, and --target names a column of a table")
        height, width, _ = meta.image_shape
        size: dict[str, Any] = {"image_size": (height, width), "resize": meta.resize}
        if meta.kind == "signal":
            size = {}
        return options.model_copy(update={**size, "classes": classes})
    target = meta.table.target
    assert target is not None  # a run is fitted to a file
    if options.target not in (None, str(target.name)):
        raise UsageError(
            f"the model's target is {str(target.name)!r}, not {options.target!r}; leave --target "
            "out, or fit a model."
        )
    ids = {str(column.name): "id" for column in meta.table.columns if column.kind == "id"}
    columns = ids | {str(name): kind for name, kind in options.columns.items()}
    values = {"target": str(target.name), "columns": columns, "classes": classes}
    return options.model_copy(update=values)


def kinds_of(schema: TableSchema) -> str:
    """How many columns of each kind.

    >>> from gan_augment.data.tables.schema import Column
    >>> columns = [Column(name=n, kind="numeric", dtype="int64") for n in "ab"]
    >>> kinds_of(TableSchema(columns=tuple(columns)))
    '2 numeric'
    """
    return ", ".join(f"{n} {kind}" for kind, n in Counter(c.kind for c in schema.columns).items())


def _check_table(source: Path, options: FitOptions) -> None:
    check_there(source, "a .csv or .parquet file")
    if source.is_dir() or source.suffix.lower() not in TABLE_SUFFIXES:
        what = "is a folder" if source.is_dir() else "is no table"
        raise UsageError(
            f"--target names a column of a table, and {str(source)!r} {what}; expected a file of "
            f"{', '.join(TABLE_SUFFIXES)}. Leave --target out for images."
        )
    defaults = FitOptions()
    changed = [name for name in _OF_IMAGES if getattr(options, name) != getattr(defaults, name)]
    if changed:
        flags = ", ".join("--" + name.replace("_", "-") for name in changed)
        raise UsageError(f"{flags}: for images only, and with --target this is a table")


def _check_classes(names: Iterable[str], meta: Meta) -> None:
    """Raise DataError where the data holds a class that the model does not know."""
    unknown = [name for name in names if name not in meta.classes]
    if unknown:
        raise DataError(
            f"the model knows the classes {', '.join(meta.classes)}, not {', '.join(unknown)}, "
            "which the data holds; fit a model to this data."
        )


def _family(dtype: str) -> str:
    """Types that a file of one kind and one of the other may have for the same cells.

    >>> _family("arrow:int64") == _family("Int64") == _family("float64")
    True
    """
    plain = dtype.removeprefix("arrow:").lower()
    return next((name for name, start in _FAMILIES.items() if plain.startswith(start)), plain)
