"""`embed`: write images as a table of features."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gan_augment.commands.writing import Result, check_absent, check_apart, next_command
from gan_augment.data.images.reader import read_images
from gan_augment.data.tables import PARQUET_SUFFIXES
from gan_augment.errors import UsageError
from gan_augment.kinds.kind import Labelled
from gan_augment.kinds.table import TABLE
from gan_augment.progress import Progress
from gan_augment.storage.files import new_file

if TYPE_CHECKING:
    from gan_augment.sklearn_api.features import FrozenFeatures


class EmbedResult(Result):
    """What was written: `rows` images of `features` columns."""

    out: Path
    rows: int
    features: int
    how: str

    def lines(self) -> list[str]:
        return [self.how]


def embed(
    source: str | Path,
    out: str | Path,
    *,
    skip_bad: bool = False,
    overwrite: bool = False,
    progress: Progress | None = None,
    **settings: Any,
) -> EmbedResult:
    """Write label, group, id and the features of each image as a Parquet file, whole or not at all.

    Rows of a group, such as files with the same pixels, belong on one side of any split.

    - source: A folder of classes, a manifest or an `.npz`.
    - out: The `.parquet` file to write.
    - skip_bad: As in `FitOptions`.
    - overwrite: Whether an earlier file is replaced.
    - progress: Shows progress and notes.
    - **settings: The settings of `FrozenFeatures`, `backbone` among them.

    Raises GanAugmentError (for unreadable data, an unsuitable name, or a file that exists).
    """
    from gan_augment.sklearn_api.features import FrozenFeatures

    source, out, progress = Path(source), Path(out), progress or Progress()
    started_s = time.monotonic()
    check_apart(source, out)
    if out.suffix.lower() not in PARQUET_SUFFIXES:
        raise UsageError(f"OUT {str(out)!r}: features are written as Parquet; name a .parquet file")
    check_absent(out, overwrite=overwrite)
    features = FrozenFeatures(**settings).fit()
    size = features.image_size_
    read = read_images(source, image_size=size, skip_bad=skip_bad, progress=progress)
    for note in read.notes:
        progress.note(note)
    table = embedded(read.data, features, progress)
    _write(table, out)
    n, width, seconds = len(read.data), features.n_features_out_, time.monotonic() - started_s
    how = f"{n} images at {size[1]} x {size[0]} px, {features.precision_}, to {width} features each"
    columns = {"target": "label", "group": "group", "columns": "id=id"}
    then = next_command("evaluate", out, **columns)
    return EmbedResult(
        out=out, rows=n, features=width, how=f"{how}: {seconds:.0f} s", following=then
    )


def _write(table: Labelled, out: Path) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    frame, ids = table.frame, table.ids.tolist()
    groups = [-1] * len(table) if table.groups is None else table.groups.tolist()
    named = [f"group-{g:06d}" if g >= 0 else id_ for g, id_ in zip(groups, ids, strict=True)]
    frame.insert(0, "label", [table.names[label] for label in table.labels])
    frame.insert(1, "group", named)
    frame.insert(2, "id", ids)
    with new_file(out) as file:
        pq.write_table(pa.Table.from_pandas(frame, preserve_index=False), file)


def embedded(data: Labelled, features: FrozenFeatures, progress: Progress) -> Labelled:
    """Return the features of images as a table with the same labels, ids and groups."""
    import pandas as pd

    rows = features.embed(data, progress)
    frame = pd.DataFrame(rows, columns=features.get_feature_names_out())
    return TABLE.of(frame, data.labels, data.ids, data.groups, data.class_names)
