"""`gan-augment evaluate`: does topping up help on this data? `gan-augment report`: its page."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from gan_augment_cli import options as o
from gan_augment_cli import outcome
from gan_augment_cli.console import shown_progress

if TYPE_CHECKING:
    from gan_augment import EvaluationOptions

FAILED_ON = 4
HELPFUL = ("ADOPT", "LIKELY HELPS")
FailOn = Literal["harmful", "no-evidence"]


def evaluate(
    ctx: typer.Context,
    data: o.Data,
    out: Annotated[
        Path | None, o.option("--out", "The report's folder.  [default: reports/<name of DATA>]")
    ] = None,
    target: o.Target = None,
    classes: o.Classes = "rare",
    learner: Annotated[
        str | None,
        o.option(
            "--learner",
            "Who is to gain: boosting, logistic, forest, neighbours (tables), cnn (images), or "
            "path.py:name of a classifier of your own.  [default: boosting; cnn]",
        ),
    ] = None,
    metric: Annotated[
        str,
        o.option(
            "--metric",
            "What the verdict is on: balanced_accuracy, macro_f1, g_mean, accuracy or "
            "average_precision.",
        ),
    ] = "balanced_accuracy",
    delta: Annotated[
        float, o.option("--delta", "The smallest difference worth having; 0.01 is a point.")
    ] = 0.01,
    test: Annotated[
        Path | None,
        o.option(
            "--test",
            "Data to test on; DATA is not split then, but trains.  [default: test or val beside "
            "train in DATA]",
        ),
    ] = None,
    folds: Annotated[
        int | None, o.option("--folds", "Parts to test on in turn.  [default: 5; of images 3]")
    ] = None,
    repeats: Annotated[
        int | None, o.option("--repeats", "How often rows are dealt anew.  [default: 3; 1]")
    ] = None,
    arms: Annotated[
        str,
        o.option(
            "--arms",
            "default, all, or some of class_weight, oversample, smote, auto, gan_parity, permuted, "
            "for tables gaussian_smote, smote_tuned, gaussian_borrow, "
            "with commas, and for the CNN plain, balanced_softmax, mixup, mixup_balanced_softmax, "
            "cmo, trivial_augment, gan+mixup and its like; none and gan always. Named ones are "
            "not left out; of images, auto brings inner folds.",
        ),
    ] = "default",
    sampler: Annotated[
        str | None,
        o.option("--sampler", "path.py:name of over-samplers of your own, with commas: more arms."),
    ] = None,
    steps: Annotated[int | None, o.option("--steps", "Of every fit of the GAN.")] = None,
    gan_budget: Annotated[
        str | None, o.option("--gan-budget", "Time of a fit of the GAN (90s), turned into steps.")
    ] = None,
    budget: Annotated[
        str | None, o.option("--budget", "Time of all (30m, 2h): what does not fit is left out.")
    ] = None,
    force: Annotated[
        bool, o.option("--force", "Begin although the budget is too short for a verdict.")
    ] = False,
    updates: Annotated[
        int | None, o.option("--updates", "Optimiser updates of a classifier of images.")
    ] = None,
    group: Annotated[
        str | None,
        o.option("--group", "A column, no feature then, whose rows of one value stay together."),
    ] = None,
    time: Annotated[
        str | None,
        o.option("--time", "A column, no feature then: train on what came before, test on later."),
    ] = None,
    gap: Annotated[
        int, o.option("--gap", "Rows left out between training and test, with --time.")
    ] = 0,
    group_duplicates: Annotated[
        bool, o.option("--group-duplicates", "Keep exact repeats of a table's rows together.")
    ] = False,
    diagnostics: Annotated[
        bool,
        o.option(
            "--diagnostics/--no-diagnostics",
            "Whether the report also shows what generated rows are like beside real ones.",
        ),
    ] = True,
    extractor: Annotated[
        str | None,
        o.option(
            "--extractor",
            "path.py:name of a torch module, or a function of rows that gives features (n, d): "
            "look through these instead of those of the classifier.",
        ),
    ] = None,
    categorical: o.Categorical = None,
    numeric: o.Numeric = None,
    datetime: o.Datetime = None,
    id: o.Ids = None,  # noqa: A002  (the name of the option)
    schema: o.Schema = None,
    features: Annotated[
        str | None,
        o.option(
            "--features",
            "Judge images as rows of a pretrained network's features, by --learner logistic or "
            "mlp: a --backbone of embed.",
        ),
    ] = None,
    recipe: o.RecipeName = "auto",
    image_size: o.ImageSize = None,
    resize: o.Resize = "squeeze",
    window: o.Window = None,
    flips: o.Flips = False,
    selection: o.Selection = True,
    seed: o.Seed = 0,
    device: o.Device = "auto",
    precision: o.Precision = "auto",
    workers: o.Workers = None,
    n_jobs: Annotated[
        int, o.option("--n-jobs", "Processes of one thread each; -1: as many as cores.")
    ] = -1,
    backbone: Annotated[
        str | None,
        o.option(
            "--backbone",
            "A pretrained network (as of embed), whose features of the same photos are an arm: "
            "the GAN must beat them.",
        ),
    ] = None,
    backend: Annotated[
        str | None, o.option("--backend", "dask: fits on a cluster, whose workers see --out.")
    ] = None,
    address: Annotated[
        str | None, o.option("--address", "Of its scheduler, such as tcp://10.0.0.1:8786.")
    ] = None,
    skip_bad: o.SkipBad = False,
    fail_on: Annotated[
        FailOn | None,
        o.option(
            "--fail-on",
            "Exit with 4: harmful, where the verdict is HARMFUL; no-evidence, where it is neither "
            "ADOPT nor LIKELY HELPS.",
        ),
    ] = None,
    resume: o.Resume = False,
    overwrite: o.Overwrite = False,
    config: o.Config = None,
    dry_run: o.DryRun = False,
    verbose: o.Verbose = False,
    as_json: o.AsJson = False,
    quiet: o.Quiet = False,
) -> None:
    """Say whether topping up helps a classifier on DATA.

    Splits DATA, or takes --test, fits everything on training parts alone, compares with doing
    nothing and with what costs less (class weights, repeats, SMOTE; of the CNN mixup and its like)
    on real rows that no fit saw, and prints a verdict.
    Writes --out: report.html to look at, result.json, timings.json, the journal, and the models of
    the first repeat.
    """
    from gan_augment.commands.evaluate import evaluate as run_evaluate
    from gan_augment.commands.evaluate import plan_evaluation

    with outcome.exit_codes(ctx):
        settings = _options(ctx)
        if dry_run:
            plan = plan_evaluation(data, settings, test=test, features=features, backbone=backbone)
            outcome.print_plan(ctx, plan.lines(), plan=plan.to_dict())
            return
        with shown_progress(quiet=quiet) as progress:
            result = run_evaluate(
                data,
                out,
                settings,
                test=test,
                features=features,
                backbone=backbone,
                backend=backend,
                address=address,
                resume=resume,
                overwrite=overwrite,
                progress=progress,
            )
        outcome.print_result(ctx, result, result.out)
    if _fails(result.verdict, fail_on):
        typer.echo(f"the verdict is {result.verdict}: --fail-on {fail_on}", err=True)
        raise typer.Exit(FAILED_ON)
    if result.verdict in HELPFUL and features is None:
        columns = "" if target is None else f" --target {shlex.quote(target)}"
        to = "OUT" if target is None else f"OUT{data.suffix}"
        named = "" if classes == "rare" else f" --classes {shlex.quote(classes)}"
        outcome.print_next(
            ctx, f"gan-augment augment {shlex.quote(str(data))} {to}{columns}{named}"
        )


def _options(ctx: typer.Context) -> EvaluationOptions:
    """The settings of an evaluation; `--budget` is for all of it, `--gan-budget` for one fit of the
    generator, which `--steps` silences."""
    from gan_augment import EvaluationOptions
    from gan_augment.options import seconds
    from gan_augment.settings import COMMAND_LINE

    given = ctx.params
    own = set(EvaluationOptions.model_fields) - {"fit", "budget_s"}
    chosen = {name: given[name] for name in own if given.get(name) is not None}
    chosen["samplers"] = o.names(given["sampler"] or "")
    chosen["fit"] = fit = o.fit_settings(ctx)
    if given["steps"] is None and given["gan_budget"] is not None:
        fit["budget_s"] = o.read(given["gan_budget"], seconds, "--gan-budget")
    if given["budget"] is not None:
        chosen["budget_s"] = o.read(given["budget"], seconds, "--budget")
    return EvaluationOptions.checked(chosen, COMMAND_LINE)


def _fails(verdict: str, fail_on: FailOn | None) -> bool:
    if fail_on == "harmful":
        return verdict == "HARMFUL"
    return fail_on == "no-evidence" and verdict not in HELPFUL


def report(
    ctx: typer.Context,
    result: Annotated[
        Path,
        typer.Argument(
            metavar="RESULT",
            show_default=False,
            help="The folder that evaluate wrote, or its result.json.",
        ),
    ],
    out: Annotated[
        Path | None,
        o.option("--out", "The file to write (.html).  [default: report.html beside RESULT]"),
    ] = None,
    overwrite: Annotated[bool, o.option("--overwrite", "Replace an earlier report.")] = False,
    verbose: o.Verbose = False,
    as_json: o.AsJson = False,
    quiet: o.Quiet = False,
) -> None:
    """Write RESULT as one page of HTML: the verdict in plain words, then why.

    The file needs nothing else: no script, no connection. evaluate writes it too.
    """
    from gan_augment.commands.report import report as run_report

    with outcome.exit_codes(ctx):
        written = run_report(result, out, overwrite=overwrite)
    outcome.print_result(ctx, written, written.out)
