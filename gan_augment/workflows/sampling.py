"""`sample`: exact counts from a trained run, the same bytes every time. Here images into a folder.

Rows of a table into a file: `table_sampling.py`.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gan_augment.config import TopUp
from gan_augment.data.images.png_folder import ManifestRow, check_png_channels, safe_names
from gan_augment.data.topup_plan import choose_classes, plan_topup
from gan_augment.errors import TooFewAcceptedError, UsageError, unknown_class
from gan_augment.progress import Progress, Silent
from gan_augment.synthesizers.model_file import ModelMeta, TableMeta
from gan_augment.workflows.blocks import write_blocks
from gan_augment.workflows.model_facts import model_facts, model_folder, model_sha256
from gan_augment.workflows.output_folder import output_folder

__all__ = ["SampleResult", "sample"]


@dataclass(frozen=True)
class SampleResult:
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
        """Ready for JSON."""
        return {
            "out": str(self.out),
            "run": str(self.run),
            "counts": self.counts,
            self.unit: sum(self.counts.values()),
            "kept": self.kept,
            "seed": self.seed,
            "seconds": round(self.seconds, 3),
            f"{self.unit}_per_s": round(self.rate, 1),
        }

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
    progress: Progress | None = None,
) -> SampleResult:
    """Write `out/<class>/000000.png`, ... and `out/manifest.csv` with images of a trained run.

    Of a run on a table it writes rows into the file `out` (.csv or .parquet); mark,
    escape_formulas: see `table_augmenting`.
    counts: images of each class {name: n}, or one number for every class of `classes`, or None for
    what brings each of them level with the largest class. classes: as in `fit`; None for those that
    the run was fitted to top up. Image i of a class depends on the run, the seed and i only.
    Raises OutputExistsError, UnknownClassError, ModelFileError, WriteFailedError, and
    TooFewAcceptedError for a class that the model cannot serve (the others are written).

    >>> import tempfile
    >>> import numpy as np
    >>> from gan_augment import ImageGAN
    >>> from gan_augment.data.arrays import from_arrays
    >>> data = from_arrays(np.random.default_rng(0).random((24, 8, 8)), ["a"] * 20 + ["b"] * 4)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     here = Path(folder)
    ...     ImageGAN(steps=2, threads=1, selection=False).fit(data).save(here / "run" / "model")
    ...     result = sample(here / "run", here / "out", counts={"b": 3})
    ...     sorted(path.name for path in (here / "out" / "b").iterdir())
    ['000000.png', '000001.png', '000002.png']
    """
    run, out, progress = Path(run), Path(out), progress or Silent()
    facts = model_facts(run)
    if isinstance(facts, TableMeta):
        from gan_augment.workflows.table_sampling import sample_table

        return sample_table(
            run,
            out,
            wanted_counts(facts, counts, classes),
            seed=seed,
            mark=mark,
            escape_formulas=escape_formulas,
            overwrite=overwrite,
            resume=resume,
            progress=progress,
        )
    if mark or escape_formulas:
        raise UsageError("marks and escaped formulas are for tables, and this run is of images")
    check_png_channels(facts.image_shape[2])
    wanted = wanted_counts(facts, counts, classes)
    started = time.monotonic()
    with output_folder(out, "sample", resume=resume, overwrite=overwrite) as folder:
        folders = safe_names(wanted)
        paths = {c: [f"{folders[c]}/{i:06d}.png" for i in range(n)] for c, n in wanted.items()}
        rows = [
            ManifestRow(path, name, "synthetic", run.name, index)
            for name, own in paths.items()
            for index, path in enumerate(own)
        ]
        folder.describe({"model": model_sha256(run), "seed": seed, "counts": wanted})
        folder.plan(rows)
        progress.phase("sampling", len(rows))
        written = write_blocks(
            model_folder(run),
            out,
            paths,
            seed=seed,
            workers=workers,
            keep=folder.resuming,
            advance=progress.advance,
        )
        folder.finish([row for row in rows if row.label not in written.refused])
        if written.refused:
            raise TooFewAcceptedError("; ".join(written.refused.values()))
    return SampleResult(out, run, wanted, written.kept, seed, time.monotonic() - started)


def wanted_counts(
    facts: ModelMeta | TableMeta,
    counts: Mapping[str, int] | int | None,
    classes: str | Sequence[str] | None,
) -> dict[str, int]:
    """Rows to draw of each class, {name: n}, n >= 1; classes of which none is asked are left out.

    Raises UnknownClassError, and UsageError where the numbers make no sense or nothing is left.
    """
    unit = "rows" if isinstance(facts, TableMeta) else "images"
    if isinstance(counts, Mapping):
        if classes is not None:
            raise UsageError("counts by class and classes were both given; the counts name them")
        wanted = dict(counts)
    else:
        chosen = facts.topped_up if classes is None else choose_classes(classes, facts.classes)
        level = TopUp(synthetic_share=1.0, companions=False)
        plan = plan_topup(facts.classes, level, chosen)
        wanted = {c: plan[c].added if counts is None else counts for c in chosen}
    for name, n in wanted.items():
        if name not in facts.classes:
            raise unknown_class(name, facts.classes)
        if isinstance(n, bool) or not isinstance(n, int) or n < 0:
            raise UsageError(f"{n!r} {unit} of {name!r}; expected a whole number, 0 or more")
    wanted = {name: n for name, n in wanted.items() if n}
    if not wanted:
        raise UsageError(f"there is nothing to draw; say how many {unit}, such as --counts 100")
    return wanted
