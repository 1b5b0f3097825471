"""Commands that train or draw: `fit`, `sample`, `augment`, `translate` and `embed`."""

from __future__ import annotations

import shlex
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
    options: Annotated[Any, o.Settings(o.FIT, o.FIT_SHOWN)],
    out: Annotated[
        Path | None, o.option("--out", "The run's folder.  [default: runs/<name of DATA>]")
    ] = None,
    resume: o.Resume = False,
    overwrite: o.Overwrite = False,
    dry_run: o.DryRun = False,
) -> None:
    """Train a class-conditional GAN on images, signals or a table.

    Images are trained for 5 minutes unless --steps or --budget is given. A table's rows are drawn
    around near rows of a class, without training, unless --recipe, --steps or --budget is given.
    Prints the folder of the run: its model, settings, history and samples.
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
        out_name = f"OUT{data.suffix if settings.target else ''}"
        words = ["gan-augment", "augment", str(data), out_name, "--model", str(result.run)]
        outcome.show(ctx, result.to_dict(), result.lines(), result.run, shlex.join(words))


def sample(
    ctx: typer.Context,
    run: o.RunFolder,
    out: o.OutFolder,
    options: Annotated[Any, o.Settings(o.FIT, "seed workers")],
    counts: o.Counts = None,
    classes: Annotated[
        str | None,
        o.option("--classes", "The classes to draw: all, or names.  [default: as fitted]"),
    ] = None,
    mark: o.Mark = False,
    overwrite: o.Overwrite = False,
    dry_run: o.DryRun = False,
) -> None:
    """Draw images, signals or rows of a table from a trained run.

    Without --counts the rare classes are topped up to the largest.
    Writes OUT/<class>/000000.png, ... and OUT/manifest.csv; for a table the file OUT, .csv or
    .parquet, and OUT.manifest.csv.
    """
    from gan_augment.commands.sample import plan_sample
    from gan_augment.commands.sample import sample as run_sample

    target_counts = o.row_counts(counts)
    if dry_run:
        planned = plan_sample(run, counts=target_counts, classes=classes)
        lines = [f"{n} rows of {name}" for name, n in planned.items()]
        outcome.show_plan(ctx, lines, plan={"counts": planned})
        return
    how = {"seed": options.seed, "workers": options.workers, "mark": mark, "overwrite": overwrite}
    result = outcome.run(ctx, run_sample, run, out, counts=target_counts, classes=classes, **how)
    outcome.show(ctx, result.to_dict(), result.lines(), out)


def augment(
    ctx: typer.Context,
    data: o.Data,
    out: o.OutFolder,
    top_up: TopUpOptions,
    options: Annotated[Any, o.Settings(o.FIT, o.FIT_SHOWN, "workers")],
    model: o.Model = None,
    run: o.Run = None,
    match: Annotated[
        bool, o.option("--match", "Write all images at the model's size, not copies of the files.")
    ] = False,
    mark: o.Mark = False,
    overwrite: o.Overwrite = False,
    dry_run: o.DryRun = False,
) -> None:
    """Top up rare classes: train, draw, and write them together with DATA.

    Writes OUT/<class>/ with copies of DATA's files, synthetic-000000.png, ... and
    repeat-000000-<original name>, ..., and OUT/manifest.csv with the origin of each.
    For a table OUT is a file: DATA's rows unchanged, then the new rows; and OUT.manifest.csv.
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
    following = f"train your classifier on {shlex.quote(str(out))} as on DATA"
    outcome.show(ctx, result.to_dict(), result.lines(), out, following)


def translate(
    ctx: typer.Context,
    data: o.Data,
    out: o.OutFolder,
    options: TranslationOptions,
    source: Annotated[
        str, o.option("--from", "Classes to draw from: names with commas, or all (others).")
    ],
    to: Annotated[str, o.option("--to", "Classes to draw, with commas.")],
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
    """Draw images of one class as images of another class.

    Without --counts a class is drawn up to the largest, from at most half of the source images.
    Writes OUT/<class>/000000.png, ... and OUT/manifest.csv with the source of each image. Samples
    that a classifier does not assign to their class are dropped.
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
    outcome.show(ctx, result.to_dict(), result.lines(), out)


def embed(
    ctx: typer.Context,
    data: o.Data,
    out: Annotated[Path, o.argument("OUT", "The .parquet file to write.")],
    options: Annotated[Any, o.Settings(o.FIT, "image_size device precision skip_bad")],
    backbone: o.Backbone = None,
    overwrite: o.Overwrite = False,
) -> None:
    """Write images as features of a pretrained network, for photos and other tools.

    One row per image: label, group, id, feature_0, ....
    """
    from gan_augment.commands.embed import embed as run_embed

    if backbone is None:
        raise UsageError("name the pretrained network, such as --backbone lite0.pth")
    names = ("image_size", "device", "precision", "skip_bad")
    settings: dict[str, Any] = {name: getattr(options, name) for name in names}
    settings |= {"backbone": backbone, "overwrite": overwrite}
    result = outcome.run(ctx, run_embed, data, out, **settings)
    columns = "--target label --group group --columns id=id"
    following = f"gan-augment evaluate {shlex.quote(str(out))} {columns}"
    outcome.show(ctx, result.to_dict(), result.lines(), out, following)
