"""Top-ups of given rows by any amount: what `AugmentedClassifier` tries and adds."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from gan_augment.config import TopUp
from gan_augment.data.tables.inference import column_names, infer_schema
from gan_augment.data.tables.schema import Overrides
from gan_augment.errors import DivergedError
from gan_augment.evaluation.amount import (
    Amount,
    AmountScores,
    Judge,
    Maker,
    plain_makers,
    plan_for,
    score_amounts,
)
from gan_augment.sklearn_api.asked import rows_to_add
from gan_augment.sklearn_api.given import Given
from gan_augment.sklearn_api.settings import Settings, drawn_seed
from gan_augment.sklearn_api.table_form import columns_of_levels
from gan_augment.synthesizers.topup import Added, added_rows

if TYPE_CHECKING:
    from gan_augment.sklearn_api.augmenter import GANAugmenter
    from gan_augment.synthesizers.base import Synthesizer


@dataclass(frozen=True)
class TopUps:
    """Given rows, and how an augmenter would top them up.

    classes: names of those that its `sampling_strategy` names. top_up: its share of generated rows
    and its companions. overrides: kinds of columns that the user decided.
    """

    given: Given
    augmenter: GANAugmenter
    classes: tuple[str, ...]
    top_up: TopUp
    overrides: Overrides
    seed: int

    @classmethod
    def of(cls, given: Given, augmenter: GANAugmenter) -> TopUps:
        """Read from the augmenter's parameters; its seed is drawn, once and for all it does."""
        settings = Settings.of(augmenter.get_params(deep=False))
        named = rows_to_add(augmenter.sampling_strategy, given.labels, given.data.labels)
        seed = drawn_seed(augmenter.random_state)
        augmenter.random_state = seed
        overrides = Overrides()
        if given.kind == "table":
            names = column_names(given.data.frame)  # type: ignore[union-attr]
            overrides = columns_of_levels(augmenter.categorical_features, names)
        return cls(
            given=given,
            augmenter=augmenter,
            classes=tuple(given.labels.name_of(label) for label in named),
            top_up=TopUp(synthetic_share=settings.synthetic_share, companions=settings.companions),
            overrides=overrides,
            seed=seed,
        )

    def makers(self) -> dict[str, Maker[Any]]:
        """{source: maker}; the GAN's trains as much as one of all given rows chose to."""

        def gan(part: Any, seed: int) -> Synthesizer[Any]:
            twin: Any = self.gan().as_chosen(seed)
            table = self.given.kind == "table"
            known = {"schema": infer_schema(part.frame, self.overrides)} if table else {}
            try:
                twin.fit(part, **known)
            except DivergedError:
                if not hasattr(twin, "classes_"):
                    raise
            return twin  # type: ignore[no-any-return]

        plain = plain_makers(self.classes, self.overrides)
        return plain | {"gan": gan} if self._generates else plain

    def scores(self, judge: Judge[Any]) -> AmountScores:
        """What `judge` makes of every amount, in folds of the given rows."""
        data: Any = self.given.data
        return score_amounts(
            data,
            judge,
            self.makers(),
            classes=self.classes,
            top_up=self.top_up,
            schema=self.given.schema,
            seed=self.seed,
        )

    def added(self, amount: Amount) -> Added[Any] | None:
        """The rows of an amount for all given rows; None where there are none."""
        data: Any = self.given.data
        plan = plan_for(amount, data, self.classes, self.top_up)
        if not plan.added:
            return None
        if amount.source == "gan" and self._generates:
            synthesizer = self.gan()
        else:
            plain = plain_makers(self.classes, self.overrides)
            source = "repeats" if amount.source == "gan" else amount.source
            synthesizer = plain[source](data, self.seed)
        return added_rows(data, plan, synthesizer, self.seed, schema=self.given.schema)

    @property
    def _generates(self) -> bool:
        """Whether the GAN's top-up holds generated rows at all; else it is one of repeats."""
        return self.top_up.resolved(self.given.kind)[0] > 0

    def gan(self) -> Any:
        """The augmenter's model of all given rows, trained on first use."""
        if getattr(self.augmenter, "synthesizer_", None) is None:
            self.augmenter._fit_given(self.given)
        return self.augmenter.synthesizer_
