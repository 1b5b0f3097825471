"""`inspect RUN --samples`: a picture of what selection keeps and rejects of each class, and why."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from gan_augment.data.images.contact_sheet import SheetRow, contact_sheet, kept_above_rejected
from gan_augment.data.images.png_folder import png_bytes
from gan_augment.errors import OutputExistsError, UsageError
from gan_augment.storage import write_file
from gan_augment.synthesizers.image_gan import ImageGAN
from gan_augment.synthesizers.model_file import ModelMeta
from gan_augment.workflows.model_facts import model_facts, model_folder
from gan_augment.workflows.run_folder import CANDIDATES

SHOWN = 12
MOST_BLOCKS = 8
CLASSES_A_SHEET = 50


def write_candidates(run: str | Path, png: str | Path | None = None) -> Path:
    """Draw candidates of each class, topped-up ones first, 50 at most, into a new file.

    png: its name; None is `candidates.png` in the run folder, where an earlier one is replaced.

    Above those kept, below those rejected, each with the criterion that it fails. Of a class that
    is refused this shows what selection makes of its candidates, though none would be given.
    Raises UsageError for a run on a table or another ending than .png, OutputExistsError,
    ModelFileError, WriteFailedError.
    """
    run, own = Path(run), png is None
    png = run / CANDIDATES if png is None else Path(png)
    if not isinstance(model_facts(run), ModelMeta):
        raise UsageError(f"the run {str(run)!r} is of a table; its rows are in samples.csv")
    if png.suffix.lower() != ".png":
        raise UsageError(f"{str(png)!r} is no name of a picture; expected one that ends in .png")
    if png.exists() and not own:
        raise OutputExistsError(f"{str(png)!r} exists; name another file, or remove it")
    gan = ImageGAN.load(model_folder(run), threads=1)
    names = sorted(
        (name for name, n in gan.classes_.items() if n), key=lambda name: name not in gan.topped_up_
    )
    rows = [_judged(gan, name) for name in names[:CLASSES_A_SHEET]]
    write_file(png, png_bytes(contact_sheet(rows, columns=SHOWN)))
    return png


def _judged(gan: ImageGAN, name: str) -> SheetRow:
    """The first candidates of a class that are kept and that are rejected, 12 of each at most."""
    drawn, reasons = gan.judged_block(name, 0)
    for number in range(1, MOST_BLOCKS):
        rejected = int((reasons != "").sum())
        if min(rejected, len(reasons) - rejected) >= SHOWN or gan.meta_.selection is None:
            break
        more, why = gan.judged_block(name, number)
        drawn, reasons = np.concatenate([drawn, more]), np.concatenate([reasons, why])
    kept = reasons == ""
    return kept_above_rejected(
        name=name,
        note=_note(gan.meta_, name),
        kept=drawn[kept][:SHOWN],
        rejected=drawn[~kept][:SHOWN],
        reasons=reasons[~kept][:SHOWN].tolist(),
    )


def _note(facts: ModelMeta, name: str) -> str:
    found = None if facts.selection is None else facts.selection.classes.get(name)
    if found is None:
        return "no selection: every candidate is given"
    if found.acceptance is None:
        return "refused: too few rows to select by"
    return f"{found.acceptance:.0%} kept" + (", so refused" if found.refused else "")
