"""`evaluate` from Python: X, y and settings become `Labelled` and `EvaluationOptions`.

The same data, seed and steps give the same result, byte for byte, for every `n_jobs`.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from gan_augment.data.tables.containers import as_frame
from gan_augment.data.tables.inference import column_names
from gan_augment.data.tables.schema import matching_name
from gan_augment.errors import UsageError
from gan_augment.evaluation.design import Origin
from gan_augment.evaluation.options import EvaluationOptions
from gan_augment.evaluation.runner import evaluate as run
from gan_augment.options import FitOptions
from gan_augment.progress import LogProgress, shown_progress
from gan_augment.sklearn_api.augmenter import GANAugmenter, checked_options
from gan_augment.sklearn_api.inputs import ParsedInput, is_dataset, read_input, read_labelled
from gan_augment.sklearn_api.sampling_strategy import rows_to_add

if TYPE_CHECKING:
    from gan_augment.evaluation.result import EvaluationResult


def evaluate(
    data: Any,
    y: Any = None,
    *,
    test: Any = None,
    augmenter: Any = None,
    out: str | Path | None = None,
    resume: bool = False,
    overwrite: bool = False,
    force: bool = False,
    verbose: bool = False,
    **settings: Any,
) -> EvaluationResult:
    """Measure, on held-out rows, whether topping up the rare classes helps a classifier.

    Parameters
    ----------
    data, y
        X and y as for `GANAugmenter.fit_resample`; a frame and the name of its label column; or
        data with labels (`Labelled`, a `read_...` result, a torch Dataset or DataLoader) and None.
    test
        A separate test set, (X, y) or data with labels: `data` is then not split.
    augmenter
        GANAugmenter, ImageGAN, TabularGAN, or any object with `fit(data)` and `sample(counts,
        random_state)`; None is `GANAugmenter()`. Only its settings are used.
    out, resume, overwrite, force, verbose
        Folder of the result (None: temporary); whether to resume or replace it, and to evaluate
        although there are too few rare rows for a verdict; whether to show a progress bar.
    **settings
        The fields of `EvaluationOptions` and `FitOptions`, which win over the augmenter. `classes`
        says what to top up: "rare", "all", or labels; by default as the augmenter, or "rare".

    Returns
    -------
    EvaluationResult
        The verdict, its reasons and all figures.

    Raises
    ------
    DataError, UsageError
        For what cannot be judged or used; without `force` for too few rare rows for a verdict.

    Examples
    --------
    >>> from sklearn.datasets import make_classification
    >>> X, y = make_classification(200, weights=[0.8], random_state=0)
    >>> evaluate(X, y, learner="logistic", folds=2, repeats=1, steps=2, arms="oversample").verdict
    'NO EVIDENCE'
    """
    rows, named = _read(data, y, augmenter), y if isinstance(y, str | int) else None
    given = test if isinstance(test, tuple) else (test, named)
    tested = None if test is None else _read(given[0], given[1], augmenter).data
    how: dict[str, Any] = {"out": out, "resume": resume, "overwrite": overwrite, "test": tested}
    how |= {"origin": Origin(loader=is_dataset(data), labels=rows.labels.by_name)}
    progress = (shown_progress if verbose else LogProgress)("evaluate")
    options = _options(augmenter, rows, settings)
    how |= {"progress": progress, "on_plan": lambda plan: plan.check(force or resume)}
    result = run(rows.data, options, **how)
    progress.finish()
    return result


def _read(data: Any, y: Any, augmenter: Any) -> ParsedInput:
    """Return labelled data, the user's labels of its classes, and the chosen kinds of columns."""
    if (own := read_labelled(data, y)) is not None:
        columns = getattr(getattr(data, "schema", None), "columns", ())
        kinds = {c.name: c.kind for c in columns if c.why.startswith("asked for")}
        return replace(own, overrides=kinds)
    if isinstance(y, str | int):
        frame = as_frame(data)
        y = matching_name(y, column_names(frame), "label ")
        data, y = frame.drop(columns=y), frame[y]
    return read_input(data, y, augmenter if isinstance(augmenter, GANAugmenter) else GANAugmenter())


def _options(augmenter: Any, rows: ParsedInput, settings: dict[str, Any]) -> EvaluationOptions:
    """Return the options of the settings, which win over those of the augmenter."""
    chosen: dict[str, Any] = {"generator": augmenter}
    fit = {"classes": augmenter.classes} if hasattr(augmenter, "classes") else {}
    if isinstance(augmenter, GANAugmenter):
        of_fit, top_up = checked_options(augmenter)
        if augmenter.source != "gan" or top_up.synthetic_share == 0:
            raise UsageError(
                f"nothing is generated with {augmenter!r}, and there is nothing to judge; repeats "
                "and SMOTE are the arms 'oversample' and 'smote'"
            )
        strategy = augmenter.sampling_strategy
        if isinstance(strategy, float | int) or (
            isinstance(strategy, str) and strategy == "median"
        ):
            top_up = top_up.model_copy(update={"to": strategy})
        added = rows_to_add(strategy, rows.labels, rows.data.labels)
        names = ("recipe", "device", "precision", "steps", "budget", "selection", "flips")
        fit = {name: getattr(of_fit, name) for name in names}
        fit["classes"] = tuple(name for name, n in added.items() if n) or "rare"
        chosen = {"top_up": top_up}
    own = set(FitOptions.model_fields) - set(EvaluationOptions.model_fields)
    fit |= {name: settings[name] for name in own & set(settings)}
    chosen |= {name: value for name, value in settings.items() if name not in own}
    if not isinstance(fit.get("classes", ""), str):
        fit["classes"] = tuple(map(str, np.ravel(fit["classes"])))
    fit.setdefault("columns", dict(rows.overrides))
    return EvaluationOptions.checked({**chosen, "fit": fit}, "evaluate")
