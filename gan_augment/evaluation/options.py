"""What an evaluation may be told: `Options`. Nothing is computed here."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from numpy.typing import NDArray

from gan_augment.config import TopUp
from gan_augment.data.tables.schema import Overrides
from gan_augment.errors import UsageError, did_you_mean
from gan_augment.evaluation.amount import TO
from gan_augment.evaluation.figures import METRICS

CHEAP_ARMS = ("class_weight", "oversample", "smote")
DEFAULT_ARMS = ("none", *CHEAP_ARMS, "gan", "auto")
EXTRA_ARMS = ("gan_parity", "permuted", "plain")
"""Of `arms="all"`: parity without a choice, a GAN fitted on permuted labels, and for images no help
without classical augmentation."""
IMAGE_BUDGET_S = 1800.0


@dataclass(frozen=True)
class Options:
    """How to evaluate. None means: decided from the data, and said in the plan.

    learner: what `evaluation.learners.learner_of` takes. generator: an ImageGAN or a TabularGAN
    whose settings are used, or anything else with `fit(data)` and `sample(counts, random_state)`,
    unfitted, deep-copied for every fit; its attribute `random_state` is set where it has one, and
    `sample` gives exactly {class: n} rows, class by class, as data like that of `fit`. Whatever it
    raises ends the arms that need it, not the evaluation. samplers: {name: over-sampler with
    fit_resample(X, y)}, arms of one's own, cloned for every fit.
    classes: to top up. to: the fractions of the majority's count that are tried. metric: the
    primary figure. delta: the smallest difference worth having, in the metric's unit (0..1).
    arms: "default", "all", or names. curves: whether the share of generated rows and of real rows
    are varied too. batch: rows that a learner scores at a time; no figure depends on it. steps: of
    every generator fit; gan_budget_s: seconds of one, turned into steps once; budget_s: seconds
    of the whole. updates: of the small CNN. times: (N,) sortable, for forward chaining with `gap`
    rows left out between training and test. diagnostics: whether generated rows are looked at
    beside real ones, apart from the verdict. extractor: features to look through, a torch module or
    a function of rows (`diagnosis.spaces.own_space`).
    """

    learner: Any = None
    generator: Any = None
    samplers: Mapping[str, Any] = field(default_factory=dict)
    classes: str | Sequence[str] = "rare"
    top_up: TopUp = field(default_factory=TopUp)
    to: tuple[float, ...] = TO
    metric: str = "balanced_accuracy"
    delta: float = 0.01
    folds: int | None = None
    repeats: int | None = None
    arms: str | Sequence[str] = "default"
    curves: bool = True
    batch: int = 4096
    steps: int | None = None
    budget_s: float | None = None
    gan_budget_s: float | None = None
    updates: int | None = None
    times: NDArray[Any] | None = None
    gap: int = 0
    group_duplicates: bool = False
    overrides: Overrides = field(default_factory=Overrides)
    seed: int = 0
    n_jobs: int | None = None
    diagnostics: bool = True
    extractor: Any = None

    def asked_arms(self) -> tuple[str, ...]:
        """Names of the arms, samplers last; `none` and `gan` always. Raises UsageError."""
        if self.arms == "default":
            named: Sequence[str] = DEFAULT_ARMS
        elif self.arms == "all":
            named = (*DEFAULT_ARMS, *EXTRA_ARMS)
        else:
            named = self.arms.split(",") if isinstance(self.arms, str) else self.arms
            named = [str(name).strip() for name in named]
        known = (*DEFAULT_ARMS, *EXTRA_ARMS)
        for name in named:
            if name not in known and name not in self.samplers:
                raise UsageError(
                    f"there is no arm {name!r}; expected 'default', 'all', or some of "
                    f"{', '.join(known)}.{did_you_mean(name, known)}"
                )
        ordered = [name for name in known if name in named or name in ("none", "gan")]
        return (*ordered, *self.samplers)

    def check(self) -> None:
        """Raise UsageError for numbers that no evaluation can use."""
        least_of = {"folds": 2, "repeats": 1, "steps": 1, "updates": 1, "batch": 1}
        for name, least in least_of.items():
            value = getattr(self, name)
            if value is not None and (int(value) != value or value < least):
                raise UsageError(f"{name}={value!r}; expected a whole number of {least} or more")
        for name in ("budget_s", "gan_budget_s"):
            value = getattr(self, name)
            if value is not None and not 0 < value < float("inf"):
                raise UsageError(f"{name}={value!r}; expected seconds above 0")
        if self.n_jobs == 0:
            raise UsageError("n_jobs=0; expected a number of processes, or -1 for all cores")
        if not 0 <= self.delta < 1:
            raise UsageError(
                f"delta={self.delta!r}; expected the smallest difference worth having, 0 or more "
                "and below 1: 0.01 is one percentage point"
            )
        if not self.to or not all(0 < to <= 1 for to in self.to):
            raise UsageError(f"to={self.to!r}; expected fractions in (0, 1], such as (0.25, 1.0)")
        if self.gap < 0 or (self.gap and self.times is None):
            raise UsageError(
                f"gap={self.gap!r}; expected 0 rows or more, and a time by which rows are ordered "
                "(--time COLUMN, time=)"
            )
        if self.extractor is not None and not self.diagnostics:
            raise UsageError(
                "an extractor is what diagnostics look through, and these are left out; leave out "
                "the extractor (--extractor), or keep the diagnostics (no --no-diagnostics)"
            )
        self._check_names()

    def _check_names(self) -> None:
        if self.metric not in METRICS:
            raise UsageError(
                f"there is no metric {self.metric!r}; expected one of {', '.join(METRICS)}."
                f"{did_you_mean(self.metric, METRICS)}"
            )
        for name, sampler in self.samplers.items():
            if name in (*DEFAULT_ARMS, *EXTRA_ARMS):
                raise UsageError(f"a sampler is called {name!r} as an arm of ours is; rename it")
            lacking = [m for m in ("fit_resample", "get_params") if not hasattr(sampler, m)]
            if isinstance(sampler, type) or lacking:
                raise UsageError(
                    f"the sampler {name!r} is {sampler!r}; expected an object with "
                    "fit_resample(X, y) and get_params(), by which it is copied for every fit "
                    "(imblearn.base.BaseSampler has both)"
                )
