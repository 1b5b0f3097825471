"""The result of an evaluation: one dictionary, the same bytes whenever it is made. Start here.

`build_result` reads a setup and its journal; nothing is fitted. Times and dates are in
`build_timings`, so that result.json holds what can be reproduced only.
"""

from __future__ import annotations

import hashlib
import json
import platform
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gan_augment.errors import ModelFileError
from gan_augment.evaluation import summary
from gan_augment.evaluation.arm_figures import arm_section
from gan_augment.evaluation.confusions import METRICS
from gan_augment.evaluation.curves import curves_section, worth_section
from gan_augment.evaluation.diagnosis.sections import (
    diagnostics_section,
    pictures_section,
    training_section,
)
from gan_augment.evaluation.journal import Journal, Line
from gan_augment.evaluation.judging import (
    copies_section,
    few_positives_section,
    verdict_section,
)
from gan_augment.evaluation.protocol import INNER_FOLDS
from gan_augment.evaluation.readings import Readings, read_all
from gan_augment.evaluation.setup import Setup
from gan_augment.evaluation.verdict import MARGINS
from gan_augment.storage import write_file
from gan_augment.synthesizers.protocol import Data

if TYPE_CHECKING:
    import pandas as pd

SCHEMA = 1
RESULT, TIMINGS, REPORT = "result.json", "timings.json", "report.html"


@dataclass(frozen=True, eq=False)
class Evaluation:
    """What an evaluation found. result: as in result.json; timings: as in timings.json."""

    result: dict[str, Any]
    timings: dict[str, Any]

    @property
    def verdict(self) -> str:
        """The word: ADOPT, "USE smote", LIKELY HELPS, NO EVIDENCE, ..."""
        return str(self.result["verdict"]["word"])

    @property
    def sentence(self) -> str:
        """The verdict in a sentence, with the difference and what could have been seen."""
        return str(self.result["verdict"]["sentence"])

    def to_dict(self) -> dict[str, Any]:
        """A copy of the result."""
        copy: dict[str, Any] = json.loads(result_bytes(self.result))
        return copy

    def to_frame(self) -> pd.DataFrame:
        """A row an arm: mean of every metric under the declared decision, and how it differs.

        Columns: the metrics; "minus_none", "low", "high" of the primary one; "missing", why.
        """
        import pandas as pd

        declared, rows = self.result["declared"], {}
        for name, arm in self.result["arms"].items():
            column = arm[declared["decision"]] or {}
            minus = ((arm["minus_none"] or {}).get(declared["decision"]) or {}).get(
                declared["metric"], {}
            )
            low, high = minus.get("interval") or (None, None)
            rows[name] = {
                **{metric: column.get(metric, {}).get("mean") for metric in METRICS},
                "minus_none": minus.get("mean"),
                "low": low,
                "high": high,
                "missing": arm["missing"],
            }
        frame = pd.DataFrame.from_dict(rows, orient="index").rename_axis("arm")
        numbers = [name for name in frame.columns if name != "missing"]
        return frame.astype(dict.fromkeys(numbers, "float64"))

    def lines(self) -> list[str]:
        """The result as text for a terminal."""
        return summary.lines(self.result)

    def to_html(self, path: str | Path | None = None) -> str:
        """The report: one page of HTML that needs nothing else; at `path` too, where one is given.

        Raises WriteFailedError.
        """
        from gan_augment.report.html import render

        page = render(self.result, self.timings)
        if path is not None:
            write_file(Path(path), page.encode())
        return page

    def _repr_html_(self) -> str:
        """What a notebook shows: the verdict and the arms."""
        from gan_augment.report.html import fragment

        return fragment(self.result)

    def save(self, folder: str | Path) -> None:
        """Write result.json, timings.json and report.html. Raises WriteFailedError."""
        folder = Path(folder)
        folder.mkdir(parents=True, exist_ok=True)
        write_file(folder / RESULT, result_bytes(self.result))
        write_file(folder / TIMINGS, result_bytes(self.timings))
        self.to_html(folder / REPORT)

    @classmethod
    def load(cls, path: str | Path) -> Evaluation:
        """What `save` wrote: the folder, or its result.json. Raises ModelFileError."""
        path = Path(path)
        file = path / RESULT if path.is_dir() else path
        result = _read(file)
        if result.get("schema") != SCHEMA or "verdict" not in result:
            raise ModelFileError(
                f"{str(file)!r} is of schema {result.get('schema')!r}; this version reads schema "
                f"{SCHEMA}. Evaluate again, or take the version that wrote it."
            )
        timings = file.with_name(TIMINGS)
        return cls(result, _read(timings) if timings.is_file() else {})

    def __repr__(self) -> str:
        return f"Evaluation({self.sentence!r})"


def build_result(setup: Setup[Data], journal: Journal) -> dict[str, Any]:
    """Everything that is told of a journal that lacks nothing, by the schema of result.json."""
    readings = read_all(setup, journal)
    verdict, copies = verdict_section(readings), copies_section(readings)
    curves = curves_section(readings)
    gan = readings.of.get("gan")
    gain = None
    if gan is not None:
        gain = readings.difference(gan, readings.none, setup.metric, readings.column)
    rare_rows = sum(setup.data.counts[name] for name in setup.judged_rare)
    return {
        "schema": SCHEMA,
        "library": setup.header["asked"]["library"],
        "declared": _declared(readings),
        "data": _data(setup),
        "protocol": _protocol(setup),
        "verdict": verdict,
        "arms": {name: arm_section(readings, name) for name in readings.arms},
        "gan_minus": _gan_minus(readings),
        "few_positives": few_positives_section(readings),
        "curves": curves,
        "worth": worth_section(curves["real_rows"], gain, rare_rows, setup.metric),
        "copies": copies,
        "training": training_section(journal),
        "diagnostics": diagnostics_section(journal),
        "pictures": pictures_section(journal),
        "warnings": list(_warnings(readings, copies["flag"])),
        "seen": _seen(journal),
    }


def build_timings(setup: Setup[Data], journal: Journal) -> dict[str, Any]:
    """Seconds of all fits by candidate and source, one thread each, and where they were spent."""
    cells: dict[str, dict[str, float]] = defaultdict(lambda: defaultdict(float))
    generators: dict[str, float] = defaultdict(float)
    diagnoses = 0.0
    for line in journal.lines():
        if line["kind"] == "generator":
            generators[line["source"]] += line["seconds"]["fit"]
        elif line["kind"] == "diagnosis":
            diagnoses += line["seconds"]["diagnosis"]
        else:
            for what, spent_s in line["seconds"].items():
                cells[line["candidate"]][what] += spent_s
    total = sum(generators.values()) + sum(sum(spent.values()) for spent in cells.values())
    total += diagnoses
    return {
        "schema": SCHEMA,
        "seconds": {
            "total": total,
            "generators": dict(generators),
            "diagnoses": diagnoses,
            "candidates": {name: dict(spent) for name, spent in cells.items()},
        },
        "machine": {"system": platform.system(), "processor": platform.machine()},
        "python": platform.python_version(),
        "finished": datetime.now(UTC).isoformat(timespec="seconds"),
    }


def result_bytes(result: dict[str, Any]) -> bytes:
    """As JSON: UTF-8, keys in their order, floats as short as they read back; NaN is refused."""
    return (json.dumps(result, indent=1, ensure_ascii=False, allow_nan=False) + "\n").encode()


def _declared(readings: Readings[Any]) -> dict[str, Any]:
    """What was fixed before any fit, with a hash of it and of all that was asked."""
    setup = readings.setup
    declared = {
        "metric": setup.metric,
        "decision": readings.column,
        "contrast": "gan - none",
        "delta": setup.delta,
        "margins": dict(MARGINS),
    }
    asked = {"declared": declared, "asked": setup.header["asked"]}
    text = json.dumps(asked, sort_keys=True, allow_nan=False)
    return {**declared, "sha256": hashlib.sha256(text.encode()).hexdigest()}


def _data(setup: Setup[Any]) -> dict[str, Any]:
    asked, protocol = setup.header["asked"], setup.protocol
    return {
        "kind": asked["kind"],
        "rows": len(setup.data),
        "classes": {name: int(n) for name, n in setup.data.counts.items()},
        "rare": list(setup.rare),
        "evaluated": list(protocol.evaluated),
        "left_out": dict(protocol.left_out),
        "unit": protocol.unit,
        "units": {name: int(n) for name, n in protocol.units.items()},
        "sha256": asked["data"],
        "duplicates": asked["duplicates"],
    }


def _protocol(setup: Setup[Any]) -> dict[str, Any]:
    asked, planned, protocol = setup.header["asked"], setup.header["planned"], setup.protocol
    return {
        "splits": protocol.kind,
        "folds": protocol.folds,
        "repeats": protocol.repeats,
        "inner_folds": INNER_FOLDS,
        "seed": setup.seed,
        "learner": asked["learner"],
        "augmenter": {**asked["generator"], "steps": planned["steps"]},
        "amounts": [c.key for c in setup.candidates],
        "splits_sha256": protocol.sha256(),
        "left_out": list(planned["left_out"]),
        "notes": list(protocol.notes),
    }


def _gan_minus(readings: Readings[Any]) -> dict[str, Any]:
    """The primary contrast against every other arm, under the declared decision."""
    setup, gan = readings.setup, readings.of.get("gan")
    if gan is None:
        return {}
    others = {name: one for name, one in readings.of.items() if name != "gan"}
    found = {
        name: readings.difference(gan, other, setup.metric, readings.column)
        for name, other in others.items()
    }
    return {name: c.to_dict(setup.delta) for name, c in found.items() if c is not None}


def _warnings(readings: Readings[Any], copied: bool) -> Iterator[str]:
    """What a reader must know before the figures."""
    setup = readings.setup
    duplicates = setup.header["asked"]["duplicates"]
    if duplicates["exact"] and not duplicates["grouped"]:
        yield (
            f"{duplicates['exact']} rows equal another in every feature and may be on both sides "
            "of a split; --group-duplicates (group_duplicates=True) keeps them together"
        )
    if copied:
        yield "generated rows repeat training rows more often than held-out real rows do"
    failed: dict[str, list[str]] = defaultdict(list)
    for line in readings.journal.lines():
        if line.get("error"):
            failed[_who(line)].append(line["error"])
    for who, why in failed.items():
        yield f"{who} failed in {len(why)} fits, first because: {why[0]}"


def _who(line: Line) -> str:
    """What failed, for people."""
    if line["kind"] == "diagnosis":
        return "the diagnosis of generated rows"
    return line["candidate"] if line["kind"] == "cell" else f"generator {line['source']}"


def _seen(journal: Journal) -> dict[str, Any]:
    """How many fits say which ids they saw, and a hash of them all in order."""
    told = [
        fit["sha256"]
        for line in journal.lines()
        for _, fit in sorted((line.get("seen") or {}).items())
    ]
    return {"fits": len(told), "sha256": hashlib.sha256("".join(told).encode()).hexdigest()}


def _read(file: Path) -> dict[str, Any]:
    try:
        found = json.loads(file.read_bytes())
    except (OSError, ValueError) as error:
        raise ModelFileError(
            f"{str(file)!r} is no readable result of an evaluation ({error}); expected the folder "
            "that `evaluate` wrote, or its result.json"
        ) from None
    if not isinstance(found, dict):
        raise ModelFileError(f"{str(file)!r} holds no JSON object; expected result.json")
    return found
