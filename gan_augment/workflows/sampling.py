"""`sample`: exact counts from a trained run, the same bytes every time, into a folder or a file.

Images are drawn in blocks, in this process or in workers of one thread each.
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
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from pydantic import ValidationError

from gan_augment.config import MOST, TopUp
from gan_augment.data.images.png_folder import (
    ManifestRow,
    check_png_channels,
    is_whole_png,
    png_bytes,
    safe_names,
    write_part,
)
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
from gan_augment.input_files import read_regular
from gan_augment.processes import available_cores, end_with_parent
from gan_augment.progress import Progress
from gan_augment.storage import check_room, write_errors
from gan_augment.storage.bundle import bundle_sha256, load_meta
from gan_augment.synthesizers import model_folder
from gan_augment.synthesizers.base import check_code
from gan_augment.synthesizers.model_file import NAME, ModelMeta, TableMeta
from gan_augment.workflows.kinds import Meta, model_sha256, read_meta
from gan_augment.workflows.outputs import (
    FILE_FORMAT,
    FolderOutput,
    Output,
    Result,
    output_file,
    output_folder,
)

if TYPE_CHECKING:
    from gan_augment.synthesizers.image_gan import ImageGAN
    from gan_augment.synthesizers.tabular_gan import TabularGAN

__all__ = ["SampleResult", "sample"]

BLOCK_ROWS = 64
BLOCKS_A_ROUND = 64  # of a class: selection may leave fewer images of a block
IMAGES_A_WORKER = 5000  # a worker needs seconds to load torch and the model
ROWS_AT_ONCE = 16_384  # of a table: whole blocks of its sampler

SavedModel = tuple[str, str, bool]
"""The folder of a model, its sha256, and whether code of the user's may be run for it."""


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
    escape_formulas: bool = False,
    overwrite: bool = False,
    resume: bool = False,
    allow_code: bool = False,
    progress: Progress | None = None,
) -> SampleResult:
    """Write `out/<class>/000000.png`, ... and `out/manifest.csv` with images of a trained run.

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
    mark, escape_formulas
        Of tables, see `augment`.
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
    if isinstance(meta, TableMeta):
        check_out(out)
        flags = {"mark": mark, "escape_formulas": escape_formulas}
        with output_file(out, "sample", resume=resume, overwrite=overwrite) as output:
            output.describe({**_made_from(run, target_counts, seed), **flags})
            if output.finished:
                progress.note(f"{str(out)!r} is finished; nothing is left to draw")
                kept = sum(target_counts.values())
            else:
                _write_table(output, run, target_counts, seed, progress, **flags)
    else:
        if mark or escape_formulas:
            raise UsageError("marks and escaped formulas are for tables, and this run is of images")
        check_png_channels(meta.image_shape[2])
        check_planned(sum(target_counts.values()))
        with output_folder(out, "sample", resume=resume, overwrite=overwrite) as folder:
            kept = _write_folder(folder, run, target_counts, seed, workers, progress, allow_code)
    seconds = time.monotonic() - started_s
    unit = "rows" if isinstance(meta, TableMeta) else "images"
    return SampleResult(out, run, target_counts, kept, seed, seconds, unit)


def counts_to_draw(
    meta: Meta, counts: Mapping[str, int] | int | None, classes: str | Sequence[str] | None
) -> dict[str, int]:
    """Rows to draw of each class, {name: n}, n >= 1; classes of which none is asked are left out.

    Raises UnknownClassError, and UsageError where the numbers make no sense or nothing is left.
    """
    unit = "rows" if isinstance(meta, TableMeta) else "images"
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
    gan: ImageGAN | None = None,
    seed: int,
    workers: int | None = None,
    keep: bool = False,
    allow_code: bool = False,
    advance: Callable[[int], None] = lambda done: None,
) -> tuple[int, dict[str, str]]:
    """Write the images of every class, `paths` = {class: paths below `out`, in order}.

    Image i of a class is its i-th candidate that selection keeps: the same bytes whatever the
    number of workers. model: the folder of the saved model; gan: the same in memory, if it is
    there. workers: processes of one thread each; 1 is this process, None one for every 5,000
    images, at most one a core. keep: leave files that are whole. allow_code: as in `sample`.
    advance: is told how many are done.

    Returns how many images were there before, and {class that the model refuses: why}; a refused
    class leaves no file, the others go on.
    """
    meta = gan.meta_ if gan else load_meta(model, NAME, schema=ModelMeta)
    selecting = meta.selection is not None
    lines = [_ClassImages(name, out, own, keep, selecting) for name, own in paths.items() if own]
    missing = sum(len(line.missing) for line in lines)
    before = sum(len(line.paths) for line in lines) - missing
    advance(before)
    if missing:
        processes = _worker_count(missing, workers)
        source: ImageGAN | SavedModel
        if processes > 1:
            source = str(model.resolve()), bundle_sha256(model), allow_code
        else:
            source = gan or _load(model, allow_code)
        _draw(lines, source, seed, processes, lambda done: advance(before + done))
    return before, {line.name: line.refused for line in lines if line.refused}


class _ClassImages:
    """One class on its way: its blocks are drawn anywhere, and placed here in their order.

    What is there is passed over: all of it, or whole blocks where every candidate is kept.
    """

    def __init__(
        self, name: str, out: Path, paths: Sequence[str], keep: bool, selecting: bool
    ) -> None:
        self.name, self.out, self.paths = name, out, paths
        places = enumerate(paths)
        self.missing = {i for i, p in places if not (keep and is_whole_png(out / p))}
        self.blocks = self.images = 0
        self.refused = ""
        if not self.missing:
            self.images = len(paths)
        elif not selecting:
            self.blocks = min(self.missing) // BLOCK_ROWS
            self.images = self.blocks * BLOCK_ROWS

    def next_blocks(self) -> range:
        """The blocks of the next round: as many as may do, by what those before gave."""
        left = len(self.paths) - self.images
        if self.refused or left <= 0:
            return range(0)
        rate = max(self.images // self.blocks, 1) if self.blocks else BLOCK_ROWS
        return range(self.blocks, self.blocks + min(-(-left // rate), BLOCKS_A_ROUND))

    def place(self, images: Sequence[bytes] | str) -> int:
        """Write the images of the next block, or learn why there are none; how many are done."""
        from gan_augment.synthesizers.selection import check_going_on

        if self.refused or self.images >= len(self.paths):
            return 0
        first = self.images
        try:
            if isinstance(images, str):
                raise TooFewAcceptedError(images)
            self.blocks, self.images = self.blocks + 1, first + len(images)
            check_going_on(self.name, self.images, self.blocks)
        except TooFewAcceptedError as error:
            self.refused = str(error)
            with write_errors(self.out):
                for path in self.paths:
                    (self.out / path).unlink(missing_ok=True)
            return len(self.missing)
        done = 0
        for place, content in enumerate(images[: len(self.paths) - first], first):
            if place in self.missing:
                write_part(self.out / self.paths[place], content)
                self.missing.remove(place)
                done += 1
        return done


def _draw(
    lines: Sequence[_ClassImages],
    source: ImageGAN | SavedModel,
    seed: int,
    processes: int,
    advance: Callable[[int], None],
) -> None:
    """Draw blocks, round by round, until every class is whole or refused."""
    from joblib import Parallel, delayed, parallel_config
    from joblib.externals.loky.process_executor import TerminatedWorkerError

    done, parent = 0, (os.getpid(), platform.node())
    missing = sum(len(line.missing) for line in lines)
    with warnings.catch_warnings(), parallel_config("loky", inner_max_num_threads=1):
        # joblib replaces a worker that has grown by 300 MB, and warns: no news
        warnings.filterwarnings("ignore", "A worker stopped while some jobs", UserWarning)
        while turns := [(line, number) for line in lines for number in line.next_blocks()]:
            tasks = (delayed(_block)(source, line.name, n, seed, *parent) for line, n in turns)
            try:
                with closing(Parallel(processes, return_as="generator")(tasks)) as blocks:
                    for (line, _), images in zip(turns, blocks, strict=True):
                        if not done and isinstance(images, list) and images:
                            each_bytes = sum(map(len, images)) // len(images)
                            check_room(line.out, each_bytes * missing, missing)
                        done += line.place(images)
                        advance(done)
            except TerminatedWorkerError as error:
                raise GanAugmentError(f"a worker ended early: {error}") from None


def _block(
    source: ImageGAN | SavedModel, name: str, number: int, seed: int, parent: int, machine: str
) -> list[bytes] | str:
    """One block of a class as the bytes of PNG files, or why the class is refused."""
    end_with_parent(parent, machine)
    gan = _loaded(*source) if isinstance(source, tuple) else source
    try:
        pixels = gan.sample_block(name, number, seed)
    except TooFewAcceptedError as error:  # of one class: the others go on
        return str(error)
    return [png_bytes(image, synthetic=True) for image in pixels]


@lru_cache(maxsize=1)
def _loaded(folder: str, sha256: str, allow_code: bool) -> ImageGAN:
    """The model in a folder, loaded once a worker; `sha256` tells it from an earlier one."""
    return _load(Path(folder), allow_code)


def _load(folder: Path, allow_code: bool) -> ImageGAN:
    from gan_augment.synthesizers.image_gan import ImageGAN

    return ImageGAN.load(folder, threads=1, allow_code=allow_code)


def _worker_count(images: int, requested: int | None) -> int:
    if requested is None:
        requested = min(available_cores(), -(-images // IMAGES_A_WORKER))
    return min(max(requested, 1), max(1, -(-images // BLOCK_ROWS)))


def _write_folder(
    folder: FolderOutput,
    run: Path,
    target_counts: Mapping[str, int],
    seed: int,
    workers: int | None,
    progress: Progress,
    allow_code: bool,
) -> int:
    """Write the images and the manifest; the number of images that were there before."""
    folder.check_room(0, sum(target_counts.values()))
    below = safe_names(target_counts)
    paths = {c: [f"{below[c]}/{i:06d}.png" for i in range(n)] for c, n in target_counts.items()}
    rows = [
        ManifestRow(path, name, "synthetic", run.name, index)
        for name, own in paths.items()
        for index, path in enumerate(own)
    ]
    folder.describe(_made_from(run, target_counts, seed))
    folder.plan(rows)
    progress.phase("sampling", len(rows))
    before, refused = write_images(
        model_folder(run),
        folder.path,
        paths,
        seed=seed,
        workers=workers,
        keep=folder.resuming,
        allow_code=allow_code,
        advance=progress.advance,
    )
    folder.finish([row for row in rows if row.label not in refused])
    if refused:
        raise TooFewAcceptedError("; ".join(refused.values()))
    return before


def _made_from(run: Path, target_counts: Mapping[str, int], seed: int) -> dict[str, Any]:
    return {"model": model_sha256(run), "seed": seed, "counts": dict(target_counts)}


def _write_table(
    output: Output,
    run: Path,
    target_counts: Mapping[str, int],
    seed: int,
    progress: Progress,
    *,
    mark: bool,
    escape_formulas: bool,
) -> None:
    from gan_augment.synthesizers.tabular_gan import TabularGAN

    gan, total = TabularGAN.load(model_folder(run)), sum(target_counts.values())
    example = joined(
        gan.sample_range(next(iter(gan.classes_)), 0, 1), np.zeros(1, int), gan.schema_
    )
    progress.phase("sampling", total)
    write_table(
        output.path,
        _file_format(run),
        example,
        _table_rows(gan, target_counts, seed, run.name),
        mark=mark,
        escape_formulas=escape_formulas,
        replace=output.replaces is not None,
        rows_to_come=total,
        whole=output.write_record,
        advance=progress.advance,
    )


def _table_rows(
    gan: TabularGAN, target_counts: Mapping[str, int], seed: int, model: str
) -> Iterator[NewRows]:
    """Rows of every class in chunks; ids are numbered through."""
    number, names = 0, list(gan.classes_)
    for name, n in target_counts.items():
        labels = np.full(min(n, ROWS_AT_ONCE), names.index(name), dtype=np.int64)
        for start in range(0, n, ROWS_AT_ONCE):
            stop = min(start + ROWS_AT_ONCE, n)
            frame = gan.sample_range(name, start, stop, random_state=seed, first_id=number)
            whole = joined(frame, labels[: stop - start], gan.schema_)
            yield NewRows(whole, name, "synthetic", model, start)
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
