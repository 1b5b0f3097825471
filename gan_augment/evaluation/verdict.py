"""One word and one sentence of an evaluation, from its contrasts. Nothing is measured here.

`decide` takes the first word that applies, in the order in which its checks are listed.
"""

from __future__ import annotations

import math
import textwrap
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple

from gan_augment.evaluation.arms import CHEAP_ARMS, RIVALS
from gan_augment.evaluation.statistics import CERTAIN, Contrast, holm
from gan_augment.report.wording import ARMS, METRICS, percent, points, points_size, span

State = Literal["broken", "held", "open"]

FEWEST_UNITS = 30
"""Independent rare rows or groups, below which no word but INSUFFICIENT DATA is said."""
MARGINS = {"accuracy": 0.01, "recall": 0.02, "log_loss": 0.02}
"""What may be lost at most: shares of rows, and nats."""
LONGEST_REASON = 120
CHEAP = {name: ARMS[name] for name in (*CHEAP_ARMS, *RIVALS)}


@dataclass(frozen=True)
class Guardrail:
    """Something that must not get worse. change: arm minus none; loss: of what, and its margin.

    broken: P(loss > margin) >= .95, for several recalls after Holm; held: P(loss <= margin) >= .95;
    else open. p_loss: P(loss > margin) as it is.
    """

    what: str
    state: State
    change: Contrast
    p_loss: float
    margin: float

    def to_dict(self) -> dict[str, Any]:
        """Make it ready for JSON."""
        return {
            "state": self.state,
            "margin": self.margin,
            "p_loss": self.p_loss,
            "change": self.change.to_dict(self.margin),
        }


@dataclass(frozen=True)
class Cheap:
    """An arm that costs next to nothing. gan_over: gan minus this arm, None without the former."""

    over_none: Contrast
    gan_over: Contrast | None
    guardrails: Sequence[Guardrail] = ()

    @property
    def beaten(self) -> bool:
        """Whether the GAN surely gains more."""
        return self.gan_over is not None and self.gan_over.above(0.0) >= CERTAIN


@dataclass(frozen=True)
class VerdictFacts:
    """All that a verdict depends on.

    gan: of the primary metric, gan minus none; None where it could not be judged. cheap: the cheap
    arms that were judged; missing: {arm: why} of arms that could not be; not_asked: cheap arms that
    were not tried, without which ADOPT is not said. on_top: {cheap arm: the GAN's rows under its
    method minus that arm}, what they add to it; of repeats where both go to parity. copied: more
    exact copies among generated rows than among held-out ones. rare_units: independent rows or
    groups of the rare classes.
    """

    metric: str
    delta: float
    gan: Contrast | None
    cheap: Mapping[str, Cheap]
    guardrails: Sequence[Guardrail]
    rare_units: int
    unit: Literal["rows", "groups"] = "rows"
    copied: bool = False
    missing: Mapping[str, str] = field(default_factory=dict)
    not_asked: Sequence[str] = ()
    on_top: Mapping[str, Contrast] = field(default_factory=dict)


class Verdict(NamedTuple):
    """word: such as ADOPT or "USE smote". arm: the one to take. reasons: every check, in words."""

    word: str
    arm: str
    sentence: str
    reasons: list[str]


def guardrails(
    accuracy: Contrast, recalls: Mapping[str, Contrast], log_loss: Contrast | None
) -> tuple[Guardrail, ...]:
    """Judge the changes of an arm against `none`: accuracy, other classes, log loss.

    recalls: {class: arm minus none} of the classes that are not topped up. log_loss: after
    correcting the class shares, higher is worse; None where the learner gives no probabilities.
    """
    p_recalls = {name: change.below(-MARGINS["recall"]) for name, change in recalls.items()}
    adjusted = holm({name: 1 - p for name, p in p_recalls.items()})
    rails = [_guardrail("accuracy", "accuracy", accuracy, accuracy.below(-MARGINS["accuracy"]))]
    rails += [
        _guardrail(f"recall of {name}", "recall", change, p_recalls[name], adjusted[name])
        for name, change in recalls.items()
    ]
    if log_loss is not None:
        p_loss = log_loss.above(MARGINS["log_loss"])
        rails.append(_guardrail("log loss", "log_loss", log_loss, p_loss))
    return tuple(rails)


def decide(facts: VerdictFacts) -> Verdict:
    """Say the first word that applies.

    INSUFFICIENT DATA, HARMFUL, ADOPT, USE <arm>, LIKELY HELPS, NO PRACTICAL DIFFERENCE, and where
    none of these does, NO EVIDENCE.
    """
    word, arm, why = next(_words(facts))
    parts = [f"{word}: {why}", _measured(facts), _beside(facts), _absent(facts)]
    return Verdict(word, arm, "; ".join(filter(None, parts)) + ".", list(_reasons(facts)))


def _words(facts: VerdictFacts) -> Iterator[tuple[str, str, str]]:
    """(word, arm, why) of all words that apply, the strongest first."""
    metric, least = METRICS.get(facts.metric, facts.metric), points_size(facts.delta)
    gan = facts.gan
    if facts.rare_units < FEWEST_UNITS:
        few = (
            f"{facts.rare_units} independent rare {facts.unit}, and a verdict needs {FEWEST_UNITS}"
        )
        yield "INSUFFICIENT DATA", "none", few
    lower = gan is not None and gan.below(-facts.delta) >= CERTAIN
    harm = [f"{metric} falls by more than {least}"] if lower else []
    harm += [_broken(rail) for rail in facts.guardrails if rail.state == "broken"]
    if harm:
        yield "HARMFUL", "none", f"do not add the GAN's rows: {_and(harm)}"
    but = None if gan is None else _but(gan, facts, least)
    if but == "":
        over = [CHEAP[name] for name in facts.cheap]
        than = f", and more than {_and(over)} do" if over else ""
        yield "ADOPT", "gan", f"the GAN's rows raise {metric} by more than {least}{than}"
    use = _cheap_to_use(facts)
    if use is not None:
        why = f"taking {CHEAP[use]} raises {metric} by more than {least}"
        added = facts.on_top.get(use)
        adds = added is not None and added.above(0.0) >= CERTAIN
        more = "the GAN's rows add to it" if adds else "the GAN is not shown to be worth more"
        yield f"USE {use}", use, f"{why}, and {more}"
    if gan is not None and gan.above(0.0) >= CERTAIN:
        yield "LIKELY HELPS", "gan", f"the GAN's rows probably raise {metric}{but}"
    if gan is not None and gan.within(facts.delta) >= CERTAIN:
        why = f"the GAN's rows change {metric} by {least} at most"
        yield "NO PRACTICAL DIFFERENCE", "none", why
    if gan is None:
        yield "NO EVIDENCE", "none", "the GAN's rows could not be judged"
    yield "NO EVIDENCE", "none", f"it is not shown that the GAN's rows change {metric}"


def _but(gan: Contrast, facts: VerdictFacts, least: str) -> str:
    """What keeps a gain from being adopted; empty where nothing does."""
    rivals = [CHEAP[name] for name, arm in facts.cheap.items() if not arm.beaten]
    if rivals:
        return f", but {_and(rivals)} may do as well"
    if gan.above(facts.delta) < CERTAIN:
        return f", but by more than {least} is not shown"
    why = [f"{CHEAP[name]} was not tried" for name in facts.not_asked]
    if not all(rail.state == "held" for rail in facts.guardrails if rail.what == "accuracy"):
        why.append("that accuracy is kept is not shown")
    if facts.copied:
        why.append("they repeat training rows more often than held-out rows do")
    return f", but {_and(why)}" if why else ""


def _cheap_to_use(facts: VerdictFacts) -> str | None:
    """The cheap arm with the highest mean, where it surely gains more than delta."""
    if not facts.cheap:
        return None
    adjusted = holm(
        {name: 1 - arm.over_none.above(facts.delta) for name, arm in facts.cheap.items()}
    )
    best = max(facts.cheap, key=lambda name: facts.cheap[name].over_none.mean)
    broken = any(rail.state == "broken" for rail in facts.cheap[best].guardrails)
    return best if adjusted[best] <= 1 - CERTAIN and not broken else None


def _measured(facts: VerdictFacts) -> str:
    """D, its interval, the rare units and what could have been seen."""
    gan, units = facts.gan, f"{facts.rare_units:,} rare {facts.unit}"
    if gan is None:
        return units
    if not math.isfinite(gan.error):
        return f"gan minus none is {points(gan.mean)} points in a single split of {units}"
    return (
        f"gan minus none is {points(gan.mean)} points (95 % interval {span(gan.interval())}) "
        f"with {units}, which would show a true difference of "
        f"{percent(gan.detectable(facts.delta))}"
    )


def _beside(facts: VerdictFacts) -> str:
    """What the cheap arms gain, and what the GAN's rows add to the best of those they can."""
    gains = [f"{CHEAP[n]} {points(arm.over_none.mean)}" for n, arm in facts.cheap.items()]
    said = [f"against none, {_and(gains)} points"] if gains else []
    shared = [name for name in facts.on_top if name in facts.cheap]
    if shared:
        best = max(shared, key=lambda name: facts.cheap[name].over_none.mean)
        added = facts.on_top[best]
        where = "against" if best == "oversample" else "on top of"
        said.append(
            f"{where} {CHEAP[best]} the GAN's rows change it by {points(added.mean)} points"
            + (f" ({span(added.interval())})" if math.isfinite(added.error) else "")
        )
    return "; ".join(said)


def _absent(facts: VerdictFacts) -> str:
    parts = [
        f"{CHEAP.get(name, name)} could not be judged ({_first_words(why)})"
        for name, why in facts.missing.items()
    ]
    if facts.not_asked:
        parts.append(f"not tried: {_and([CHEAP.get(name, name) for name in facts.not_asked])}")
    return "; ".join(parts)


def _first_words(why: str) -> str:
    """A reason that fits a sentence: its first line, without the full stop."""
    lines = why.strip().splitlines() or ["no reason given"]
    return textwrap.shorten(lines[0], LONGEST_REASON, placeholder=" …").rstrip(".")


def _reasons(facts: VerdictFacts) -> Iterator[str]:
    """Every check with its probability."""
    gan, least = facts.gan, points_size(facts.delta)
    if gan is not None:
        yield (
            f"gan minus none: P(worse by more than {least}) = {gan.below(-facts.delta):.3f}, "
            f"P(within {least}) = {gan.within(facts.delta):.3f}, "
            f"P(better by more than {least}) = {gan.above(facts.delta):.3f}, "
            f"P(better) = {gan.above(0.0):.3f}"
        )
    for name, arm in facts.cheap.items():
        beaten = "" if arm.gan_over is None else f", P(gan better) = {arm.gan_over.above(0.0):.3f}"
        gains = arm.over_none.above(facts.delta)
        yield f"{name} minus none: P(better by more than {least}) = {gains:.3f}{beaten}"
    for rail in facts.guardrails:
        yield f"{rail.what}: {rail.state}, P(loss above {rail.margin:g}) = {rail.p_loss:.3f}"
    if facts.copied:
        yield "generated rows repeat training rows more often than held-out rows do"
    if facts.not_asked:
        were = "was" if len(facts.not_asked) == 1 else "were"
        yield f"ADOPT needs every cheap arm, and {_and(facts.not_asked)} {were} not tried"


def _guardrail(
    what: str, margin: str, change: Contrast, p_loss: float, adjusted: float | None = None
) -> Guardrail:
    broken = (1 - p_loss if adjusted is None else adjusted) <= 1 - CERTAIN
    state: State = "broken" if broken else "held" if 1 - p_loss >= CERTAIN else "open"
    return Guardrail(what, state, change, p_loss, MARGINS[margin])


def _broken(rail: Guardrail) -> str:
    if rail.what == "log loss":
        return f"log loss rises by more than {rail.margin:g}"
    return f"{rail.what} falls by more than {points_size(rail.margin)}"


def _and(texts: Sequence[str]) -> str:
    return " and ".join(filter(None, [", ".join(texts[:-1]), texts[-1]]))
