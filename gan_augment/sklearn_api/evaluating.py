"""`evaluate` from Python: X, y and settings become `Labelled` and `EvaluationOptions`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from gan_augment.data.images.reader import ReadImages
from gan_augment.data.tables.inference import column_names
from gan_augment.data.tables.reader import ReadTable, read_frame
from gan_augment.data.tables.schema import Overrides
from gan_augment.errors import UsageError
from gan_augment.evaluation.options import EvaluationOptions
from gan_augment.generators.image_gan import ImageGAN
from gan_augment.generators.tabular_gan import TabularGAN
from gan_augment.kinds.kind import Labelled
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

    The rows are split. In every split all fits see the training part only: the classifier is
    trained with and without generated rows, and with cheaper remedies (class weights, repeats,
    SMOTE), and is tested on real rows.

    Parameters
    ----------
    data
        X as for `GANAugmenter.fit_resample`, or data with labels: a `Labelled`, the result of
        `read_images`, `read_frame` or `read_table`, a map-style torch Dataset or a DataLoader.
    y : (N,) or str or None
        Labels, or the name of their column in a frame; None if data has labels.
    options : EvaluationOptions or None
        All settings at once; None for the defaults.
    test
        A separate test set: (X, y), or data with labels. `data` is then not split; repeats are
        seeds of the classifier, 3 by default.
    augmenter
        GANAugmenter, ImageGAN, TabularGAN, or any object with `fit(data)` and `sample(counts,
        random_state)`; None is `GANAugmenter()`. Only its settings are used.
    classes
        The classes to top up: "rare", "all", or labels. None takes those of the augmenter, or
        "rare".
    out
        Folder for result, journal and models; None for a temporary one.
    resume, overwrite
        Whether to resume the evaluation in `out`, or to replace it.
    progress
        Receives phases; None shows warnings only.
    **settings
        Fields of `EvaluationOptions` (`learner`, `metric`, `arms`, `folds`, `n_jobs`, ...) and of
        `FitOptions` (`steps`, `seed`, ...), which win over `options`.

    Returns
    -------
    EvaluationResult
        With `.verdict`, `.sentence`, `.to_frame()`, `.to_html(path)`, `.save(folder)`.

    Raises
    ------
    DataError
        If the data cannot be judged: fewer than 4 rows (or groups) of every rare class, one class,
        a plug-in that leaks test rows.
    UsageError
        For unknown or contradicting settings.

    Notes
    -----
    The same data, seed and steps give the same result, byte for byte, for every `n_jobs`.

    Examples
    --------
    >>> from sklearn.datasets import make_classification
    >>> import gan_augment
    >>> X, y = make_classification(90, weights=[0.8], random_state=0)
    >>> found = gan_augment.evaluate(  # far too small for a verdict
    ...     X, y, learner="logistic", folds=2, repeats=1, steps=2, arms="oversample"
    ... )
    >>> found.verdict
    'INSUFFICIENT DATA'
    >>> found.to_frame().index.tolist()
    ['none', 'oversample', 'gan']
    """
    from gan_augment.evaluation.runner import evaluate as run

    rows, labels, overrides = _labelled(data, y, augmenter)
    chosen, fit = _settings_of(augmenter, rows, labels)
    if classes is not None:
        fit["classes"] = _names(classes, labels)
    fitted = set(FitOptions.model_fields) - set(EvaluationOptions.model_fields)
    fit |= {name: settings.pop(name) for name in fitted & set(settings)}
    if "n_jobs" in settings:
        settings["n_jobs"] = threads(settings["n_jobs"])
    given = {} if options is None else {n: getattr(options, n) for n in options.model_fields_set}
    given_fit = {} if options is None else options.fit.model_dump(exclude_unset=True)
    fit = {**given_fit, "columns": overrides.columns, **fit}
    checked = EvaluationOptions.checked({**chosen, **given, **settings, "fit": fit}, "evaluate")
    tested = None
    if test is not None:
        named = y if isinstance(y, str | int) else None
        of_test, y_test = test if isinstance(test, tuple) else (test, named)
        tested, _, _ = _labelled(of_test, y_test, augmenter)
    return run(
        rows,
        checked,
        test=tested,
        out=out,
        resume=resume,
        overwrite=overwrite,
        progress=progress or StderrProgress("evaluate"),
    )


def _labelled(data: Any, y: Any, augmenter: Any) -> tuple[Labelled, ClassLabels, Overrides]:
    """Return labelled data, the user's labels of its classes, and the chosen kinds of columns."""
    if isinstance(data, str | Path):
        raise UsageError(
            f"data is the path {str(data)!r}; read it first, with gan_augment.read_images(path) or "
            "gan_augment.read_table(path, target), or take gan_augment.commands.evaluate.evaluate"
        )
    if isinstance(data, ReadImages | ReadTable):
        if y is not None:
            raise UsageError(
                f"y was given with a {type(data).__name__}, which has labels; leave y out"
            )
        rows: Labelled = data.table if isinstance(data, ReadTable) else data.data
        columns = data.schema.columns if isinstance(data, ReadTable) else ()
        kinds = {c.name: c.kind for c in columns if c.why.startswith("asked for")}
        return rows, ClassLabels.of(rows.names, rows.names), Overrides(columns=kinds)
    own = read_labelled(data, y)
    if own is not None:
        return own.data, own.labels, Overrides()
    ours = augmenter if isinstance(augmenter, GANAugmenter) else GANAugmenter()
    if isinstance(y, str | int):
        read = read_frame(data, y)
        cells = read.schema.target
        assert cells is not None
        form = ClassLabels.of(read.table.names, tuple(cells.cells.levels))
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
    if isinstance(augmenter, ImageGAN | TabularGAN):
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
