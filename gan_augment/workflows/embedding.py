"""`embed`: images as a table of features, for other tools. `convert_weights`: weights for it."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gan_augment.data.images.reader import data_sha256, read_images
from gan_augment.data.tables import PARQUET_SUFFIXES
from gan_augment.errors import UsageError
from gan_augment.progress import Progress
from gan_augment.storage import new_files, write_file
from gan_augment.workflows.outputs import Result, check_apart, output_file


@dataclass(frozen=True)
class EmbedResult(Result):
    """What `embed` wrote, and from what."""

    out: Path
    images: int
    features: int
    image_size: tuple[int, int]
    precision: str
    seconds: float

    def lines(self) -> list[str]:
        """The same for people."""
        height, width = self.image_size
        how = f"at {width} x {height} px, {self.precision}"
        return [f"{self.images} images, {self.features} features each, {how}: {self.seconds:.0f} s"]


@dataclass(frozen=True)
class ConvertedWeights(Result):
    """The file of weights that `convert_weights` wrote."""

    out: Path
    tensors: int

    def lines(self) -> list[str]:
        """The same for people."""
        return [f"{self.tensors} tensors; use it as --backbone {self.out}"]


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
    same pixels for example, belong on one side of a split. What a stopped call computed is kept by
    the features' cache. Raises GanAugmentError.
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
        output.describe({"data": data_sha256(read.data), **how, "pool": features.pool})
        if not output.finished:
            frame = _frame(read.data, features.embed(read.data, progress))
            from gan_augment.data.tables.export import ParquetFormat, ParquetRows

            with new_files(out, replace=output.replaces is not None) as (file,):
                rows = ParquetRows(file, ParquetFormat.plain(frame))
                rows.add(frame)
                rows.end()
                output.write_record({out.name: file.sha256})
    seconds, width = time.monotonic() - started_s, features.n_features_out_
    return EmbedResult(out, len(read.data), width, size, features.precision_, seconds)


def convert_weights(
    source: str | Path, out: str | Path, *, overwrite: bool = False
) -> ConvertedWeights:
    """Write the tensors of a .pth file as .safetensors. No code in it is run: weights alone."""
    from gan_augment.networks.backbones import read_pth
    from gan_augment.storage.bundle import tensors_bytes

    out = Path(out)
    if out.suffix != ".safetensors":
        raise UsageError(f"OUT {str(out)!r}: weights are written as .safetensors; name such a file")
    tensors = read_pth(Path(source))
    write_file(out, tensors_bytes(tensors), replace=overwrite)
    return ConvertedWeights(out, len(tensors))


def _frame(data: Any, rows: Any) -> Any:
    """A frame with label, group and id before the features; a row that stands alone is a group."""
    import pandas as pd

    frame = pd.DataFrame(rows, columns=[f"feature_{i}" for i in range(rows.shape[1])])
    groups = [-1] * len(data) if data.groups is None else data.groups.tolist()
    named = zip(groups, data.ids.tolist(), strict=True)
    frame.insert(0, "label", [data.names[label] for label in data.labels])
    frame.insert(1, "group", [id_ if g < 0 else f"group-{g:06d}" for g, id_ in named])
    frame.insert(2, "id", data.ids.tolist())
    return frame
