"""`EvaluationOptions`, the settings of an evaluation for command line and Python, and its arms."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Self

from pydantic import ConfigDict, Field, field_validator, model_validator

from gan_augment.errors import UsageError, did_you_mean
from gan_augment.evaluation.decisions import METRICS
from gan_augment.options import MOST, MOST_PROCESSES, FitOptions, Seconds, TopUp
from gan_augment.settings import Frozen

Source = Literal["none", "repeats", "smote", "gan", "sampler"]


@dataclass(frozen=True)
class Arm:
    """One way to make a training set and to train on it.

    source: where added rows come from; "sampler" is an over-sampler of the user, found by `name`.
    method: how a network is trained, one of `RIVALS`; "" for the learner's usual way. weighed:
    whether classes are weighted inversely to their rows.
    """

    name: str
    source: Source = "none"
    method: str = ""
    weighed: bool = False

    def top_up(self, asked: TopUp) -> TopUp:
        """Return the requested top-up for the GAN, and one of equal size for others."""
        if self.source == "gan":
            return asked
        share = 1.0 if self.source == "smote" else 0.0
        return TopUp(to=asked.to, synthetic_share=share, companions=False)


_METHODS = ("balanced_softmax", "mixup", "mixup_balanced_softmax", "cmo", "trivial_augment")
RIVALS = (*_METHODS, "deferred")
"""Other ways to train the small CNN; each is an arm of the same name."""
CHEAP_ARMS = ("class_weight", "oversample", "smote")
ON_TOP = {f"gan+{method}": method for method in _METHODS}
"""{arm: rival}: generated rows, trained by the method of the rival."""
_WITH_REPEATS = ("mixup", "trivial_augment")

ARMS: dict[str, Arm] = {
    arm.name: arm
    for arm in (
        Arm("none"),
        Arm("class_weight", weighed=True),
        Arm("oversample", "repeats"),
        Arm("smote", "smote"),
        *(Arm(name, "repeats" if name in _WITH_REPEATS else "none", name) for name in RIVALS),
        Arm("gan", "gan"),
        *(Arm(name, "gan", method) for name, method in ON_TOP.items()),
    )
}
"""{name: arm} of all arms, without samplers of the user, in the order of a report."""


class EvaluationOptions(Frozen):
    """Settings of an evaluation. None means: chosen for the data, and printed in the plan."""

    model_config = ConfigDict(arbitrary_types_allowed=True)

    fit: FitOptions = Field(
        default=FitOptions(),
        description="How data is read, what is topped up, and how generators are trained.",
    )
    learner: Any = Field(
        default=None,
        description="The classifier to improve: boosting, logistic, forest, neighbours, cnn (for "
        "images), or your own as module:name: a scikit-learn classifier, a function that makes "
        "one, or for images a training function of torch.",
    )
    generator: Any = Field(
        default=None,
        description="An ImageGAN or a TabularGAN whose settings are used, or any unfitted object "
        "with fit(data) and sample(counts, random_state).",
    )
    samplers: dict[str, Any] = Field(
        default_factory=dict,
        description="Over-samplers of your own with fit_resample(X, y), by name. Each is an arm.",
    )
    top_up: TopUp = Field(
        default=TopUp(),
        description="What a topped-up class ends with, and the share of generated rows.",
    )
    metric: str = Field(
        default=METRICS[0], description=f"The metric that decides: {', '.join(METRICS)}."
    )
    delta: float = Field(
        default=0.01,
        ge=0,
        lt=1,
        description="Smallest gain of the metric that matters to you, in 0..1.",
    )
    folds: int | None = Field(
        default=None, ge=2, le=1000, description="Number of folds; by default 5 (images 3)."
    )
    repeats: int | None = Field(
        default=None,
        ge=1,
        le=1000,
        description="How often the folds are drawn anew; by default 3 (images 1).",
    )
    arms: str | tuple[str, ...] = Field(
        default="default",
        description=f"The remedies to compare: default, or some of {', '.join(ARMS)}. none and "
        "gan are always compared.",
    )
    budget: Seconds | None = Field(
        default=None,
        description="Time for the whole evaluation, such as 30m; it ends after the split in which "
        "the time is spent.",
    )
    updates: int | None = Field(
        default=None, ge=1, le=MOST, description="Training updates of the classifier of images."
    )
    group: Any = Field(
        default=None,
        description="Column (or one value per row) of groups, such as patients. A group is never "
        "split between training and test.",
    )
    time: Any = Field(
        default=None,
        description="Column (or one value per row) of times: training rows come before test rows.",
    )
    group_duplicates: bool = Field(
        default=False, description="Never split equal rows of a table between training and test."
    )
    diagnostics: bool = Field(
        default=True, description="Describe the generated rows. This never changes the verdict."
    )
    n_jobs: int | None = Field(
        default=None,
        ge=-MOST_PROCESSES,
        le=MOST_PROCESSES,
        description="Parallel processes; -1 for one per core.",
    )

    @property
    def arm_names(self) -> tuple[str, ...]:
        """List the requested arms in the order of a report; `none` and `gan` always."""
        named: Sequence[str]
        if self.arms == "default":
            named = tuple(ARMS)
        else:
            named = self.arms.split(",") if isinstance(self.arms, str) else self.arms
            named = [name.strip() for name in named]
        for name in named:
            if name not in ARMS and name not in self.samplers:
                raise UsageError(
                    f"there is no arm {name!r}; expected 'default', or some of {', '.join(ARMS)}."
                    f"{did_you_mean(name, tuple(ARMS))}"
                )
        # the gain of rows on top of a method needs the arm of the method
        wanted = {"none", "gan", *named, *(ON_TOP[name] for name in named if name in ON_TOP)}
        return (*(name for name in ARMS if name in wanted), *self.samplers)

    @property
    def aside(self) -> dict[str, str | int]:
        """Return the columns that are no features, {"group": name, "time": name}."""
        named = {"group": self.group, "time": self.time}
        return {key: name for key, name in named.items() if isinstance(name, str | int)}

    @property
    def kinds(self) -> dict[str | int, str]:
        """Return the kinds that were chosen for columns of features."""
        gone = {str(name) for name in (*self.aside.values(), self.fit.target)}
        return {name: kind for name, kind in self.fit.columns.items() if str(name) not in gone}

    @field_validator("samplers", mode="before")
    @classmethod
    def _by_name(cls, samplers: Any) -> Any:
        """Name the over-samplers; each is made once to see that it works."""
        from gan_augment.evaluation.estimators import new_object  # loads scikit-learn

        if isinstance(samplers, str):
            samplers = tuple(one.strip() for one in samplers.split(",") if one.strip())
        if isinstance(samplers, list | tuple):
            named = {str(code).rpartition(":")[2]: code for code in samplers}
            if len(named) < len(samplers):
                raise ValueError("two samplers have the same name; rename one of them")
            samplers = named
        if not isinstance(samplers, Mapping):
            raise ValueError("expected {name: over-sampler}")
        for name, sampler in samplers.items():
            if name in ARMS:
                raise ValueError(f"a sampler has the name of the arm {name!r}; rename it")
            new_object(sampler, f"sampler {name!r}", ("fit_resample",))
        return dict(samplers)

    @field_validator("metric")
    @classmethod
    def _known(cls, metric: str) -> str:
        if metric not in METRICS:
            raise ValueError(
                f"expected one of {', '.join(METRICS)}.{did_you_mean(metric, METRICS)}"
            )
        return metric

    @field_validator("n_jobs")
    @classmethod
    def _processes(cls, n_jobs: int | None) -> int | None:
        if n_jobs == 0:
            raise ValueError("expected a number of processes, or -1 for all cores")
        return n_jobs

    @model_validator(mode="after")
    def _known_arms(self) -> Self:
        assert self.arm_names  # raises for an unknown arm
        return self
