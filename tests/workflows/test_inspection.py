"""Inspecting says what is there, without torch, and hides nothing."""

import json
import subprocess
import sys

import pytest

from gan_augment.errors import DataError, ModelFileError
from gan_augment.workflows.inspection import inspect_data, inspect_run


def test_a_data_report_counts_classes_and_explains_the_rare_one(data_folder):
    report = inspect_data(data_folder)
    text = "\n".join(report.lines())
    assert report.rare == ("bad_part",)
    assert report.to_dict()["classes"] == {"bad_part": 5, "good": 30, "odd": 12}
    assert "rare: bad_part (5); fewer than 7.833 rows" in text
    assert "8 x 8" in text
    json.dumps(report.to_dict(), allow_nan=False)


def test_unusable_files_are_listed_with_the_reason_and_what_a_fit_would_say(tmp_path, data_folder):
    for source in data_folder.rglob("*.png"):
        target = tmp_path / source.relative_to(data_folder)
        target.parent.mkdir(exist_ok=True)
        target.write_bytes(source.read_bytes())
    for name in ("x.png", "y.png"):
        (tmp_path / "bad_part" / name).write_bytes(b"no image")
    report = inspect_data(tmp_path)
    assert set(report.to_dict()["rejected"]) == {"bad_part/x.png", "bad_part/y.png"}
    assert "--skip-bad" in (report.problem or "")
    assert any(line.startswith("  bad_part/x.png: ") for line in report.lines())
    assert inspect_data(tmp_path, skip_bad=True).problem is None


def test_nothing_to_read_is_an_error(tmp_path):
    with pytest.raises(DataError):
        inspect_data(tmp_path)


def test_a_run_report_says_what_the_model_is_and_that_it_contains_training_rows(run):
    report = inspect_run(run)
    values = report.to_dict()
    assert values["classes"] == {"bad_part": 5, "good": 30, "odd": 12}
    assert values["topped_up"] == ["bad_part"]
    assert values["anchors"] == 47
    assert len(values["model_sha256"]) == 64
    text = "\n".join(report.lines())
    assert "contains 47 training rows in encoded form" in text
    assert "8 x 8 px" in text
    json.dumps(values, allow_nan=False)


def test_a_damaged_model_is_refused_in_one_line(run, tmp_path):
    (tmp_path / "model").mkdir()
    for file in (run / "model").iterdir():
        (tmp_path / "model" / file.name).write_bytes(file.read_bytes())
    description = tmp_path / "model" / "model.json"
    description.write_bytes(description.read_bytes().replace(b'"good"', b'"goof"'))
    with pytest.raises(ModelFileError, match="checksum"):
        inspect_run(tmp_path)


def test_a_run_without_a_model_yet_says_so(tmp_path):
    (tmp_path / "config.toml").write_text("")
    with pytest.raises(ModelFileError, match="no model yet"):
        inspect_run(tmp_path)


@pytest.mark.slow
def test_inspecting_loads_no_torch(run, data_folder):
    code = (
        "import sys; from gan_augment import workflows;"
        f"workflows.inspect_run({str(run)!r}); workflows.inspect_data({str(data_folder)!r});"
        "sys.exit(any(m in sys.modules for m in ('torch', 'sklearn', 'pandas', 'albumentations')))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
