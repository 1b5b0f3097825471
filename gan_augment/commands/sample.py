"""`sample`: exact counts from a trained run, the same bytes every time, into a folder or a file.

Images are drawn in blocks, in this process or in workers of one thread each. A shard is a share of
the same sample, so that other processes and machines can draw the rest.
"""

from __future__ import annotations

import os
import platform
import reprlib
import time
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from functools import lru_cache
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from pydantic import ValidationError

from gan_augment.commands.kinds import (
    Meta,
    model_sha256,
    read_meta,
    unit_of,
)
from gan_augment.commands.outputs import (
    FILE_FORMAT,
    FolderOutput,
    Output,
    Result,
    output_file,
    output_folder,
    resolver_folder,
)
from gan_augment.commands.shards import WHOLE, Piece, Shard, image_pieces, row_pieces
from gan_augment.data.images.png_folder import (
    ManifestRow,
    check_png_channels,
    is_whole_png,
    png_bytes,
    safe_names,
    with_sources,
    write_part,
)
from gan_augment.data.images.resize import resize_batch
from gan_augment.data.signals import file_bytes, is_whole_signal, suffix_of
from gan_augment.data.tables.columns import joined
from gan_augment.data.tables.export import (
    FileFormat,
    NewRows,
    check_out,
    write_table,
)
from gan_augment.data.topup_plan import check_planned, choose_classes, plan_topup
from gan_augment.errors import (
    GanAugmentError,
    ModelFileError,
    TooFewAcceptedError,
    UsageError,
    unknown_class,
)
from gan_augment.generators import model_folder
from gan_augment.generators.gan import check_code
from gan_augment.generators.model_file import NAME, ModelMeta, TableMeta
from gan_augment.input_files import read_regular
from gan_augment.kinds.image import IMAGE
from gan_augment.kinds.signal import from_unit
from gan_augment.options import MOST, TopUp
from gan_augment.processes import available_cores, end_with_parent
from gan_augment.progress import Progress
from gan_augment.storage import check_room, write_errors
from gan_augment.storage.bundle import bundle_sha256, load_meta

if TYPE_CHECKING:
    from gan_augment.generators.image_gan import ImageGAN
    from gan_augment.generators.tabular_gan import TabularGAN

__all__ = ["SampleResult", "sample"]

BLOCK_ROWS = 64
BLOCKS_A_ROUND = 256  # then workers that selection kept waiting are waited for
IMAGES_A_WORKER = 5000  # a worker needs seconds to load torch and the model
ROWS_AT_ONCE = 16_384  # of a table: whole blocks of its sampler

SavedModel = tuple[str, str, bool]
"""The folder of a model, its sha256, and whether code of the user's may be run for it."""


def _rows(pieces: Sequence[Piece]) -> int:
    return sum(piece.stop - piece.start for piece in pieces)


@dataclass(frozen=True)
class SampleResult(Result):
    """What was drawn. counts: by class, of `unit`. kept: of all, found from a stopped run."""

    out: Path
    run: Path
    counts: dict[str, int]
    kept: int
    seed: int
    seconds: float
    unit: str = "images"

    @property
    def rate(self) -> float:
        """Images or rows generated and written a second, loading included."""
        return (sum(self.counts.values()) - self.kept) / max(self.seconds, 1e-9)

    def to_dict(self) -> dict[str, Any]:
        """Ready for JSON, with the number of all rows under the name of their unit."""
        total = {self.unit: sum(self.counts.values()), f"{self.unit}_per_s": round(self.rate, 1)}
        return {**super().to_dict(), **total, "seconds": round(self.seconds, 3)}

    def lines(self) -> list[str]:
        """The same for people."""
        total = sum(self.counts.values())
        kept = f" ({self.kept} were there)" if self.kept else ""
        rows = [f"  {name}: {n}" for name, n in self.counts.items()]
        rate = f"{self.seconds:.1f} s, {self.rate:.0f} {self.unit}/s"
        return [f"{total} synthetic {self.unit}{kept}, {rate}", *rows]


def sample(
    run: str | Path,
    out: str | Path,
    *,
    counts: Mapping[str, int] | int | None = None,
    classes: str | Sequence[str] | None = None,
    seed: int = 0,
    workers: int | None = None,
    mark: bool = False,
    shard: str | None = None,
    super_resolve: int | None = None,
    overwrite: bool = False,
    resume: bool = False,
    allow_code: bool = False,
    progress: Progress | None = None,
) -> SampleResult:
    """Write `out/<class>/000000.png`, ... and `out/manifest.csv` with images of a trained run.

    Windows of signals are .npy files, or .wav files where the run learned from such.

    Of a run on a table it writes rows into the file `out`: a CSV as the one that the run learned
    from, or a Parquet file with its schema. Image or row i of a class depends on the run, the seed
    and i only, but for id-like columns, which are numbered through the whole file.

    Parameters
    ----------
    counts
        Images or rows of each class {name: n}, or one number for every class of `classes`, or None
        for what brings each of them level with the largest class.
    classes
        As in `fit`; None for those that the run was fitted to top up.
    workers
        Processes that draw images; None is one for every 5,000 images, at most one a core.
    mark
        Of tables, see `augment`.
    shard
        "3/16": the third of 16 shares of the same images or rows, which as many calls draw, in any
        order and anywhere. All write into the folder `out`. Images are called as in the whole, and
        are listed in `manifest-00003-of-00016.csv`; rows are `part-00003-of-00016.parquet`, and
        the parts in the order of their names are the whole.
    super_resolve
        2 or 4: images of so many times the model's side, by a run that was fitted with it
        (`FitOptions.super_resolve`).
    resume
        Go on where a stopped call was: images that are whole stay, a table is written anew.
    allow_code
        Whether the file of a model with networks of the user's own may be run.

    Raises
    ------
    GanAugmentError
        OutputExistsError, UnknownClassError, ModelFileError, WriteFailedError, and
        TooFewAcceptedError for a class that the model cannot serve (the others are written).

    Examples
    --------
    >>> result = sample("runs/photos", "out", counts={"bad": 3})  # doctest: +SKIP
    >>> sorted(path.name for path in Path("out/bad").iterdir())  # doctest: +SKIP
    ['000000.png', '000001.png', '000002.png']
    """
    run, out, progress = Path(run), Path(out), progress or Progress()
    meta = read_meta(run)
    check_code(meta.recipe, allowed=allow_code)
    target_counts = counts_to_draw(meta, counts, classes)
    started_s, kept = time.monotonic(), 0
    share = WHOLE if shard is None else Shard.of_text(shard)
    made_from = {"model": model_sha256(run), "seed": seed, "counts": target_counts}
    made_from |= {} if shard is None else {"shards": share.of}
    if super_resolve is not None:
        if meta.kind != "image":
            raise UsageError(f"--super-resolve is for images, and this run is of {unit_of(meta)}")
        made_from["super-resolver"] = bundle_sha256(
            resolver_folder(model_folder(run), super_resolve)
        )
    if isinstance(meta, TableMeta):
        file = out if shard is None else out / f"part-{share.name}.parquet"
        check_out(file)
        flags = {"mark": mark}
        pieces, before = row_pieces(target_counts, share)
        with output_file(file, "sample", resume=resume, overwrite=overwrite) as output:
            output.describe(made_from | flags)
            if output.finished:
                progress.note(f"{str(file)!r} is finished; nothing is left to draw")
                kept = _rows(pieces)
            else:
                _write_table(output, run, pieces, before, seed, progress, **flags)
    else:
        if mark:
            unit = unit_of(meta)
            raise UsageError(f"marks are for tables, and this run is of {unit}")
        if meta.kind == "image":
            check_png_channels(meta.image_shape[2])
        check_planned(sum(target_counts.values()))
        pieces = image_pieces(target_counts, share, meta.recipe.generator.span)
        part = "" if shard is None else share.name
        with output_folder(out, "sample", resume=resume, overwrite=overwrite, shard=part) as folder:
            how = (seed, workers, progress, allow_code, super_resolve)
            kept = _write_folder(folder, made_from, run, meta, pieces, target_counts, share, *how)
    drawn = {name: _rows([p for p in pieces if p.label == name]) for name in target_counts}
    seconds = time.monotonic() - started_s
    return SampleResult(out, run, drawn, kept, seed, seconds, unit_of(meta))


def counts_to_draw(
    meta: Meta, counts: Mapping[str, int] | int | None, classes: str | Sequence[str] | None
) -> dict[str, int]:
    """Rows to draw of each class, {name: n}, n >= 1; classes of which none is asked are left out.

    Raises UnknownClassError, and UsageError where the numbers make no sense or nothing is left.
    """
    unit = unit_of(meta)
    if isinstance(counts, Mapping):
        if classes is not None:
            raise UsageError("counts by class and classes were both given; the counts name them")
        target_counts = dict(counts)
    else:
        selected = meta.topped_up if classes is None else choose_classes(classes, meta.classes)
        level = TopUp(synthetic_share=1.0, companions=False)
        plan = plan_topup(meta.classes, level, selected)
        target_counts = {c: plan[c].added if counts is None else counts for c in selected}
    for name, n in target_counts.items():
        if name not in meta.classes:
            raise unknown_class(name, meta.classes)
        if isinstance(n, bool) or not isinstance(n, int) or not 0 <= n <= MOST:
            raise UsageError(
                f"{reprlib.repr(n)} {unit} of {name!r}; expected a whole number, 0 to {MOST:,}"
            )
    target_counts = {name: n for name, n in target_counts.items() if n}
    if not target_counts:
        raise UsageError(f"there is nothing to draw; say how many {unit}, such as --counts 100")
    return target_counts


def write_images(
    model: Path,
    out: Path,
    paths: Mapping[str, Sequence[str]],
    *,
    shard: Shard = WHOLE,
    gan: ImageGAN | None = None,
    seed: int,
    workers: int | None = None,
    size: tuple[int, int] | None = None,
    super_resolve: int | None = None,
    keep: bool = False,
    allow_code: bool = False,
    advance: Callable[[int], None] = lambda done: None,
) -> tuple[int, dict[str, str]]:
    """Write the images of every class, `paths` = {class: paths below `out`, in order}.

    Image i of a span of 1,024 is its i-th candidate that selection keeps: the same bytes whatever
    the number of workers. model: the folder of the saved model; gan: the same in memory, if it is
    there. shard: its share of the images alone. workers: processes of one thread each; 1 is this
    process, None one for every 5,000 images, at most one a core. size: (height, width) px to
    write them at, None for the model's. super_resolve: draw them at so many times the model's side,
    by the super-resolver beside the model. keep: leave files that are whole.
    allow_code: as in `sample`. advance: is told how many are done.

    Returns how many images were there before, and {class that the model refuses: why}; a refused
    class leaves no file, the others go on.
    """
    meta = gan.meta_ if gan else load_meta(model, NAME, schema=ModelMeta)
    selecting, refused = meta.selection is not None, dict[str, str]()
    span = meta.recipe.generator.span
    spans = [
        _Span(out, paths[label][start:stop], label, start // span, keep, selecting, refused)
        for label, start, stop in image_pieces(
            {c: len(own) for c, own in paths.items()}, shard, span
        )
    ]
    missing = sum(len(span.missing) for span in spans)
    before = sum(len(span.paths) for span in spans) - missing
    advance(before)
    if missing:
        processes = _worker_count(missing, workers)
        source: ImageGAN | SavedModel
        if processes > 1:
            source = str(model.resolve()), bundle_sha256(model), allow_code
        else:
            source = gan or _load(model, allow_code)
        resolver = None
        if super_resolve is not None:
            folder = resolver_folder(model, super_resolve)
            resolver = str(folder.resolve()), bundle_sha256(folder)
        how = (seed, size, resolver, processes)
        _draw(spans, source, *how, lambda done: advance(before + done))
    with write_errors(out):
        for path in (path for span in spans if span.label in refused for path in span.paths):
            (out / path).unlink(missing_ok=True)
    return before, refused


def suffix_of_files(meta: ModelMeta) -> str:
    """ ".png" of images, ".wav" of signals that have a rate, ".npy" of others."""
    return ".png" if meta.kind == "image" else suffix_of(meta.rate)


def is_whole(path: Path) -> bool:
    """Whether a file of an image or a signal that was written here is whole."""
    return is_whole_png(path) if path.suffix == ".png" else is_whole_signal(path)


class _Span:
    """A span of a class on its way: its blocks are drawn anywhere, and placed here in their order.

    What is there is passed over: all of it, or whole blocks where every candidate is kept.
    refused: {class: why}, of all spans together.
    """

    def __init__(
        self,
        out: Path,
        paths: Sequence[str],
        label: str,
        number: int,
        keep: bool,
        selecting: bool,
        refused: dict[str, str],
    ) -> None:
        from gan_augment.generators.selection import first_block

        self.out, self.paths, self.label = out, paths, label
        self.first_block = first_block(number, selecting=selecting)
        places = enumerate(paths)
        self.missing = {i for i, p in places if not (keep and is_whole(out / p))}
        self.blocks = self.images = 0
        self.refused = refused
        if not self.missing:
            self.images = len(paths)
        elif not selecting:
            self.blocks = min(self.missing) // BLOCK_ROWS
            self.images = self.blocks * BLOCK_ROWS

    def next_blocks(self) -> range:
        """The blocks of the next round: as many as may do, by what those before gave."""
        left = len(self.paths) - self.images
        if self.label in self.refused or left <= 0:
            return range(0)
        rate = max(self.images // self.blocks, 1) if self.blocks else BLOCK_ROWS
        first = self.first_block + self.blocks
        return range(first, first + -(-left // rate))

    def place(self, images: Sequence[bytes] | str) -> int:
        """Write the images of the next block, or learn why there are none; how many are done."""
        from gan_augment.generators.selection import check_going_on

        if self.label in self.refused or self.images >= len(self.paths):
            return 0
        first = self.images
        try:
            if isinstance(images, str):
                raise TooFewAcceptedError(images)
            self.blocks, self.images = self.blocks + 1, first + len(images)
            check_going_on(self.label, self.images, self.blocks)
        except TooFewAcceptedError as error:
            self.refused[self.label] = str(error)
            return 0
        done = 0
        for place, content in enumerate(images[: len(self.paths) - first], first):
            if place in self.missing:
                write_part(self.out / self.paths[place], content)
                self.missing.remove(place)
                done += 1
        return done


def _draw(
    spans: Sequence[_Span],
    source: ImageGAN | SavedModel,
    seed: int,
    size: tuple[int, int] | None,
    resolver: tuple[str, str] | None,
    processes: int,
    advance: Callable[[int], None],
) -> None:
    """Draw blocks, round by round, until every class is whole or refused."""
    from joblib import Parallel, delayed, parallel_config
    from joblib.externals.loky.process_executor import TerminatedWorkerError

    done, parent = 0, (os.getpid(), platform.node())
    missing = sum(len(span.missing) for span in spans)
    with warnings.catch_warnings(), parallel_config("loky", inner_max_num_threads=1):
        # joblib replaces a worker that has grown by 300 MB, and warns: no news
        warnings.filterwarnings("ignore", "A worker stopped while some jobs", UserWarning)
        while turns := list(islice(_turns(spans), BLOCKS_A_ROUND)):
            how = (seed, size, resolver, *parent)
            tasks = (delayed(_block)(source, span.label, n, *how) for span, n in turns)
            try:
                with closing(Parallel(processes, return_as="generator")(tasks)) as blocks:
                    for (span, _), images in zip(turns, blocks, strict=True):
                        if not done and isinstance(images, list) and images:
                            each_bytes = sum(map(len, images)) // len(images)
                            check_room(span.out, each_bytes * missing, missing)
                        done += span.place(images)
                        advance(done)
            except TerminatedWorkerError as error:
                raise GanAugmentError(f"a worker ended early: {error}") from None


def _turns(spans: Sequence[_Span]) -> Iterator[tuple[_Span, int]]:
    return ((span, number) for span in spans for number in span.next_blocks())


def _block(
    source: ImageGAN | SavedModel,
    name: str,
    number: int,
    seed: int,
    size: tuple[int, int] | None,
    resolver: tuple[str, str] | None,
    parent: int,
    machine: str,
) -> list[bytes] | str:
    """One block of a class as the bytes of its files, or why the class is refused."""
    end_with_parent(parent, machine)
    gan = _loaded(*source) if isinstance(source, tuple) else source
    try:
        pixels, ids = gan.sample_block(name, number, seed)
    except TooFewAcceptedError as error:  # of one class: the others go on
        return str(error)
    meta = gan.meta_
    if meta.scale is not None:
        return [file_bytes(values, meta.rate) for values in from_unit(pixels, meta.scale)]
    if resolver is not None:
        pixels = resolved(pixels, *resolver)
    sized = pixels if size is None else resize_batch(pixels, size)
    return [
        png_bytes(image, synthetic=True, source="" if ids is None else str(ids[place]))
        for place, image in enumerate(sized)
    ]


def resolved(pixels: NDArray[np.uint8], folder: str, sha256: str) -> NDArray[np.uint8]:
    """Images at a multiple of their side, by the super-resolver that is saved in a folder."""
    gan = _loaded(folder, sha256, False)
    name, labels = next(iter(gan.classes_)), np.zeros(len(pixels), np.int64)
    rows = IMAGE.of(pixels, labels, np.arange(len(pixels)).astype(str), class_names=(name,))
    return gan.sample({name: len(pixels)}, source=rows).pixels


@lru_cache(maxsize=2)
def _loaded(folder: str, sha256: str, allow_code: bool) -> ImageGAN:
    """The model in a folder, loaded once a worker; `sha256` tells it from an earlier one."""
    return _load(Path(folder), allow_code)


def _load(folder: Path, allow_code: bool) -> ImageGAN:
    from gan_augment.generators.image_gan import ImageGAN

    return ImageGAN.load(folder, threads=1, allow_code=allow_code)


def _worker_count(images: int, requested: int | None) -> int:
    if requested is None:
        requested = min(available_cores(), -(-images // IMAGES_A_WORKER))
    return min(max(requested, 1), max(1, -(-images // BLOCK_ROWS)))


def _write_folder(
    folder: FolderOutput,
    made_from: Mapping[str, Any],
    run: Path,
    meta: ModelMeta,
    pieces: Sequence[Piece],
    target_counts: Mapping[str, int],
    shard: Shard,
    seed: int,
    workers: int | None,
    progress: Progress,
    allow_code: bool,
    super_resolve: int | None,
) -> int:
    """Write the images and the manifest; the number of images that were there before."""
    folder.check_room(0, _rows(pieces))
    below = safe_names(target_counts)
    suffix = suffix_of_files(meta)
    paths = {c: [f"{below[c]}/{i:06d}{suffix}" for i in range(n)] for c, n in target_counts.items()}
    rows = [
        ManifestRow(paths[name][index], name, "synthetic", run.name, index)
        for name, start, stop in pieces
        for index in range(start, stop)
    ]
    folder.describe(made_from)
    folder.plan(rows)
    progress.phase("sampling", len(rows))
    before, refused = write_images(
        model_folder(run),
        folder.path,
        paths,
        shard=shard,
        seed=seed,
        workers=workers,
        super_resolve=super_resolve,
        keep=folder.resuming,
        allow_code=allow_code,
        advance=progress.advance,
    )
    written = [row for row in rows if row.label not in refused]
    folder.finish(with_sources(folder.path, written))
    if refused:
        raise TooFewAcceptedError("; ".join(refused.values()))
    return before


def _write_table(
    output: Output,
    run: Path,
    pieces: Sequence[Piece],
    first_id: int,
    seed: int,
    progress: Progress,
    *,
    mark: bool,
) -> None:
    from gan_augment.generators.tabular_gan import TabularGAN

    gan, total = TabularGAN.load(model_folder(run)), _rows(pieces)
    example = joined(gan.rows(next(iter(gan.classes_)), 0, 1).frame, np.zeros(1, int), gan.schema_)
    progress.phase("sampling", total)
    write_table(
        output.path,
        _file_format(run),
        example,
        _table_rows(gan, pieces, first_id, seed, run.name),
        mark=mark,
        replace=output.replaces is not None,
        rows_to_come=total,
        whole=output.write_record,
        advance=progress.advance,
    )


def _table_rows(
    gan: TabularGAN, pieces: Sequence[Piece], first_id: int, seed: int, model: str
) -> Iterator[NewRows]:
    """Rows of every piece in chunks; ids are numbered through from `first_id` on."""
    number, names = first_id, list(gan.classes_)
    for name, first, last in pieces:
        for start in range(first, last, ROWS_AT_ONCE):
            stop = min(start + ROWS_AT_ONCE, last)
            frame = gan.rows(name, start, stop, seed, first_id=number).frame
            labels = np.full(stop - start, names.index(name), dtype=np.int64)
            yield NewRows(joined(frame, labels, gan.schema_), name, "synthetic", model, start)
            number += stop - start


def _file_format(run: Path) -> FileFormat:
    """How the file that a run learned from is written; nothing known for a model alone."""
    path = model_folder(run).parent / FILE_FORMAT
    try:
        return FileFormat.model_validate_json(read_regular(path))
    except FileNotFoundError:
        return FileFormat()
    except (OSError, ValidationError) as error:
        raise ModelFileError(
            f"{str(path)!r} cannot be read ({type(error).__name__}); remove it to have plain CSV."
        ) from None
