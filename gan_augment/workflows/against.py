"""`inspect RUN --against DATA`: what a model's samples are like beside real rows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gan_augment.config import FitOptions
from gan_augment.progress import Progress, Silent
from gan_augment.synthesizers import load_model, model_folder
from gan_augment.workflows.kinds import options_of_model, read_data, read_meta

if TYPE_CHECKING:
    from gan_augment.evaluation.diagnosis.against import Against

__all__ = ["AgainstReport", "inspect_against"]

NO_COPIES = (
    "copying is not told: these are not the rows that the model was trained on (their hash is "
    "another). Give those to look for copies."
)
SEEN = (
    "the model was trained on these rows: its samples may lie nearer to them than to rows that it "
    "never saw; give others to look at what it learned"
)
NEAR = (
    "near by design: every sample starts from real training rows, so copying figures flag nothing"
)


@dataclass(frozen=True)
class AgainstReport:
    """What was found. run, data: as they were named."""

    run: str
    data: str
    found: Against

    @property
    def notes(self) -> tuple[str, ...]:
        """What a reader must know before the figures."""
        told = [SEEN if self.found.trained_on else NO_COPIES]
        if self.found.near_by_design:
            told.append(NEAR)
        told += [f"nothing is drawn of {name!r}: {why}" for name, why in self.found.refused.items()]
        return tuple(told)

    def to_dict(self) -> dict[str, Any]:
        """Ready for JSON."""
        facts = asdict(self.found)
        return {"run": self.run, "data": self.data, **facts, "notes": list(self.notes)}

    def lines(self) -> list[str]:
        """The same for people: a block a class, a line a figure."""
        apart = self.found.two_sample
        lines = [
            f"{self.run} against {self.data}, through the {self.found.extractor['name']}",
            f"real or synthetic, all classes: told apart {_said(apart['value'])} of the time "
            f"(50 % is guessing; two halves of the real rows: {_said(apart['floor'])})",
        ]
        for name, found in self.found.classes.items():
            lines += _class_lines(name, found)
        return [*lines, *(f"note: {note}" for note in self.notes)]


def inspect_against(
    run: str | Path,
    data: str | Path,
    *,
    columns: Mapping[str, str] | None = None,
    extractor: str | None = None,
    seed: int = 0,
    workers: int | None = None,
    skip_bad: bool = False,
    progress: Progress | None = None,
) -> AgainstReport:
    """Compare what a trained model draws with real rows: all diagnostics, with floors and caveats.

    data: a folder, file or table as of `fit`, read at the model's size. extractor: "path.py:name"
    of features to look through. Raises ModelFileError, DataError (other classes, channels or
    columns than the model's), UsageError.
    """
    meta, progress = read_meta(run), progress or Silent()
    asked = FitOptions(columns=dict(columns or {}), skip_bad=skip_bad, workers=workers)
    rows = read_data(data, options_of_model(asked, meta), progress)
    rows.check_model(meta)
    same = rows.sha256 == meta.data_sha256
    from gan_augment.evaluation.diagnosis.against import against
    from gan_augment.evaluation.user_code import UserCode

    progress.phase("looking at samples beside real rows")
    own = None if extractor is None else UserCode.of(extractor)
    model = load_model(model_folder(Path(run)), threads=1)
    found = against(model, rows.data, trained_on=same, extractor=own, seed=seed)
    return AgainstReport(str(run), str(data), found)


def _class_lines(name: str, found: Mapping[str, Any]) -> list[str]:
    rows = found["rows"]
    lines = [
        "",
        f"{name}: {rows['synthetic']} generated beside {rows['real']} and {rows['held_out']} real",
        f"  {'':<20} {'value':>10} {'real halves':>12} {'ideal':>8}",
    ]
    groups = {**found["figures"], **(found["copying"] or {})}
    caveats: dict[str, list[str]] = {}
    for key, figure in groups.items():
        p = "" if figure["p"] is None else f"  p = {figure['p']:.3f}"
        told = [_number(figure[what]) for what in ("value", "floor", "ideal")]
        mark = "*" if figure["caveat"] else ""
        label = key.replace("_", " ") + mark
        lines.append(f"  {label:<20} {told[0]:>10} {told[1]:>12} {told[2]:>8}{p}")
        if figure["caveat"]:
            caveats.setdefault(figure["caveat"], []).append(key.replace("_", " "))
    return [*lines, *(f"  * {', '.join(keys)}: {why}" for why, keys in caveats.items())]


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.4g}"


def _said(value: float | None) -> str:
    return "-" if value is None else f"{100 * value:.0f} %"
