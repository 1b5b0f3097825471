"""`evaluate` from Python: X, y and settings become `Labelled` and `EvaluationOptions`.

The same data, seed and steps give the same result, byte for byte, for every `n_jobs`.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from gan_augment.data.tables.inference import column_names
from gan_augment.data.tables.reader import read_frame
from gan_augment.data.tables.schema import Overrides
from gan_augment.errors import UsageError
from gan_augment.evaluation.options import EvaluationOptions
from gan_augment.generators.gan import GAN
from gan_augment.kinds.kind import Labelled, labelled_of
from gan_augment.options import FitOptions
from gan_augment.progress import Progress, StderrProgress
from gan_augment.sklearn_api.augmenter import (
    GANAugmenter,
    checked_parameters,
    threads,
)
from gan_augment.sklearn_api.inputs import (
    ClassLabels,
    categorical_overrides,
    read_input,
    read_labelled,
)
from gan_augment.sklearn_api.sampling_strategy import rows_to_add

if TYPE_CHECKING:
    from gan_augment.evaluation.result import EvaluationResult


def evaluate(
    data: Any,
    y: Any = None,
    options: EvaluationOptions | None = None,
    *,
    test: Any = None,
    augmenter: Any = None,
    classes: Any = None,
    out: str | Path | None = None,
    resume: bool = False,
    overwrite: bool = False,
    progress: Progress | None = None,
    **settings: Any,
) -> EvaluationResult:
    """Measure whether topping up the rare classes helps a classifier on this data.

    Classifiers trained with and without added rows are tested on held-out rows. Raises DataError
    for data that cannot be judged, UsageError for settings that cannot be used.

    Parameters
    ----------
    data, y
        X and y as for `GANAugmenter.fit_resample`; a frame and the name of its label column; or
        data with labels (`Labelled`, a `read_...` result, a torch Dataset or DataLoader) and None.
    options, **settings
        `EvaluationOptions`; its fields and those of `FitOptions` as arguments, which win.
    test
        A separate test set, (X, y) or data with labels: `data` is then not split.
    augmenter
        GANAugmenter, ImageGAN, TabularGAN, or any object with `fit(data)` and `sample(counts,
        random_state)`; None is `GANAugmenter()`. Only its settings are used.
    classes
        What to top up: "rare", "all", or labels. None: as the augmenter, or "rare".
    progress
        Receives phases; None shows warnings only.
    out, resume, overwrite
        Folder for result, journal and models (None: temporary); whether to resume or replace it.

    Examples
    --------
    >>> from sklearn.datasets import make_classification
    >>> X, y = make_classification(90, weights=[0.8], random_state=0)  # too few for a verdict
    >>> evaluate(X, y, learner="logistic", folds=2, repeats=1, steps=2, arms="oversample").verdict
    'INSUFFICIENT DATA'
    """
    from gan_augment.evaluation.runner import evaluate as run

    rows, labels, overrides = _labelled(data, y, augmenter)
    chosen, fit = _settings_of(augmenter, rows, labels)
    fit |= {} if classes is None else {"classes": _names(classes, labels)}
    checked = _merged(chosen, {"columns": overrides.columns, **fit}, options, settings)
    tested = None
    if test is not None:
        named = y if isinstance(y, str | int) else None
        of_test, y_test = test if isinstance(test, tuple) else (test, named)
        tested, _, _ = _labelled(of_test, y_test, augmenter)
    shown = progress or StderrProgress("evaluate")
    return run(
        rows, checked, test=tested, out=out, resume=resume, overwrite=overwrite, progress=shown
    )


def _merged(
    chosen: Mapping[str, Any],
    fit: dict[str, Any],
    options: EvaluationOptions | None,
    settings: dict[str, Any],
) -> EvaluationOptions:
    """Return the options of an evaluation; arguments win over `options` and the augmenter."""
    fitted = set(FitOptions.model_fields) - set(EvaluationOptions.model_fields)
    fit = fit | {name: settings.pop(name) for name in fitted & set(settings)}
    if "n_jobs" in settings:
        settings["n_jobs"] = threads(settings["n_jobs"])
    given = {} if options is None else {n: getattr(options, n) for n in options.model_fields_set}
    given_fit = {} if options is None else options.fit.model_dump(exclude_unset=True)
    values = {**chosen, **given, **settings, "fit": {**given_fit, **fit}}
    return EvaluationOptions.checked(values, "evaluate")


def _labelled(data: Any, y: Any, augmenter: Any) -> tuple[Labelled, ClassLabels, Overrides]:
    """Return labelled data, the user's labels of its classes, and the chosen kinds of columns."""
    if isinstance(data, str | Path):
        raise UsageError(
            f"data is the path {str(data)!r}; read it first, with gan_augment.read_images(path) or "
            "gan_augment.read_table(path, target), or take gan_augment.commands.evaluate.evaluate"
        )
    own = read_labelled(data, y)
    if own is not None:
        is_read_table = labelled_of(data) is not None and hasattr(data, "schema")
        columns = data.schema.columns if is_read_table else ()
        kinds = {c.name: c.kind for c in columns if c.why.startswith("asked for")}
        return own.data, own.labels, Overrides(columns=kinds)
    ours = augmenter if isinstance(augmenter, GANAugmenter) else GANAugmenter()
    if isinstance(y, str | int):
        read = read_frame(data, y)
        cells = read.schema.target
        assert cells is not None
        form = ClassLabels.of(read.table.names, tuple(cells.levels))
        overrides = categorical_overrides(ours.categorical_features, column_names(read.table.frame))
        return read.table, form, overrides
    parsed = read_input(
        data,
        y,
        image_shape=ours.image_shape,
        categorical_features=ours.categorical_features,
        kind=ours.kind,
    )
    return parsed.data, parsed.labels, parsed.overrides


def _settings_of(
    augmenter: Any, data: Labelled, labels: ClassLabels
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the settings of an augmenter for the evaluation and for its fits."""
    if isinstance(augmenter, GAN):
        names = ("classes", "steps", "budget_s")
        return {"generator": augmenter}, {name: getattr(augmenter, name) for name in names}
    if not isinstance(augmenter, GANAugmenter):
        return {"generator": augmenter}, {}
    fit, top_up = checked_parameters(augmenter.get_params(deep=False))
    if top_up.synthetic_share == 0:
        raise UsageError(
            "the augmenter's synthetic_share is 0, so nothing is generated and there is nothing to "
            "judge; the arm 'oversample' is what it does"
        )
    strategy = augmenter.sampling_strategy
    if isinstance(strategy, float):
        top_up = top_up.model_copy(update={"to": strategy})
    added = rows_to_add(strategy, labels, data.labels)
    classes = tuple(name for name, n in added.items() if n) or "rare"
    settings = {name: getattr(fit, name) for name in ("recipe", "device", "steps", "budget_s")}
    return {"top_up": top_up}, {**settings, "classes": classes}


def _names(classes: Any, labels: ClassLabels) -> str | tuple[str, ...]:
    """Return the names of the classes to top up. Raises UnknownClassError."""
    if isinstance(classes, str):
        return classes
    listed = classes if isinstance(classes, list | tuple | np.ndarray) else [classes]
    known = labels.names
    return tuple(str(one) if str(one) in known else labels.name_of(one) for one in listed)
