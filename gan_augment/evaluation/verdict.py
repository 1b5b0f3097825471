"""Decide the verdict of an evaluation, a word and a sentence, from its contrasts."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple

from gan_augment.evaluation.options import CHEAP_ARMS, RIVALS
from gan_augment.evaluation.statistics import CERTAIN, Contrast, holm
from gan_augment.report.wording import ARMS, METRICS, count, percent, points, points_size, span

State = Literal["broken", "held", "open"]

FEWEST_UNITS = 30
"""Fewer independent rare rows or groups give INSUFFICIENT DATA."""
MARGINS = {"accuracy": 0.01, "recall": 0.02, "log_loss": 0.02}
"""Largest acceptable losses: shares of rows, and nats."""
LONGEST_REASON = 120
CHEAP = {name: ARMS[name] for name in (*CHEAP_ARMS, *RIVALS)}


@dataclass(frozen=True)
class Guardrail:
    """A figure that must not get worse, and its change, the arm minus `none`.

    margin, p_loss: the largest acceptable loss, and P(loss > margin). state: "broken" if that is
    >= .95 (Holm-adjusted for several recalls), "held" if P(loss <= margin) >= .95, else "open".
    """

    what: str
    state: State
    change: Contrast
    p_loss: float
    margin: float

    def to_dict(self) -> dict[str, Any]:
        return {
            "state": self.state,
            "margin": self.margin,
            "p_loss": self.p_loss,
            "change": self.change.to_dict(self.margin),
        }


@dataclass(frozen=True)
class Cheap:
    """Contrasts of a cheap arm. gan_over: gan minus this arm; None if gan was not judged."""

    over_none: Contrast
    gan_over: Contrast | None
    guardrails: Sequence[Guardrail] = ()

    @property
    def beaten(self) -> bool:
        """Whether generated rows gain more with P >= .95."""
        return self.gan_over is not None and self.gan_over.above(0.0) >= CERTAIN


@dataclass(frozen=True)
class VerdictFacts:
    """The input of `decide`.

    metric, delta: the primary metric, and the smallest difference that matters, in 0..1. gan: gan
    minus none by the primary metric; None if it could not be judged. guardrails, generated: of the
    arm `gan`, and its generated rows in a training part, the mean over the splits. copied: whether
    these hold more exact copies than held-out rows. missing: {arm: reason} of arms that could not
    be judged. not_asked: cheap arms that were not requested; they rule out ADOPT. on_top: {cheap
    arm: contrast}, generated rows with the arm's method minus that arm.
    """

    metric: str
    delta: float
    gan: Contrast | None
    cheap: Mapping[str, Cheap]
    guardrails: Sequence[Guardrail]
    generated: float
    rare_units: int
    unit: Literal["rows", "groups"] = "rows"
    copied: bool = False
    missing: Mapping[str, str] = field(default_factory=dict)
    not_asked: Sequence[str] = ()
    on_top: Mapping[str, Contrast] = field(default_factory=dict)


class Verdict(NamedTuple):
    """The word (ADOPT, "USE smote", ...), the arm to use, a sentence, and all checks in words."""

    word: str
    arm: str
    sentence: str
    reasons: list[str]


def guardrails(
    accuracy: Contrast, recalls: Mapping[str, Contrast], log_loss: Contrast | None
) -> tuple[Guardrail, ...]:
    """Judge the changes of an arm against `none`: accuracy, recalls, log loss.

    recalls: {class: arm minus none}, of rare classes too. log_loss: after
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
    """Return the first word that applies.

    In this order: INSUFFICIENT DATA, HARMFUL, ADOPT, USE <arm>, LIKELY HELPS, NO PRACTICAL
    DIFFERENCE, NO EVIDENCE.
    """
    word, arm, why = next(_words(facts))
    parts = [f"{word}: {why}", _measured(facts), _cheap_gains(facts), _absent(facts)]
    return Verdict(word, arm, "; ".join(filter(None, parts)) + ".", list(_reasons(facts)))


def _words(facts: VerdictFacts) -> Iterator[tuple[str, str, str]]:
    """Yield (word, arm, reason) of all words that apply, the strongest first."""
    metric, least = METRICS.get(facts.metric, facts.metric), points_size(facts.delta)
    gan = facts.gan
    if facts.rare_units < FEWEST_UNITS:
        few = (
            f"{facts.rare_units} independent rare {facts.unit}, and a verdict needs {FEWEST_UNITS}"
        )
        yield "INSUFFICIENT DATA", "none", few
    lower = gan is not None and gan.below(-facts.delta) >= CERTAIN
    harm = [f"{metric} falls by more than {least}"] if lower else []
    for rail in facts.guardrails:
        if rail.state == "broken":
            falls = f"falls by more than {points_size(rail.margin)}"
            rises = f"rises by more than {rail.margin:g}"
            harm.append(f"{rail.what} {rises if rail.what == 'log loss' else falls}")
    if harm:
        yield "HARMFUL", "none", f"do not add generated rows: {_and(harm)}"
    but = None if gan is None else _but(gan, facts, least)
    if but == "":
        over = [CHEAP[name] for name in facts.cheap]
        than = f", and more than {_and(over)} do" if over else ""
        yield "ADOPT", "gan", f"generated rows raise {metric} by more than {least}{than}"
    use = _cheap_to_use(facts)
    if use is not None:
        why = f"taking {CHEAP[use]} raises {metric} by more than {least}"
        added = facts.on_top.get(use)
        adds = added is not None and added.above(0.0) >= CERTAIN
        more = (
            "generated rows add to it" if adds else "generated rows are not shown to be worth more"
        )
        yield f"USE {use}", use, f"{why}, and {more}"
    if gan is not None and gan.above(0.0) >= CERTAIN:
        yield "LIKELY HELPS", "gan", f"generated rows probably raise {metric}{but}"
    if gan is not None and gan.within(facts.delta) >= CERTAIN:
        why = f"generated rows change {metric} by {least} at most"
        yield "NO PRACTICAL DIFFERENCE", "none", why
    if gan is None:
        yield "NO EVIDENCE", "none", "generated rows could not be judged"
    yield "NO EVIDENCE", "none", f"it is not shown that generated rows change {metric}"


def _but(gan: Contrast, facts: VerdictFacts, least: str) -> str:
    """Return what prevents ADOPT; "" if nothing does."""
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
    """Return the cheap arm with the highest mean if it gains more than delta with P >= .95."""
    if not facts.cheap:
        return None
    adjusted = holm(
        {name: 1 - arm.over_none.above(facts.delta) for name, arm in facts.cheap.items()}
    )
    best = max(facts.cheap, key=lambda name: facts.cheap[name].over_none.mean)
    broken = any(rail.state == "broken" for rail in facts.cheap[best].guardrails)
    return best if adjusted[best] <= 1 - CERTAIN and not broken else None


def _measured(facts: VerdictFacts) -> str:
    """Write the difference, its interval, the rare units and the detectable difference."""
    gan, units = facts.gan, f"{facts.rare_units:,} rare {facts.unit}"
    if gan is None:
        return units
    by = f"gan minus none is {points(gan.mean)} points"
    units = f"{count(facts.generated)} generated rows and {units}"
    if not math.isfinite(gan.error):
        return f"{by} in a single split with {units}"
    shown = gan.detectable(facts.delta)
    power = f"would show a true difference of {percent(shown)}"
    if not math.isfinite(shown):
        power = "are too few to show any difference"
    return f"{by} (95 % interval {span(gan.interval())}) with {units}, which {power}"


def _cheap_gains(facts: VerdictFacts) -> str:
    """Write the gains of the cheap arms, and what generated rows add to the best of them."""
    gains = [f"{CHEAP[n]} {points(arm.over_none.mean)}" for n, arm in facts.cheap.items()]
    parts = [f"against none, {_and(gains)} points"] if gains else []
    shared = [name for name in facts.on_top if name in facts.cheap]
    if shared:
        best = max(shared, key=lambda name: facts.cheap[name].over_none.mean)
        added = facts.on_top[best]
        where = "against" if best == "oversample" else "on top of"
        parts.append(
            f"{where} {CHEAP[best]} generated rows change it by {points(added.mean)} points"
            + (f" ({span(added.interval())})" if math.isfinite(added.error) else "")
        )
    return "; ".join(parts)


def _absent(facts: VerdictFacts) -> str:
    parts = []
    for name, why in facts.missing.items():
        first_line = (why.strip().splitlines() or ["no reason given"])[0]
        short = textwrap.shorten(first_line, LONGEST_REASON, placeholder=" …").rstrip(".")
        parts.append(f"{CHEAP.get(name, name)} could not be judged ({short})")
    if facts.not_asked:
        parts.append(f"not tried: {_and([CHEAP.get(name, name) for name in facts.not_asked])}")
    return "; ".join(parts)


def _reasons(facts: VerdictFacts) -> Iterator[str]:
    """Yield every check but those of guardrails, with its probability."""
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


def _and(texts: Sequence[str]) -> str:
    return " and ".join(filter(None, [", ".join(texts[:-1]), texts[-1]]))
