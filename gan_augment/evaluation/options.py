"""What an evaluation is asked: `EvaluationOptions`, which both doors build. Nothing is computed."""

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
    """How to evaluate. None means: decided from the data, and said in the plan.

    Settings that are not named here are those of `gan_augment.evaluate`.

    Parameters
    ----------
    fit
        How data is read, which classes are topped up, and how every generator is trained: its
        `steps` and `budget_s` are those of one fit.
    generator
        An ImageGAN or a TabularGAN whose settings are used, or anything else with `fit(data)` and
        `sample(counts, random_state)`, unfitted, deep-copied for every fit. Its `random_state` is
        set where it has one; `sample` gives exactly {class: n} rows, class by class, as data like
        that of `fit`. Whatever it raises ends the arms that need it, not the evaluation.
    samplers
        {name: over-sampler with fit_resample(X, y)}, arms of one's own, cloned for every fit; or
        texts "path.py:name".
    top_up
        The share of generated rows and the companions; its `to` does not count.
    to
        The fractions of the majority's count that are tried.
    curves
        Whether the share of generated rows and of real rows are varied too.
    budget_s, force
        Seconds for all of it: what does not fit is left out, and where the least does not fit
        UsageError is raised before the first fit, unless `force`.
    batch
        Rows that a learner scores at a time; no figure depends on it.
    group, time
        The name of a table's column, which is no feature then, or a value for every row (N,). With
        a time, training rows come before test rows, `gap` rows between them left out.
    extractor
        A torch module or a function of rows, or "path.py:name" of one.
    """

    model_config = ConfigDict(arbitrary_types_allowed=True)

    fit: FitOptions = FitOptions()
    learner: Any = None
    generator: Any = None
    samplers: dict[str, Any] = Field(default_factory=dict)
    top_up: TopUp = TopUp()
    to: tuple[float, ...] = TO
    metric: str = METRICS[0]
    delta: float = Field(default=0.01, ge=0, lt=1)
    folds: int | None = Field(default=None, ge=2, le=1000)
    repeats: int | None = Field(default=None, ge=1, le=1000)
    arms: str | tuple[str, ...] = "default"
    curves: bool = True
    batch: int = Field(default=4096, ge=1, le=MOST)
    budget_s: Seconds | None = None
    force: bool = False
    updates: int | None = Field(default=None, ge=1, le=MOST)
    group: Any = None
    time: Any = None
    gap: int = Field(default=0, ge=0, le=MOST)
    group_duplicates: bool = False
    diagnostics: bool = True
    extractor: Any = None
    n_jobs: int | None = Field(default=None, ge=-MOST_PROCESSES, le=MOST_PROCESSES)

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
