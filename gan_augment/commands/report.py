"""`report`: write the page of an evaluation's result."""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gan_augment.errors import OutputExistsError, UsageError
from gan_augment.evaluation.result import APPLY, CHART, REPORT, EvaluationResult
from gan_augment.report.tables import lines
from gan_augment.storage.files import clean_stale


@dataclass(frozen=True)
class WrittenReport:
    """An evaluation's result, and where it was written: its folder, or only its page."""

    evaluation: EvaluationResult
    out: Path

    @property
    def verdict(self) -> str:
        return self.evaluation.verdict

    @property
    def following(self) -> str:
        """Return the next command: what adds the recommended rows, or predicts new rows."""
        command = self.evaluation.result["recommendation"]["apply"]["command"]
        folder = self.out if self.out.is_dir() else self.out.parent
        predict = ["python", str(folder / APPLY), "NEW", "PREDICTIONS.csv"]
        return command or shlex.join(predict)

    def to_dict(self) -> dict[str, Any]:
        named = {"verdict": self.verdict, "sentence": self.evaluation.sentence}
        return {"out": str(self.out), **named, "result": self.evaluation.to_dict()}

    def lines(self) -> list[str]:
        page = self.out / REPORT if self.out.is_dir() else self.out
        chart = page.with_name(CHART)
        slide = [f"the chart for slides:  {chart}"] if chart.is_file() else []
        text = lines(self.evaluation.result, figures=page == self.out)
        return [*text, "", f"reasons and all figures: {page}", *slide]


def report(
    result: str | Path, out: str | Path | None = None, *, overwrite: bool = False
) -> WrittenReport:
    """Write the result of an evaluation as one HTML file without dependencies.

    - result: The folder of an evaluation, or its result.json.
    - out: The file, by default report.html in the same folder.
    - overwrite: Replace an earlier report.

    Raises ModelFileError (if there is no result); UsageError, OutputExistsError, WriteFailedError
    (for an unsuitable name, a file that exists, and a disk that refuses).
    """
    source = Path(result)
    evaluation = EvaluationResult.load(source)
    target = (source if source.is_dir() else source.parent) / REPORT if out is None else Path(out)
    name = str(target)
    if target.suffix.lower() not in (".html", ".htm"):
        raise UsageError(f"--out {name!r} is no HTML file; expected a name such as {REPORT!r}")
    clean_stale(target.parent, {target.name})
    if target.is_dir() or (target.exists() and not overwrite):
        raise OutputExistsError(
            f"{name!r} is there already; --overwrite replaces a file, --out names another one."
        )
    evaluation.to_html(target)
    return WrittenReport(evaluation, target)
