"""`evaluate`: whether topping up helps a classifier, from Python. The work is `evaluation/`'s."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from gan_augment.data.images.reader import ReadImages
from gan_augment.data.tables.inference import column_names
from gan_augment.data.tables.reader import ReadTable, read_frame
from gan_augment.data.tables.schema import Overrides
from gan_augment.errors import UsageError
from gan_augment.evaluation.options import EvaluationOptions
from gan_augment.generators.image_gan import ImageGAN
from gan_augment.generators.tabular_gan import TabularGAN
from gan_augment.kinds.kind import Labelled
from gan_augment.progress import Progress, StderrProgress
from gan_augment.sklearn_api.augmenter import (
    GANAugmenter,
    checked_parameters,
    threads,
)
from gan_augment.sklearn_api.features import FrozenFeatures
from gan_augment.sklearn_api.inputs import (
    ClassLabels,
    categorical_overrides,
    read_input,
    read_labelled,
)
from gan_augment.sklearn_api.sampling_strategy import rows_to_add

if TYPE_CHECKING:
    from gan_augment.evaluation.result import EvaluationResult

Data = Labelled


def evaluate(
    data: Any,
    y: Any = None,
    *,
    test: Any = None,
    learner: Any = None,
    augmenter: Any = None,
    samplers: Mapping[str, Any] | None = None,
    metric: str = "balanced_accuracy",
    classes: Any = None,
    delta: float = 0.01,
    folds: int | None = None,
    repeats: int | None = None,
    arms: str | Sequence[str] = "default",
    steps: int | None = None,
    budget: float | str | None = None,
    force: bool = False,
    gan_budget: float | str | None = None,
    updates: int | None = None,
    groups: Any = None,
    time: Any = None,
    gap: int = 0,
    group_duplicates: bool = False,
    diagnostics: bool = True,
    extractor: Any = None,
    backbone: Any = None,
    seed: int = 0,
    n_jobs: int | None = None,
    out: str | Path | None = None,
    resume: bool = False,
    overwrite: bool = False,
    progress: Progress | None = None,
) -> EvaluationResult:
    """Measure and judge whether topping up the rare classes helps a classifier on this data.

    The rows are split; in every split everything is fitted on the training part alone, by the
    evaluator itself; the classifier is trained with and without generated rows, and with what costs
    less (class weights, repeats, SMOTE), and tested on real rows that no fit saw.

    Parameters
    ----------
    data
        X as of `GANAugmenter.fit_resample`; or what brings its labels: a `Labelled` or
        `Labelled`, what `read_images`, `read_frame` or `read_table` gave, a map-style torch
        Dataset or a DataLoader.
    y
        (N,) the labels, or the name of their column in a frame; None where data brings them.
    test
        Rows to test on: (X, y), or what brings its labels, as `data` does. `data` is then not
        split but trains; repeats are seeds of the learner, 3 unless said.
    learner
        The classifier that is to gain: a scikit-learn classifier or pipeline (cloned for every
        fit), a class or function that makes one, a name ("boosting", "logistic", "forest",
        "neighbours"; for images "cnn"), "path.py:factory", or for images a training function of
        torch. None is "boosting" for tables and "cnn" for images.
    augmenter
        GANAugmenter, ImageGAN, TabularGAN, or anything with `fit(data)` and `sample(counts,
        random_state)`; None is the default one. Its settings are used, never what it has learned;
        of a `sampling_strategy` the classes, since amounts are chosen inside.
    samplers
        {name: over-sampler with fit_resample(X, y)}, arms of one's own.
    metric
        What the verdict is on: "balanced_accuracy", "macro_f1", "g_mean", "accuracy" or
        "average_precision".
    classes
        Which are topped up: "rare", "all", or labels. None takes those of a GANAugmenter or a GAN
        that is given, else "rare".
    delta
        The smallest difference of the metric that is worth having, in 0..1.
    folds, repeats
        None is 5 folds x 3 for tables and 3 x 1 for images, or what the data allows.
    arms
        "default", "all", or some of "class_weight", "oversample", "smote", "auto", "gan_parity",
        "permuted" beside "none" and "gan"; for the CNN also "plain", "balanced_softmax", "mixup",
        "mixup_balanced_softmax", "cmo", "trivial_augment", and "gan+mixup" and its like; with a
        backbone "features". Those that
        are named are not left out; of images "auto" brings inner folds.
    steps, gan_budget
        Of every fit of the GAN: steps, or seconds or a text such as "90s", turned into steps once.
        None is the recipe's own number.
    budget
        Seconds or a text such as "30m" for all of it: what does not fit is left out, and said.
    updates
        Optimiser updates of the CNN for images.
    groups
        (N,), or the name of a column, which is no feature then: rows of one group stay on one side
        of every split.
    time
        (N,) or the name of a column: always trained on what came before.
    gap
        Rows left out between training and test.
    group_duplicates
        Whether exact repeats of rows of a table stay together.
    diagnostics
        Whether the result also tells what generated rows are like beside real ones (it never
        changes the verdict).
    extractor
        Features to look through: a torch module, or a function of uint8 images (n, H, W, C) or of a
        frame, that gives (n, d).
    backbone
        Of images: a `FrozenFeatures`, or what it takes as its backbone. A plain head on its
        features of the same images, nothing added, is an arm that the GAN's rows must beat.
    seed
        The same seed, data and steps give the same result, byte for byte, whatever n_jobs is; a
        budget is turned into steps and fits by the time they take, once.
    n_jobs
        Processes, each of one thread; None is one, -1 all cores.
    out
        A folder for the result, the journal and models; None is a temporary one.
    resume, overwrite
        Whether to go on with what `out` began, or to replace it.
    progress
        Told what happens; None tells warnings alone.

    Returns
    -------
    EvaluationResult
        `.verdict`, `.sentence`, `.to_frame()`, `.to_dict()`, `.to_html(path)`, `.lines()`,
        `.save(folder)`; a notebook shows it as a page does.

    Raises
    ------
    DataError
        Where the data cannot be judged: fewer than 4 rows (or groups) of every rare class, one
        class, a plug-in that leaks test rows.
    UsageError
        For parameters.

    Examples
    --------
    >>> from sklearn.datasets import make_classification
    >>> import gan_augment
    >>> X, y = make_classification(90, weights=[0.8], random_state=0)
    >>> found = gan_augment.evaluate(  # a real one has more of everything
    ...     X, y, learner="logistic", folds=2, repeats=1, steps=2, arms="oversample"
    ... )
    >>> found.verdict
    'INSUFFICIENT DATA'
    >>> found.to_frame().index.tolist()
    ['none', 'oversample', 'gan']
    """
    rows, labels, overrides = _labelled(data, y, augmenter)
    chosen, fit = _settings_of(augmenter, rows, labels)
    if classes is not None:
        fit["classes"] = _names(classes, labels)
    if steps is not None or gan_budget is not None:
        fit |= {"steps": steps, "budget_s": gan_budget}
    options = EvaluationOptions.checked(
        {
            **chosen,
            "fit": {**fit, "columns": overrides.columns, "seed": seed},
            "learner": learner,
            "samplers": samplers,
            "metric": metric,
            "delta": delta,
            "folds": folds,
            "repeats": repeats,
            "arms": arms,
            "budget_s": budget,
            "force": force,
            "updates": updates,
            "group": groups,
            "time": time,
            "gap": gap,
            "group_duplicates": group_duplicates,
            "diagnostics": diagnostics,
            "extractor": extractor,
            "n_jobs": threads(n_jobs),
        },
        "evaluate",
    )
    from gan_augment.evaluation.start import evaluate as run

    tested = None
    if test is not None:
        named = y if isinstance(y, str | int) else None
        of_test, y_test = test if isinstance(test, tuple) else (test, named)
        tested, _, _ = _labelled(of_test, y_test, augmenter)
    return run(
        rows,
        options,
        test=tested,
        features=None if backbone is None else _pretrained(backbone, rows, tested),
        out=out,
        resume=resume,
        overwrite=overwrite,
        progress=progress or StderrProgress("evaluate"),
    )


def _pretrained(backbone: Any, *data: Any) -> tuple[str, NDArray[np.float32]]:
    """Name a pretrained network, and return its features of images, float32 (N, D)."""
    features = backbone if isinstance(backbone, FrozenFeatures) else FrozenFeatures(backbone)
    given = [one for one in data if one is not None]
    if any(one.kind.tabular for one in given):
        raise UsageError("a backbone is for images, and the data is a table; leave it out")
    name = features.backbone
    name = Path(name).name if isinstance(name, str | Path) else type(name).__name__
    return name, np.concatenate([features.fit_transform(one) for one in given])


def _labelled(data: Any, y: Any, augmenter: Any) -> tuple[Data, ClassLabels, Overrides]:
    """Return labelled data, names of its classes, and kinds of columns that the user decided."""
    if isinstance(data, str | Path):
        raise UsageError(
            f"data is the path {str(data)!r}; read it first, with gan_augment.read_images(path) or "
            "gan_augment.read_table(path, target), or take gan_augment.commands.evaluate.evaluate"
        )
    if isinstance(data, ReadImages | ReadTable):
        if y is not None:
            raise UsageError(f"y was given beside a {type(data).__name__}; leave y out")
        rows: Data = data.table if isinstance(data, ReadTable) else data.data
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
    augmenter: Any, data: Data, labels: ClassLabels
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return what an augmenter says of an evaluation's options, and of those of its fits."""
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
    added = rows_to_add(augmenter.sampling_strategy, labels, data.labels)
    classes = tuple(name for name, n in added.items() if n) or "rare"
    settings = {name: getattr(fit, name) for name in ("recipe", "device", "steps", "budget_s")}
    return {"top_up": top_up}, {**settings, "classes": classes}


def _names(classes: Any, labels: ClassLabels) -> str | tuple[str, ...]:
    """Name the classes to top up, given as the user has them. Raises UnknownClassError."""
    if isinstance(classes, str):
        return classes
    listed = classes if isinstance(classes, list | tuple | np.ndarray) else [classes]
    known = labels.names
    return tuple(str(one) if str(one) in known else labels.name_of(one) for one in listed)
