"""Source and amount of added rows: the candidates and the rule of `amount="auto"`."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from typing import Any, Literal

import numpy as np
from imblearn.over_sampling.base import BaseOverSampler
from numpy.typing import NDArray
from sklearn.base import clone

from gan_augment.data.topup_plan import plan_topup
from gan_augment.generators.baselines import Smote
from gan_augment.generators.generator import Generator
from gan_augment.options import TopUp
from gan_augment.sklearn_api.augmenter import checked_options, draw_seed
from gan_augment.sklearn_api.inputs import ParsedInput, read_input
from gan_augment.sklearn_api.sampling_strategy import rows_to_add

Source = Literal["none", "repeats", "smote", "gan"]
SOURCES: tuple[Source, ...] = ("repeats", "smote", "gan")
TO = (0.1, 0.25, 0.5, 1.0)
LADDER: tuple[tuple[Source, float], ...] = (
    ("none", 0.0),
    *((source, to) for to in TO for source in SOURCES),
)
"""(source, fraction of the majority) of all candidates, from fewer rows to more."""
DEFAULT: tuple[Source, float] = ("gan", 1.0)
FITTED: dict[str, Any] = {}
"""Fitted GANs by the fingerprint of rows and settings: the amounts of one fold share one fit.

A search empties it at its end.
"""


class AmountSampler(BaseOverSampler):  # type: ignore[misc]
    """Tops up the classes of a `GANAugmenter` from one source to one fraction of the majority.

    augmenter: names the classes, reads X, and its generator is the source "gan"; not changed. to:
    the fraction of the majority's count that a topped-up class ends with. origin_: of every row.
    """

    def __init__(self, augmenter: Any = None, source: Source = "none", to: float = 1.0) -> None:
        super().__init__()
        self.augmenter = augmenter
        self.source = source
        self.to = to

    def fit_resample(self, X: Any, y: Any) -> tuple[Any, Any]:
        """Return X and y followed by the added rows."""
        if self.source == "none":
            self.origin_ = np.full(len(y), "real")
            return X, y
        parsed = read_input(X, y, self.augmenter)
        data = parsed.data
        classes = list(rows_to_add(self.augmenter.sampling_strategy, parsed.labels, data.labels))
        top_up = TopUp(synthetic_share=1.0 if self.source == "smote" else 0.0, companions=False)
        if self.source == "gan":
            _, top_up = checked_options(self.augmenter)
        top_up = top_up.model_copy(update={"to": float(self.to)})
        plan = plan_topup(data.counts, top_up, classes, data.kind.recipes)
        with warnings.catch_warnings():  # of classes filled with repeats, and of ids
            warnings.simplefilter("ignore", UserWarning)
            generator = self._generator(parsed) if plan.generated else None
            seed = draw_seed(self.augmenter.random_state)
            result, _, self.origin_ = parsed.topped_up(plan, generator, seed)
        return result

    def _generator(self, parsed: ParsedInput) -> Generator:
        if self.source == "smote":
            return Smote().fit(parsed.data, schema=parsed.schema)
        settings = sorted(self.augmenter.get_params(deep=False).items())
        key = f"{parsed.data.kind.sha256(parsed.data)} {settings!r}"
        if key not in FITTED:
            FITTED[key] = clone(self.augmenter).fit(parsed).generator_
        generator: Generator = FITTED[key]
        return generator

    def _fit_resample(self, X: Any, y: Any) -> tuple[Any, Any]:
        return self.fit_resample(X, y)


def best_amount(results: Mapping[str, Any]) -> int:
    """Return the index of the chosen candidate in `GridSearchCV.cv_results_`.

    The default is the GAN to parity. The best candidate replaces it if it is better by more than
    one standard error, or if adding nothing is at least as good. The standard error of a mean
    difference is pooled over the candidates and corrected for folds that share training rows:
    sqrt(mean_a s_a^2 (1 / J + 1 / (J - 1))) for J folds. Candidates that failed in a fold, and
    folds that judged no candidate, are ignored.

    Notes
    -----
    Sources: Breiman et al. 1984, "Classification and Regression Trees", section 3.4.3 (one standard
    error); Nadeau & Bengio 2003, "Inference for the generalization error", section 3. On 19 tables
    this rule gained more balanced accuracy than three others (examples/benchmarks/amounts.md).

    Examples
    --------
    >>> folds = {
    ...     "split0_test_score": [0.5, 0.7],
    ...     "split1_test_score": [0.5, 0.8],
    ...     "params": [
    ...         {"augmenter__source": "none", "augmenter__to": 0.0},
    ...         {"augmenter__source": "gan", "augmenter__to": 1.0},
    ...     ],
    ... }
    >>> best_amount(folds)
    1
    """
    candidates = [(p["augmenter__source"], p["augmenter__to"]) for p in results["params"]]
    nothing, default = candidates.index(LADDER[0]), candidates.index(DEFAULT)
    names = [n for n in results if n.startswith("split") and n.endswith("_test_score")]
    scores: NDArray[np.float64] = np.array([results[name] for name in names], dtype=np.float64).T
    scores = scores[:, np.isfinite(scores).any(axis=0)]
    folds = scores.shape[1]
    usable = np.isfinite(scores.sum(axis=1))
    if folds < 2 or not usable.any():
        return nothing
    mean = scores.mean(axis=1)
    best = int(np.nanargmax(mean))
    rivals = usable & (np.arange(len(mean)) != default)
    if best == nothing or not usable[default] or not rivals.any():
        return best
    variance = (scores[rivals] - scores[default]).var(axis=1, ddof=1).mean()
    error = np.sqrt(variance * (1 / folds + 1 / (folds - 1)))
    beaten = mean[best] - mean[default] > error
    useless = mean[default] <= mean[nothing]
    return best if beaten or useless else default
