"""Commands that compare: `evaluate`, its `report`, and `choose`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from gan_augment_cli import options as o
from gan_augment_cli import outcome

FAILED_ON = 4
FAILURES = {
    "harmful": ("HARMFUL",),
    "insufficient": ("INSUFFICIENT DATA",),
    "no-evidence": ("HARMFUL", "INSUFFICIENT DATA", "NO EVIDENCE", "NO PRACTICAL DIFFERENCE"),
}
"""{--fail-on: the verdicts that fail}."""
EvaluationSettings = Annotated[
    Any,
    o.Settings(
        "gan_augment.evaluation.options:EvaluationOptions",
        "fit.target fit.columns fit.classes learner metric folds arms fit.steps budget "
        "group time fit.recipe fit.image_size fit.seed n_jobs delta "
        "repeats sampler=samplers gan_budget=fit.budget updates group_duplicates "
        "diagnostics fit.window fit.flips fit.selection fit.device "
        "fit.precision fit.skip_bad",
    ),
]


def evaluate(
    ctx: typer.Context,
    data: o.Data,
    options: EvaluationSettings,
    out: Annotated[
        Path | None,
        o.option("--out", "The folder of the report.  [default: reports/<name of DATA>]"),
    ] = None,
    test: Annotated[
        Path | None,
        o.option(
            "--test",
            "Test data of your own; then all of DATA trains.  [default: DATA/test or DATA/val, if "
            "there is a DATA/train]",
        ),
    ] = None,
    backbone: o.Backbone = None,
    fail_on: Annotated[
        Literal["harmful", "insufficient", "no-evidence"] | None,
        o.option(
            "--fail-on",
            "Exit with code 4 for the verdict HARMFUL, for INSUFFICIENT DATA, or (no-evidence) for "
            "every verdict but ADOPT, LIKELY HELPS and USE ....",
        ),
    ] = None,
    force: Annotated[
        bool, o.option("--force", "Evaluate even with too few rare rows for a verdict.")
    ] = False,
    resume: o.Resume = False,
    overwrite: o.Overwrite = False,
    dry_run: o.DryRun = False,
) -> None:
    """Measure what helps a classifier with rare classes, and recommend it.

    Compares generated rows with nothing and with free remedies, on real rows held out from
    training. With --backbone, photos are judged by features of a pretrained network.
    Prints a recommendation and writes report.html and result.json.
    """
    from gan_augment.commands.evaluate import evaluate as run_evaluate
    from gan_augment.commands.evaluate import plan_evaluation

    if options.n_jobs is None:
        options = options.model_copy(update={"n_jobs": -1})
    source: dict[str, Any] = {"test": test, "features": backbone}
    if dry_run:
        plan = plan_evaluation(data, options, **source)
        outcome.show_plan(ctx, plan.lines(), plan=plan.to_dict())
        return
    source |= {"resume": resume, "overwrite": overwrite, "force": force}
    result = outcome.run(ctx, run_evaluate, data, out, options, **source)
    outcome.finish(ctx, result, result.out)
    if fail_on is not None and result.verdict in FAILURES[fail_on]:
        typer.echo(f"the verdict is {result.verdict}: --fail-on {fail_on}", err=True)
        raise typer.Exit(FAILED_ON)


def report(
    ctx: typer.Context,
    result: Annotated[
        Path, o.argument("RESULT", "The folder that `evaluate` wrote, or its result.json.")
    ],
    out: Annotated[
        Path | None,
        o.option("--out", "The .html file to write.  [default: report.html next to RESULT]"),
    ] = None,
    overwrite: o.Overwrite = False,
) -> None:
    """Write the report of an evaluation again, as one HTML page.

    Prints every figure as text. The page needs no script and no connection.
    """
    from gan_augment.commands.report import report as run_report

    written = run_report(result, out, overwrite=overwrite)
    outcome.finish(ctx, written, written.out)


def choose(
    ctx: typer.Context,
    data: o.Data,
    options: Annotated[
        Any,
        o.Settings(
            o.FIT,
            "target columns classes budget image_size window flips seed device precision "
            "threads skip_bad",
        ),
    ],
    out: Annotated[
        Path | None, o.option("--out", "The folder to write.  [default: choices/<name of DATA>]")
    ] = None,
    recipes: Annotated[
        str, o.option("--recipes", "Names or .toml files, or all.  [default: five of them]")
    ] = "",
    overwrite: o.Overwrite = False,
    dry_run: o.DryRun = False,
) -> None:
    """Try several recipes on DATA and name the best one.

    Trains each twice for the same time on three quarters of the rows and compares scores on the
    others. Takes 20 minutes, or --budget. Writes recipe.toml (for fit --recipe), samples.png,
    scores.png and choice.json.
    """
    from gan_augment.commands.choose import choose as run_choose
    from gan_augment.commands.choose import plan_choice

    names = o.names(recipes)
    if dry_run:
        lines, values = plan_choice(data, out, options, recipes=names)
        outcome.show_plan(ctx, lines, plan=values)
        return
    flags = {"recipes": names, "overwrite": overwrite}
    result = outcome.run(ctx, run_choose, data, out, options, **flags)
    outcome.finish(ctx, result, result.out)
