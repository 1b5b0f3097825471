"""`gan-augment fit` learns, `sample` draws from a run, `augment` does both and adds DATA's rows.

`translate` draws images of one class as of another; `embed` writes images as the features of a
pretrained network.
"""

from __future__ import annotations

import shlex
import sys
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from gan_augment.errors import UsageError
from gan_augment.processes import KILLED, follows, ranks_started, run_ranks
from gan_augment_cli import options as o
from gan_augment_cli import os_signals, outcome
from gan_augment_cli.console import shown_progress

RESTARTS = 3
"""Of the processes of a fit, after one was killed."""


def fit(
    ctx: typer.Context,
    data: o.Data,
    out: Annotated[
        Path | None, o.option("--out", "The run's folder.  [default: runs/<name of DATA>]")
    ] = None,
    target: o.Target = None,
    categorical: o.Categorical = None,
    numeric: o.Numeric = None,
    datetime: o.Datetime = None,
    id: o.Ids = None,  # noqa: A002  (the name of the option)
    schema: o.Schema = None,
    most_rows: o.MostRows = 1_000_000,
    classes: o.Classes = "rare",
    unlabelled: o.Unlabelled = None,
    recipe: o.RecipeName = "auto",
    steps: o.Steps = None,
    budget: o.Budget = None,
    until: o.Until = None,
    patience: o.Patience = None,
    d_steps: o.DSteps = None,
    optimiser: o.Optimiser = None,
    rate: o.Rate = None,
    schedule: o.Schedule = None,
    image_size: o.ImageSize = None,
    resize: o.Resize = "squeeze",
    window: o.Window = None,
    flips: o.Flips = False,
    super_resolve: o.SuperResolve = None,
    selection: o.Selection = True,
    seed: o.Seed = 0,
    device: o.Device = "auto",
    precision: o.Precision = "auto",
    threads: o.Threads = None,
    processes: o.Processes = None,
    workers: o.Workers = None,
    skip_bad: o.SkipBad = False,
    resume: o.Resume = False,
    overwrite: o.Overwrite = False,
    force: Annotated[
        bool, o.option("--force", "Resume although the data or the settings changed.")
    ] = False,
    config: o.Config = None,
    dry_run: o.DryRun = False,
    verbose: o.Verbose = False,
    as_json: o.AsJson = False,
    quiet: o.Quiet = False,
) -> None:
    """Train a class-conditional GAN on images; of a table only where it is asked for.

    A table's rows are drawn around near rows of a class, untrained, unless --recipe anchored or
    free, --steps or --budget are given.
    Prints the folder of the run: its model, settings, history and samples (samples.png,
    or samples.csv of a table).
    """
    from gan_augment.commands.fit import fit as run_fit
    from gan_augment.commands.fit import plan_fit

    with outcome.exit_codes(ctx):
        settings = o.fit_options(ctx)
        if dry_run:
            plan = plan_fit(data, settings, out, resume=resume)
            stored = plan.data.options.model_dump(mode="json") if resume else {}
            outcome.print_plan(ctx, plan.lines(), stored, plan=plan.to_dict())
            return
        if processes and processes > 1 and ranks_started() == 1:
            raise typer.Exit(_in_processes(processes, data, out))
        with shown_progress(quiet=quiet or follows()) as progress:
            result = run_fit(
                data,
                out,
                settings,
                resume=resume,
                overwrite=overwrite,
                force=force,
                progress=progress,
            )
        if follows():
            return
        outcome.print_result(ctx, result, result.run)
        run, out_name = shlex.quote(str(result.run)), f"OUT{data.suffix if target else ''}"
        again = f"gan-augment augment {shlex.quote(str(data))} {out_name} --model {run}"
        outcome.print_next(ctx, again)


def _in_processes(count: int, data: Path, out: Path | None) -> int:
    """Run this command as so many ranks; where one is killed, again from its last checkpoint."""
    from gan_augment.commands.outputs import is_run, new_run_folder

    os_signals.has_ranks.set()
    run = out or new_run_folder(data)
    arguments, code = [*sys.argv[1:], "--out", str(run)], KILLED
    for _ in range(1 + RESTARTS):
        code = run_ranks(count, "gan_augment_cli", arguments)
        if code != KILLED:
            break
        arguments += ["--resume"] if is_run(run) and "--resume" not in arguments else []
    return code if code >= 0 else 128 - code


def sample(
    ctx: typer.Context,
    run: o.RunFolder,
    out: o.OutFolder,
    counts: Annotated[
        str | None,
        o.option("--counts", "100, or owl=30,wren=20.  [default: what tops the rare classes up]"),
    ] = None,
    classes: Annotated[
        str | None,
        o.option("--classes", "Names with commas, or all.  [default: those of the fit]"),
    ] = None,
    seed: o.Seed = 0,
    workers: o.Workers = None,
    shard: Annotated[
        str | None,
        o.option("--shard", "3/16: this share alone, into the folder OUT; other calls the others."),
    ] = None,
    super_resolve: o.SuperResolve = None,
    mark: o.Mark = False,
    allow_code: o.AllowCode = False,
    resume: o.Resume = False,
    overwrite: o.Overwrite = False,
    config: o.Config = None,
    dry_run: o.DryRun = False,
    verbose: o.Verbose = False,
    as_json: o.AsJson = False,
    quiet: o.Quiet = False,
) -> None:
    """Draw images, or rows of a table, from a trained run.

    Writes OUT/<class>/000000.png, ... and OUT/manifest.csv; or of a table the file OUT, .csv or
    .parquet, and OUT.manifest.csv.
    """
    from gan_augment.commands.sample import sample as run_sample

    with outcome.exit_codes(ctx):
        target_counts = None if counts is None else o.read(counts, o.row_counts, "--counts")
        if dry_run:
            outcome.print_plan(ctx)
            return
        with shown_progress(quiet=quiet) as progress:
            result = run_sample(
                run,
                out,
                counts=target_counts,
                classes=classes,
                seed=seed,
                workers=workers,
                shard=shard,
                super_resolve=super_resolve,
                mark=mark,
                allow_code=allow_code,
                resume=resume,
                overwrite=overwrite,
                progress=progress,
            )
        outcome.print_result(ctx, result, out)


def augment(
    ctx: typer.Context,
    data: o.Data,
    out: o.OutFolder,
    model: Annotated[
        Path | None, o.option("--model", "Sample from this run; do not train.")
    ] = None,
    run: Annotated[
        Path | None, o.option("--run", "Where the trained run goes.  [default: as in fit]")
    ] = None,
    to: Annotated[
        str,
        o.option("--to", "What a class ends with: majority, median, 500, or 0.5 of the majority."),
    ] = "majority",
    synthetic_share: Annotated[
        str, o.option("--synthetic-share", "Of the rows added, the part generated; or auto.")
    ] = "auto",
    companions: Annotated[
        bool | None,
        o.option(
            "--companions/--no-companions",
            "Whether the other classes get generated samples too.  [default: measured best]",
        ),
    ] = None,
    match: Annotated[
        Literal["originals", "model"] | None,
        o.option(
            "--match",
            "Write all images alike: at the model's size, or through it at the originals'. "
            "[default: originals are copied]",
        ),
    ] = None,
    resize_originals: Annotated[
        bool, o.option("--resize-originals", "Old name of --match model.", hidden=True)
    ] = False,
    mark: o.Mark = False,
    target: o.Target = None,
    categorical: o.Categorical = None,
    numeric: o.Numeric = None,
    datetime: o.Datetime = None,
    id: o.Ids = None,  # noqa: A002  (the name of the option)
    schema: o.Schema = None,
    most_rows: o.MostRows = 1_000_000,
    classes: o.Classes = "rare",
    unlabelled: o.Unlabelled = None,
    recipe: o.RecipeName = "auto",
    steps: o.Steps = None,
    budget: o.Budget = None,
    until: o.Until = None,
    patience: o.Patience = None,
    d_steps: o.DSteps = None,
    optimiser: o.Optimiser = None,
    rate: o.Rate = None,
    schedule: o.Schedule = None,
    image_size: o.ImageSize = None,
    resize: o.Resize = "squeeze",
    window: o.Window = None,
    flips: o.Flips = False,
    super_resolve: o.SuperResolve = None,
    selection: o.Selection = True,
    seed: o.Seed = 0,
    device: o.Device = "auto",
    precision: o.Precision = "auto",
    threads: o.Threads = None,
    workers: o.Workers = None,
    skip_bad: o.SkipBad = False,
    allow_code: o.AllowCode = False,
    resume: o.Resume = False,
    overwrite: o.Overwrite = False,
    config: o.Config = None,
    dry_run: o.DryRun = False,
    verbose: o.Verbose = False,
    as_json: o.AsJson = False,
    quiet: o.Quiet = False,
) -> None:
    """Top up rare classes: fit, sample, copy.

    Writes OUT/<class>/ with DATA's files as they are, synthetic-000000.png, ... and
    repeat-000000-<original name>, ..., and OUT/manifest.csv that tells which is which.
    A table's OUT is a file: DATA's rows as they are, new rows behind, OUT.manifest.csv beside it.
    """
    from gan_augment.commands.augment import augment as run_augment
    from gan_augment.commands.augment import plan_augment
    from gan_augment.commands.fit import plan_fit

    with outcome.exit_codes(ctx):
        settings, top_up = o.fit_options(ctx), o.top_up(ctx)
        if dry_run:
            from gan_augment.commands.augment import count_lines

            if model is None:
                plan = plan_fit(data, settings, run)
                counts, about = plan.ends(top_up), {"plan": plan.to_dict()}
                drawn = any(ends["synthetic"] + ends["companion"] for ends in counts.values())
                lines = plan.lines() if drawn else ["nothing is generated, so nothing is trained"]
            else:
                ends = plan_augment(data, out, model=model, top_up=top_up, options=settings)
                counts, lines, about = ends.counts, [], {}
            outcome.print_plan(ctx, [*lines, *count_lines(counts)], counts=counts, **about)
            return
        with shown_progress(quiet=quiet) as progress:
            result = run_augment(
                data,
                out,
                model=model,
                top_up=top_up,
                options=settings,
                match=match,
                resize_originals=resize_originals,
                mark=mark,
                allow_code=allow_code,
                resume=resume,
                overwrite=overwrite,
                run=run,
                progress=progress,
            )
        outcome.print_result(ctx, result, out)
        outcome.print_next(ctx, f"train your classifier on {shlex.quote(str(out))} as on DATA")


def translate(
    ctx: typer.Context,
    data: o.Data,
    out: o.OutFolder,
    from_: Annotated[
        str,
        o.option("--from", "Classes whose images are drawn, with commas, or all (others)."),
    ],
    to: Annotated[str, o.option("--to", "Classes that they are drawn as, with commas.")],
    counts: Annotated[
        str | None,
        o.option(
            "--counts",
            "100, or owl=30,wren=20.  [default: level with the largest class, at most half of the "
            "images to start from]",
        ),
    ] = None,
    domain: Annotated[
        str | None,
        o.option(
            "--domain",
            "A column of a manifest (scanner, site): from one value of it to another; classes "
            "stay.",
        ),
    ] = None,
    masks: Annotated[
        Path | None,
        o.option(
            "--masks", "A folder of images called as DATA's, not black where to redraw (inpaint)."
        ),
    ] = None,
    model: Annotated[Path | None, o.option("--model", "Draw with this run; do not train.")] = None,
    run: Annotated[
        Path | None, o.option("--run", "Where the trained run goes.  [default: as in fit]")
    ] = None,
    recipe: Annotated[
        str,
        o.option(
            "--recipe", "stargan, cyclegan, pix2pix, adain, fourier, inpaint or a .toml file."
        ),
    ] = "stargan",
    steps: o.Steps = None,
    budget: o.Budget = None,
    image_size: o.ImageSize = None,
    resize: o.Resize = "squeeze",
    selection: o.Selection = True,
    seed: o.Seed = 0,
    device: o.Device = "auto",
    precision: o.Precision = "auto",
    threads: o.Threads = None,
    workers: o.Workers = None,
    skip_bad: o.SkipBad = False,
    allow_code: o.AllowCode = False,
    resume: o.Resume = False,
    overwrite: o.Overwrite = False,
    config: o.Config = None,
    dry_run: o.DryRun = False,
    verbose: o.Verbose = False,
    as_json: o.AsJson = False,
    quiet: o.Quiet = False,
) -> None:
    """Draw images of one class as of another.

    Writes OUT/<class>/000000.png, ... and OUT/manifest.csv, which names the image of DATA that each
    was drawn from. Samples that do not arrive at their class, by classifiers, are dropped. With
    --domain a row keeps its class and changes its scanner, site or camera.
    """
    from gan_augment.commands.translate import plan_translate
    from gan_augment.commands.translate import translate as run_translate

    with outcome.exit_codes(ctx):
        drawn: dict[str, Any] = {
            "source": "all" if from_ == "all" else o.names(from_),
            "to": o.names(to),
            "counts": None if counts is None else o.read(counts, o.row_counts, "--counts"),
            "domain": domain,
            "model": model,
            "options": o.fit_options(ctx),
        }
        if dry_run:
            plan = plan_translate(data, **drawn)
            outcome.print_plan(ctx, plan.lines(), plan=plan.to_dict())
            return
        with shown_progress(quiet=quiet) as progress:
            result = run_translate(
                data,
                out,
                masks=masks,
                run=run,
                resume=resume,
                overwrite=overwrite,
                allow_code=allow_code,
                progress=progress,
                **drawn,
            )
        outcome.print_result(ctx, result, out)


def embed(
    ctx: typer.Context,
    data: o.Data,
    out: Annotated[
        Path, typer.Argument(metavar="OUT", show_default=False, help="The .parquet file to write.")
    ],
    backbone: o.Backbone = None,
    image_size: o.ImageSize = None,
    resize: o.Resize = "squeeze",
    device: o.Device = "auto",
    precision: o.Precision = "auto",
    workers: o.Workers = None,
    skip_bad: o.SkipBad = False,
    convert: Annotated[
        bool, o.option("--convert", "DATA is a .pth file: write its weights as OUT, .safetensors.")
    ] = False,
    resume: o.Resume = False,
    overwrite: o.Overwrite = False,
    verbose: o.Verbose = False,
    as_json: o.AsJson = False,
    quiet: o.Quiet = False,
) -> None:
    """Write images as the features of a pretrained network, for photos and other tools.

    A row an image: label, group, id, feature_0, ....
    """
    from gan_augment.commands.embed import convert_weights
    from gan_augment.commands.embed import embed as run_embed

    with outcome.exit_codes(ctx):
        others = ("data", "out", "image_size", "convert", "verbose", "as_json", "quiet")
        how: dict[str, Any] = {k: v for k, v in ctx.params.items() if k not in others}
        if image_size is not None:
            how["image_size"] = o.read(image_size, o.height_width, "--image-size")
        with shown_progress(quiet=quiet) as progress:
            if convert:
                result = convert_weights(data, out, overwrite=overwrite)
            elif backbone is None:
                raise UsageError("name the pretrained network: --backbone lite0.safetensors, say")
            else:
                result = run_embed(data, out, progress=progress, **how)
        outcome.print_result(ctx, result, out)
        if not convert:
            columns = "--target label --group group --id id"
            outcome.print_next(ctx, f"gan-augment evaluate {shlex.quote(str(out))} {columns}")
