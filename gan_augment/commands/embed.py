"""`embed`: images as a table of features, for other tools. `convert_weights`: weights for it."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gan_augment.commands.outputs import Result, check_apart, output_file
from gan_augment.data.images.reader import read_images
from gan_augment.data.tables import PARQUET_SUFFIXES
from gan_augment.errors import UsageError
from gan_augment.kinds.image import IMAGE
from gan_augment.kinds.kind import Labelled
from gan_augment.kinds.table import TABLE
from gan_augment.progress import Progress
from gan_augment.storage import new_files, write_file

if TYPE_CHECKING:
    from gan_augment.sklearn_api.features import FrozenFeatures


@dataclass(frozen=True)
class EmbedResult(Result):
    """What was written: `rows` images of `features` columns, or `rows` tensors of weights."""

    out: Path
    rows: int
    features: int
    how: str

    def lines(self) -> list[str]:
        """The same for people."""
        return [self.how]


def embed(
    source: str | Path,
    out: str | Path,
    *,
    resize: str = "squeeze",
    workers: int | None = None,
    skip_bad: bool = False,
    resume: bool = False,
    overwrite: bool = False,
    progress: Progress | None = None,
    **settings: Any,
) -> EmbedResult:
    """Write label, group, id and the features of each image as a Parquet file, whole or not at all.

    settings: those of `FrozenFeatures`, `backbone` among them. The rows of a group, files with the
    same pixels for example, belong on one side of a split. Raises GanAugmentError.
    """
    from gan_augment.sklearn_api.features import FrozenFeatures

    source, out, progress = Path(source), Path(out), progress or Progress()
    started_s = time.monotonic()
    check_apart(source, out)
    if out.suffix.lower() not in PARQUET_SUFFIXES:
        raise UsageError(f"OUT {str(out)!r}: features are written as Parquet; name a .parquet file")
    features = FrozenFeatures(**settings).fit()
    size = features.image_size_
    read = read_images(
        source,
        image_size=size,
        resize=resize,
        skip_bad=skip_bad,
        workers=workers,
        progress=progress,
    )
    for note in read.notes:
        progress.note(note)
    how = {"image_size": size, "resize": resize, "network": features.sha256_}
    with output_file(out, "embed", resume=resume, overwrite=overwrite) as output:
        output.describe({"data": IMAGE.sha256(read.data), **how, "pool": features.pool})
        if not output.finished:
            from gan_augment.data.tables.export import ParquetFormat, ParquetRows

            table = embedded(read.data, features, progress)
            groups = [-1] * len(table) if table.groups is None else table.groups.tolist()
            ids = table.ids.tolist()
            frame = table.frame
            frame.insert(0, "label", [table.names[label] for label in table.labels])
            alone = zip(groups, ids, strict=True)  # a group of its own
            frame.insert(1, "group", [one if g < 0 else f"group-{g:06d}" for g, one in alone])
            frame.insert(2, "id", ids)
            with new_files(out, replace=output.replaces is not None) as (file,):
                rows = ParquetRows(file, ParquetFormat.plain(frame))
                rows.add(frame)
                rows.end()
                output.write_record({out.name: file.sha256})
    n, width, seconds = len(read.data), features.n_features_out_, time.monotonic() - started_s
    told = (
        f"{n} images at {size[1]} x {size[0]} px, {features.precision_}, to {width} features each"
    )
    return EmbedResult(out, n, width, f"{told}: {seconds:.0f} s")


def embedded(data: Labelled, features: FrozenFeatures, progress: Progress) -> Labelled:
    """The features of images as a table with the same labels, ids and groups."""
    import pandas as pd

    rows = features.embed(data, progress)
    frame = pd.DataFrame(rows, columns=features.get_feature_names_out())
    return TABLE.of(frame, data.labels, data.ids, data.groups, data.class_names)


def convert_weights(source: str | Path, out: str | Path, *, overwrite: bool = False) -> EmbedResult:
    """Write the tensors of a .pth file as .safetensors. No code in it is run: weights alone."""
    from gan_augment.networks.backbones import read_pth
    from gan_augment.storage.bundle import tensors_bytes

    out = Path(out)
    if out.suffix != ".safetensors":
        raise UsageError(f"OUT {str(out)!r}: weights are written as .safetensors; name such a file")
    tensors = read_pth(Path(source))
    write_file(out, tensors_bytes(tensors), replace=overwrite)
    return EmbedResult(out, len(tensors), 0, f"{len(tensors)} tensors; use it as --backbone {out}")
