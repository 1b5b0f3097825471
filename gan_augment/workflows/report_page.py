"""`report`: the result of an evaluation as a page of HTML. Nothing is measured here."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gan_augment.errors import OutputExistsError, UsageError
from gan_augment.evaluation.result import REPORT, EvaluationResult
from gan_augment.report.html import is_report
from gan_augment.storage import write_errors, write_file


@dataclass(frozen=True)
class WrittenReport:
    """A page, and the file that it was written to."""

    evaluation: EvaluationResult
    out: Path

    def to_dict(self) -> dict[str, Any]:
        """Make it ready for JSON."""
        return {
            "out": str(self.out),
            "verdict": self.evaluation.verdict,
            "sentence": self.evaluation.sentence,
        }

    def lines(self) -> list[str]:
        """Write it for people."""
        return [self.evaluation.sentence]


def report(
    result: str | Path, out: str | Path | None = None, *, overwrite: bool = False
) -> WrittenReport:
    """Write the result of an evaluation as one HTML file that needs nothing else.

    Parameters
    ----------
    result
        The folder of an evaluation, or its result.json.
    out
        A file, by default report.html beside it.
    overwrite
        Replace an earlier report; what is no report of ours is never replaced.

    Raises
    ------
    ModelFileError
        Where there is no result.
    UsageError, OutputExistsError, WriteFailedError
    """
    source = Path(result)
    evaluation = EvaluationResult.load(source)
    folder = source if source.is_dir() else source.parent
    target = folder / REPORT if out is None else Path(out)
    if target.suffix.lower() not in (".html", ".htm"):
        raise UsageError(
            f"--out {str(target)!r} is no HTML file; expected a name such as {REPORT!r}"
        )
    _check_room(target, overwrite)
    write_file(target, evaluation.to_html().encode())
    return WrittenReport(evaluation, target)


def _check_room(target: Path, overwrite: bool) -> None:
    """Raise OutputExistsError where something is there that may not be replaced."""
    if not target.exists():
        return
    with write_errors(target):
        ours = target.is_file() and is_report(target.read_bytes())
    if not ours:
        raise OutputExistsError(
            f"{str(target)!r} is there, and no report of gan-augment; name another file with --out."
        )
    if not overwrite:
        raise OutputExistsError(
            f"{str(target)!r} is there already; --overwrite replaces it, --out names another file."
        )
