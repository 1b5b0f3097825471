"""`EvaluationOptions`: the options of an evaluation, for Python and the command line."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Self

from pydantic import ConfigDict, Field, ValidationInfo, field_validator, model_validator

from gan_augment.errors import UsageError, did_you_mean
from gan_augment.evaluation.amount import TO
from gan_augment.evaluation.arms import FEATURES, ON_TOP, RIVALS, TABLE_RIVALS
from gan_augment.evaluation.figures import METRICS
from gan_augment.evaluation.user_code import new_sampler
from gan_augment.options import MOST, MOST_PROCESSES, FitOptions, Seconds, TopUp
from gan_augment.settings import Frozen
from gan_augment.user_code import UserCode

CHEAP_ARMS = ("class_weight", "oversample", "smote")
DEFAULT_ARMS = ("none", *CHEAP_ARMS, *RIVALS, FEATURES, "gan", *ON_TOP, "auto")
"""Other methods of training, and the GAN's rows under each, are of the small CNN alone; features of
images for which there are some."""
EXTRA_ARMS = (*TABLE_RIVALS, "gan_parity", "permuted", "plain")
"""Of `arms="all"`: of tables, Gaussian SMOTE, SMOTE of a tuned k and Gaussian borrow; parity
without a choice, a GAN fitted on permuted labels, and for the small CNN no help without classical
augmentation."""
ARMS = (*DEFAULT_ARMS, *EXTRA_ARMS)


class EvaluationOptions(Frozen):
    """Options of an evaluation. None means that the data decide; the plan shows the decision."""

    model_config = ConfigDict(arbitrary_types_allowed=True)

    fit: FitOptions = Field(
        default=FitOptions(),
        description="How the data are read, and how every generator is trained. Steps and budget "
        "are those of one fit.",
    )
    learner: Any = Field(
        default=None,
        description="The classifier that is to gain: boosting, logistic, forest, neighbours "
        "(tables), cnn (images), or module:name of your own.  [default: boosting; cnn]",
    )
    generator: Any = Field(
        default=None,
        description="An unfitted ImageGAN or TabularGAN, or any object with fit(data) and "
        "sample(counts, random_state). It is copied for every fit.",
    )
    samplers: dict[str, Any] = Field(
        default_factory=dict,
        description="Over-samplers of your own as further arms, as module:name with commas.",
    )
    top_up: TopUp = Field(
        default=TopUp(), description="The generated share and the companions; its `to` is not used."
    )
    to: tuple[float, ...] = Field(
        default=TO, description="The fractions of the majority's count that are tried."
    )
    metric: str = Field(
        default=METRICS[0],
        description="The metric of the verdict: balanced_accuracy, macro_f1, g_mean, accuracy or "
        "average_precision.",
    )
    delta: float = Field(
        default=0.01, ge=0, lt=1, description="The smallest relevant difference; 0.01 is a point."
    )
    folds: int | None = Field(
        default=None,
        ge=2,
        le=1000,
        description="Folds of the cross-validation.  [default: 5; images 3]",
    )
    repeats: int | None = Field(
        default=None,
        ge=1,
        le=1000,
        description="Repeats of the cross-validation.  [default: 3; images 1]",
    )
    arms: str | tuple[str, ...] = Field(
        default="default",
        description="default, all, or names with commas; none and gan are always judged.",
    )
    curves: bool = Field(
        default=True, description="Whether the shares of generated and real rows are varied too."
    )
    batch: int = Field(
        default=4096, ge=1, le=MOST, description="Rows that a learner scores at a time."
    )
    budget_s: Seconds | None = Field(
        default=None, description="Time of the whole evaluation, such as 30m or 2h."
    )
    force: bool = Field(
        default=False, description="Begin although the budget is too short for a verdict."
    )
    updates: int | None = Field(
        default=None, ge=1, le=MOST, description="Optimiser updates of a classifier of images."
    )
    group: Any = Field(
        default=None,
        description="A column, not a feature, whose rows of one value stay in one fold.",
    )
    time: Any = Field(
        default=None,
        description="A column, not a feature: train on earlier rows, test on later ones.",
    )
    gap: int = Field(
        default=0, ge=0, le=MOST, description="Rows left out between training and test by time."
    )
    group_duplicates: bool = Field(
        default=False, description="Keep exact duplicates of a table's rows in one fold."
    )
    diagnostics: bool = Field(
        default=True, description="Whether the report compares generated rows with real ones."
    )
    extractor: Any = Field(
        default=None,
        description="Features of the diagnostics: module:name of a torch module, or of a function "
        "of rows that returns features (n, d).",
    )
    n_jobs: int | None = Field(
        default=None,
        ge=-MOST_PROCESSES,
        le=MOST_PROCESSES,
        description="Processes of one thread each; -1 takes all cores.",
    )

    @property
    def arm_names(self) -> tuple[str, ...]:
        """List the names of the arms, samplers last; `none` and `gan` always."""
        named: Sequence[str]
        if self.arms in ("default", "all"):
            named = DEFAULT_ARMS if self.arms == "default" else ARMS
        else:
            named = self.arms.split(",") if isinstance(self.arms, str) else self.arms
            named = [name.strip() for name in named]
        for name in named:
            if name not in ARMS and name not in self.samplers:
                raise UsageError(
                    f"there is no arm {name!r}; expected 'default', 'all', or some of "
                    f"{', '.join(ARMS)}.{did_you_mean(name, ARMS)}"
                )
        # what the GAN's rows add to a method is seen beside the method without them
        named = [*named, *(ON_TOP[name] for name in named if name in ON_TOP)]
        ordered = [name for name in ARMS if name in named or name in ("none", "gan")]
        return (*ordered, *self.samplers)

    @field_validator("samplers", mode="before")
    @classmethod
    def _by_name(cls, samplers: Any) -> Any:
        """Name the over-samplers; each is made once to see that it can be."""
        if isinstance(samplers, str):
            samplers = [one.strip() for one in samplers.split(",") if one.strip()]
        by_name = dict(samplers) if isinstance(samplers, Mapping) else {}
        if isinstance(samplers, list | tuple) and all(isinstance(s, str) for s in samplers):
            for code in map(UserCode.of, samplers):
                if code.name in by_name:
                    raise ValueError(
                        f"two samplers are called {code.name!r}; an arm is called as its "
                        "sampler is, so give one of them another name in its file"
                    )
                by_name[code.name] = code
        elif not isinstance(samplers, Mapping | None):
            raise ValueError("expected {name: over-sampler}")
        for name, sampler in by_name.items():
            if name in ARMS:
                raise ValueError(f"a sampler is called {name!r} as an arm of ours is; rename it")
            new_sampler(sampler, name)
        return by_name

    @field_validator("extractor", mode="before")
    @classmethod
    def _from_file(cls, extractor: Any) -> Any:
        return UserCode.of(extractor) if isinstance(extractor, str) else extractor

    @field_validator("metric")
    @classmethod
    def _known(cls, metric: str) -> str:
        if metric not in METRICS:
            raise ValueError(
                f"expected one of {', '.join(METRICS)}.{did_you_mean(metric, METRICS)}"
            )
        return metric

    @field_validator("to")
    @classmethod
    def _fractions(cls, to: tuple[float, ...]) -> tuple[float, ...]:
        if not to or not all(0 < one <= 1 for one in to):
            raise ValueError("expected fractions in (0, 1], such as (0.25, 1.0)")
        return to

    @field_validator("n_jobs")
    @classmethod
    def _processes(cls, n_jobs: int | None) -> int | None:
        if n_jobs == 0:
            raise ValueError("expected a number of processes, or -1 for all cores")
        return n_jobs

    @field_validator("gap")
    @classmethod
    def _in_time(cls, gap: int, info: ValidationInfo) -> int:
        if gap and info.data.get("time") is None:
            raise ValueError("expected a time too, to order rows by (--time COLUMN, time=)")
        return gap

    @model_validator(mode="after")
    def _agree(self) -> Self:
        if self.extractor is not None and not self.diagnostics:
            raise ValueError(
                "an extractor is what diagnostics look through, and these are left out; leave out "
                "the extractor (--extractor), or keep the diagnostics (no --no-diagnostics)"
            )
        assert self.arm_names  # raises for an unknown one
        return self
