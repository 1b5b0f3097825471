"""Commands that compare: `evaluate`, its `report`, and `choose`."""

from __future__ import annotations

import shlex
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
        "group time fit.recipe fit.image_size fit.seed n_jobs",
        "delta repeats sampler=samplers gan_budget=fit.budget updates group_duplicates "
        "diagnostics fit.window fit.flips fit.selection fit.device "
        "fit.precision fit.skip_bad",
    ),
]


def evaluate(
    ctx: typer.Context,
    data: o.Data,
    options: EvaluationSettings,
    out: Annotated[
        Path | None, o.option("--out", "The report's folder.  [default: reports/<name of DATA>]")
    ] = None,
    test: Annotated[
        Path | None,
        o.option(
            "--test",
            "Test data; then DATA is not split but trains.  [default: test or val next to train in "
            "DATA]",
        ),
    ] = None,
    backbone: o.Backbone = None,
    fail_on: Annotated[
        Literal["harmful", "insufficient", "no-evidence"] | None,
        o.option(
            "--fail-on",
            "Exit with 4 for the verdict HARMFUL or INSUFFICIENT DATA, or for every verdict but "
            "ADOPT, LIKELY HELPS and USE ....",
        ),
    ] = None,
    force: Annotated[
        bool, o.option("--force", "Evaluate although there are too few rare rows for a verdict.")
    ] = False,
    resume: o.Resume = False,
    overwrite: o.Overwrite = False,
    dry_run: o.DryRun = False,
) -> None:
    """Measure whether topping up helps a classifier on DATA.

    Fits everything on training rows only and compares topping up with nothing and with cheaper
    methods on real rows that no fit saw. With --backbone images are judged by their features.
    Prints a verdict and writes --out: report.html, result.json, timings.json and the journal.
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
    verdict = result.verdict
    outcome.show(ctx, result.to_dict(), result.lines(), result.out, result.following)
    if fail_on is not None and verdict in FAILURES[fail_on]:
        typer.echo(f"the verdict is {verdict}: --fail-on {fail_on}", err=True)
        raise typer.Exit(FAILED_ON)


def report(
    ctx: typer.Context,
    result: Annotated[
        Path, o.argument("RESULT", "The folder that evaluate wrote, or its result.json.")
    ],
    out: Annotated[
        Path | None,
        o.option("--out", "The file to write (.html).  [default: report.html next to RESULT]"),
    ] = None,
    overwrite: o.Overwrite = False,
) -> None:
    """Write RESULT as one HTML page: the verdict in plain words, then the reasons.

    The page needs no script and no connection. evaluate writes it too.
    """
    from gan_augment.commands.report import report as run_report

    written = run_report(result, out, overwrite=overwrite)
    outcome.show(ctx, written.to_dict(), written.lines(), written.out)


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
        str, o.option("--recipes", "Names or .toml files with commas, or all.  [default: five]")
    ] = "",
    overwrite: o.Overwrite = False,
    dry_run: o.DryRun = False,
) -> None:
    """Try recipes on DATA and name the best one.

    Fits each twice on three quarters of the rows, for the same time, and compares their held-out
    scores, in 20 minutes or --budget. Writes --out: recipe.toml for --recipe, samples.png and
    choice.json.
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
    words = ["gan-augment", "fit", str(data)]
    words += ["--target", options.target] if options.target else []
    words += ["--recipe", str(result.out / "recipe.toml")]
    then = shlex.join(words) if result.winner else ""
    outcome.show(ctx, result.to_dict(), result.lines(), result.out, then)
