"""The result of an evaluation: as Python, files, a frame, a page. Loads nothing that learns."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gan_augment.errors import ModelFileError
from gan_augment.evaluation.apply import MEMORY
from gan_augment.input_files import check_there, parsed_json, read_regular
from gan_augment.report import tables
from gan_augment.storage.files import write_file

if TYPE_CHECKING:
    import pandas as pd

SCHEMA = 2
RESULT, TIMINGS, REPORT, APPLY = "result.json", "timings.json", "report.html", "apply.py"
CHART = "recommendation.png"


@dataclass(frozen=True, eq=False)
class EvaluationResult:
    """The recommendation and the verdict of an evaluation, with all figures behind them.

    Parameters
    ----------
    result
        As in result.json.
    timings
        As in timings.json.
    """

    result: dict[str, Any]
    timings: dict[str, Any]

    @property
    def recommendation(self) -> str:
        """Say in a sentence what to do about the rare classes."""
        return str(self.result["recommendation"]["sentence"])

    @property
    def code(self) -> str:
        """The Python code that applies the recommendation to all rows."""
        return str(self.result["recommendation"]["apply"]["code"])

    @property
    def verdict(self) -> str:
        """The word: ADOPT, "USE smote", LIKELY HELPS, NO EVIDENCE, ..."""
        return str(self.result["verdict"]["word"])

    @property
    def sentence(self) -> str:
        """The verdict in a sentence, with the difference and what could have been seen."""
        return str(self.result["verdict"]["sentence"])

    def to_dict(self) -> dict[str, Any]:
        """Copy the result.

        Returns
        -------
        dict
            The content of result.json.
        """
        copy: dict[str, Any] = json.loads(result_bytes(self.result))
        return copy

    def to_frame(self) -> pd.DataFrame:
        """Return one row per arm: means under the declared decision, and gains over `none`.

        Returns
        -------
        DataFrame
            Columns: the metrics; "minus_none", "low", "high" of the primary metric; "missing", the
            reason if the arm could not be judged.
        """
        import pandas as pd

        rows = {}
        for row in tables.arm_rows(self.result):
            low, high = row.interval or (None, None)
            numbers = {**row.means, "minus_none": row.change, "low": low, "high": high}
            values = {name: math.nan if n is None else n for name, n in numbers.items()}
            rows[row.name] = {**values, "missing": row.missing}
        return pd.DataFrame.from_dict(rows, orient="index").rename_axis("arm")

    def lines(self) -> list[str]:
        """Write the result as text for a terminal.

        Returns
        -------
        list of str
            Lines of at most 100 characters.
        """
        return tables.lines(self.result)

    def to_html(self, path: str | Path | None = None) -> str:
        """Write the report as one self-contained HTML page.

        Parameters
        ----------
        path
            A file to write too.

        Returns
        -------
        str
            The page.

        Raises
        ------
        WriteFailedError
            If the file cannot be written.
        """
        from gan_augment.report.html import render

        page = render(self.result, self.timings)
        if path is not None:
            write_file(Path(path), page.encode())
        return page

    def _repr_html_(self) -> str:
        from gan_augment.report.html import fragment

        return fragment(self.result)

    def save(self, folder: str | Path) -> None:
        """Write result.json, timings.json, apply.py, report.html and recommendation.png.

        Parameters
        ----------
        folder
            Made if it does not exist.

        Raises
        ------
        WriteFailedError
            If a file cannot be written.
        """
        from gan_augment.report.charts import slide

        folder = Path(folder)
        folder.mkdir(parents=True, exist_ok=True)
        write_file(folder / RESULT, result_bytes(self.result))
        write_file(folder / TIMINGS, result_bytes(self.timings))
        head = f'"""{self.recommendation}\n\nWritten by gan-augment after an evaluation."""\n\n'
        code = self.code.replace(MEMORY, f"X, y = ...  # fill in{MEMORY[6:]}")
        script = head + code + self.result["recommendation"]["apply"]["main"]
        write_file(folder / APPLY, script.encode())
        self.to_html(folder / REPORT)
        chart = slide(self.result)
        if chart is not None:
            write_file(folder / CHART, chart)

    @classmethod
    def load(cls, path: str | Path) -> EvaluationResult:
        """Read what `save` wrote.

        Parameters
        ----------
        path
            The folder, or its result.json.

        Returns
        -------
        EvaluationResult
            The same result.

        Raises
        ------
        ModelFileError
            If it is no result, or of another schema.
        """
        path = Path(path)
        check_there(path, "the folder that `evaluate` wrote, or its result.json")
        file = path / RESULT if path.is_dir() else path
        result, timings = _read(file), file.with_name(TIMINGS)
        if result.get("schema") != SCHEMA or "recommendation" not in result:
            raise ModelFileError(
                f"{str(file)!r} is of schema {result.get('schema')!r}; this version reads schema "
                f"{SCHEMA}. Evaluate again, or take the version that wrote it."
            )
        return cls(result, _read(timings) if timings.is_file() else {})

    def __repr__(self) -> str:
        return f"EvaluationResult({self.recommendation!r})"


def result_bytes(result: dict[str, Any]) -> bytes:
    """Write as JSON: ASCII, keys in their order, floats as short as they read back; no NaN."""
    return (json.dumps(result, indent=1, allow_nan=False) + "\n").encode()


def _read(file: Path) -> dict[str, Any]:
    try:
        content = parsed_json(read_regular(file))
        if not isinstance(content, dict):
            raise ValueError("it holds no JSON object")
    except (OSError, ValueError) as error:
        why = getattr(error, "strerror", None) or error
        raise ModelFileError(
            f"{str(file)!r} is no readable result of an evaluation ({why}); expected the folder "
            "that `evaluate` wrote, or its result.json"
        ) from None
    return content
