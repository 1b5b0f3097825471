"""Commands that train or draw: `fit`, `sample`, `augment`, `translate` and `embed`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from gan_augment.errors import UsageError
from gan_augment.processes import follows
from gan_augment_cli import options as o
from gan_augment_cli import outcome

TopUpOptions = Annotated[
    Any, o.Settings("gan_augment.options:TopUp", "to synthetic_share companions")
]
TranslationOptions = Annotated[
    Any,
    o.Settings(
        o.FIT,
        "steps budget image_size selection seed device precision threads skip_bad",
    ),
]


def fit(
    ctx: typer.Context,
    data: o.Data,
    options: Annotated[Any, o.Settings(o.FIT, o.FIT_FIELDS)],
    out: Annotated[
        Path | None, o.option("--out", "The folder of the run.  [default: runs/<name of DATA>]")
    ] = None,
    resume: o.Resume = False,
    overwrite: o.Overwrite = False,
    dry_run: o.DryRun = False,
) -> None:
    """Train a generator on images, signals or a table.

    Images and signals train for 5 minutes; --budget or --steps change that. A table needs no
    training by default: new rows are drawn between similar rows of a class.
    Writes a run folder: the model, its settings, its history and samples to look at.
    """
    from gan_augment.commands.fit import fit as run_fit
    from gan_augment.commands.fit import plan_fit

    settings = o.timed(options)
    if dry_run:
        plan = plan_fit(data, settings, out, resume=resume)
        outcome.show_plan(ctx, plan.lines(), plan=plan.to_dict())
        return
    flags = {"resume": resume, "overwrite": overwrite}
    result = outcome.run(ctx, run_fit, data, out, settings, **flags)
    if not follows():
        outcome.finish(ctx, result, result.run)


def sample(
    ctx: typer.Context,
    run: Annotated[Path, o.argument("RUN", "The folder of a trained run.")],
    out: o.OutFolder,
    options: Annotated[Any, o.Settings(o.FIT, "seed workers")],
    counts: o.Counts = None,
    classes: Annotated[
        str | None,
        o.option("--classes", "The classes to draw: all, or names.  [default: the topped-up ones]"),
    ] = None,
    mark: o.Mark = False,
    overwrite: o.Overwrite = False,
    dry_run: o.DryRun = False,
) -> None:
    """Draw new images, signals or table rows from a trained run.

    By default as many as bring each rare class level with the largest class.
    Writes OUT/<class>/000000.png, ... and OUT/manifest.csv. For a table: the file OUT (.csv or
    .parquet) and OUT.manifest.csv.
    """
    from gan_augment.commands.sample import plan_sample
    from gan_augment.commands.sample import sample as run_sample
    from gan_augment.commands.source import read_meta

    target_counts = o.row_counts(counts)
    if dry_run:
        planned = plan_sample(run, counts=target_counts, classes=classes)
        lines = [f"{n} rows of {name}" for name, n in planned.items()]
        note = read_meta(run).hardly_trained
        outcome.show_plan(ctx, [*lines, *filter(None, [note])], plan={"counts": planned}, note=note)
        return
    how = {"seed": options.seed, "workers": options.workers, "mark": mark, "overwrite": overwrite}
    result = outcome.run(ctx, run_sample, run, out, counts=target_counts, classes=classes, **how)
    outcome.finish(ctx, result, out)


def augment(
    ctx: typer.Context,
    data: o.Data,
    out: o.OutFolder,
    top_up: TopUpOptions,
    options: Annotated[Any, o.Settings(o.FIT, f"{o.FIT_FIELDS} workers")],
    model: o.Model = None,
    run: o.Run = None,
    match: Annotated[
        bool, o.option("--match", "Write all images at the size of the model, originals too.")
    ] = False,
    mark: o.Mark = False,
    overwrite: o.Overwrite = False,
    dry_run: o.DryRun = False,
) -> None:
    """Top up rare classes: train, draw, and write a copy of DATA with new rows.

    Writes OUT/<class>/ with copies of the originals, synthetic-000000.png, ... and
    repeat-000000-<original name>, ...; OUT/manifest.csv lists the origin of each file.
    For a table, OUT is a file: the rows of DATA unchanged, then the new rows.
    """
    from gan_augment.commands.augment import augment as run_augment
    from gan_augment.commands.augment import plan_augment

    settings = o.timed(options)
    given: dict[str, Any] = {"model": model, "top_up": top_up, "options": settings, "run": run}
    if dry_run:
        plan = plan_augment(data, out, **given)
        outcome.show_plan(ctx, plan.lines(), **plan.to_dict())
        return
    how: dict[str, Any] = {"match": match, "mark": mark, "overwrite": overwrite}
    result = outcome.run(ctx, run_augment, data, out, **given, **how)
    outcome.finish(ctx, result, out)


def translate(
    ctx: typer.Context,
    data: o.Images,
    out: o.OutFolder,
    options: TranslationOptions,
    source: Annotated[
        str, o.option("--from", "The classes to start from: names, or all for all others.")
    ],
    to: Annotated[str, o.option("--to", "The classes to draw.", metavar="NAMES")],
    counts: o.Counts = None,
    model: o.Model = None,
    run: o.Run = None,
    recipe: Annotated[
        str,
        o.option(
            "--recipe", "stargan, cyclegan, pix2pix, adain, fourier, inpaint or a .toml file."
        ),
    ] = "stargan",
    overwrite: o.Overwrite = False,
    dry_run: o.DryRun = False,
) -> None:
    """Redraw images of common classes as images of a rare class.

    By default as many as bring the class level with the largest, from at most half of the images
    to start from. Images that a classifier does not recognise as their new class are dropped.
    Writes OUT/<class>/000000.png, ... and OUT/manifest.csv with the source of each image.
    """
    from gan_augment.commands.translate import plan_translate
    from gan_augment.commands.translate import translate as run_translate

    drawn: dict[str, Any] = {
        "source": "all" if source == "all" else o.names(source),
        "to": o.names(to),
        "counts": o.row_counts(counts),
        "model": model,
        "options": o.timed(options.model_copy(update={"recipe": recipe})),
    }
    if dry_run:
        plan = plan_translate(data, **drawn)
        outcome.show_plan(ctx, plan.lines(), plan=plan.to_dict())
        return
    result = outcome.run(ctx, run_translate, data, out, run=run, overwrite=overwrite, **drawn)
    outcome.finish(ctx, result, out)


def embed(
    ctx: typer.Context,
    data: o.Images,
    out: Annotated[Path, o.argument("OUT", "The .parquet file to write.")],
    options: Annotated[Any, o.Settings(o.FIT, "image_size device precision skip_bad")],
    backbone: o.Backbone = None,
    overwrite: o.Overwrite = False,
) -> None:
    """Write images as a table of features of a pretrained network, for photos.

    One row per image: label, group, id, feature_0, feature_1, ....
    """
    from gan_augment.commands.embed import embed as run_embed

    if backbone is None:
        raise UsageError("embed needs a pretrained network, such as --backbone lite0.pth")
    names = ("image_size", "device", "precision", "skip_bad")
    settings: dict[str, Any] = {name: getattr(options, name) for name in names}
    settings |= {"backbone": backbone, "overwrite": overwrite}
    result = outcome.run(ctx, run_embed, data, out, **settings)
    outcome.finish(ctx, result, out)
