"""Inspecting a table, or a run on one, says what a model sees of it, without torch."""

import json
import subprocess
import sys
from dataclasses import replace

import pytest

from gan_augment.errors import DataError, UsageError
from gan_augment.workflows.inspection import inspect_data, inspect_run


def test_a_report_shows_the_columns_the_classes_and_the_cost(table_file):
    report = inspect_data(table_file, target="fraud")
    told = json.loads(json.dumps(report.to_dict(), allow_nan=False))
    assert told["classes"] == {"no": 48, "yes": 12}
    assert told["rare"] == ["yes"]
    assert {column["name"]: column["kind"] for column in told["columns"]} == {
        "id": "id",
        "amount": "numeric",
        "place": "categorical",
        "day": "datetime",
        "is_new": "boolean",
    }
    assert told["encoded_bytes"] == 4 * told["encoded_width"] * 60
    text = "\n".join(report.lines())
    assert "rare: yes (12)" in text
    assert "column 'id' is not learned" in text


def test_rows_that_differ_in_their_class_alone_are_noted(table_file, tmp_path):
    text = table_file.read_text()
    first = text.splitlines()[1]
    other = first.rpartition(";")[0] + (";no" if first.endswith("yes") else ";yes")
    (tmp_path / "t.csv").write_text(f"{text}\n{other}\n")
    report = inspect_data(tmp_path / "t.csv", target="fraud")
    assert any("2 rows equal a row of another class" in note for note in report.to_dict()["notes"])


def test_kinds_can_be_said(table_file):
    report = inspect_data(table_file, target="fraud", columns={"id": "categorical"})
    assert report.to_dict()["columns"][0]["kind"] == "categorical"


def test_a_table_without_a_target_is_a_usage_error(tmp_path):
    (tmp_path / "t.parquet").write_bytes(b"")
    with pytest.raises(UsageError, match="--target"):
        inspect_data(tmp_path / "t.parquet")
    with pytest.raises(DataError, match="there is no"):
        inspect_data(tmp_path / "none.csv", target="y")


def test_a_run_report_says_what_was_kept_and_what_is_inside(table_run):
    report = inspect_run(table_run)
    told = json.loads(json.dumps(report.to_dict(), allow_nan=False))
    assert told["kind"] == "table"
    assert told["classes"] == {"no": 48, "yes": 12}
    assert told["anchors"] == 60
    text = "\n".join(report.lines())
    assert "contains 60 training rows in encoded form" in text
    assert "amount" in text


@pytest.mark.parametrize("value", [None, -0.84271])
def test_a_run_report_says_the_score_once(table_run, value):
    report = inspect_run(table_run)
    reason = "no class has enough rows" if value is None else "step 5 (0.843) was best"
    score = report.facts.score.model_copy(update={"value": value})
    facts = report.facts.model_copy(update={"chosen": "step 5", "reason": reason, "score": score})
    kept = [line for line in replace(report, facts=facts).lines() if line.startswith("kept")]
    assert kept == [f"kept: step 5; {reason}"]


@pytest.mark.slow
def test_inspecting_a_table_loads_no_torch(table_run, table_file):
    code = (
        "import sys; from gan_augment import workflows;"
        f"workflows.inspect_run({str(table_run)!r});"
        f"workflows.inspect_data({str(table_file)!r}, target='fraud');"
        "sys.exit(any(m in sys.modules for m in ('torch', 'sklearn', 'imblearn')))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
