"""Inspecting says what is there, without torch, and hides nothing."""

import json
import subprocess
import sys

import pytest

from gan_augment.commands.inspect import inspect_data, inspect_run
from gan_augment.commands.source import read_meta
from gan_augment.errors import DataError, ModelFileError, UsageError
from gan_augment.options import FitOptions


def test_a_data_report_counts_classes_and_explains_the_rare_one(data_folder):
    report = inspect_data(data_folder)
    text = "\n".join(report.lines())
    assert report.to_dict()["rare"] == ["bad_part"]
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
    assert "skip_bad=True" in report.to_dict()["problem"]
    assert any(line.startswith("  bad_part/x.png: ") for line in report.lines())
    assert inspect_data(tmp_path, FitOptions(skip_bad=True)).to_dict()["problem"] is None


def test_photos_are_sent_to_pretrained_features_first(make_classes, tmp_path):
    for side, sent in ((100, True), (96, False)):
        photos = make_classes(tmp_path / f"{side} px", {"a": 2, "b": 2}, side)
        told = inspect_data(photos)
        assert (f"evaluate '{photos}' --backbone" in told.lines()[0]) == sent
        assert bool(told.to_dict()["advice"]) == sent


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
    content = (run / "model.safetensors").read_bytes()
    (tmp_path / "model.safetensors").write_bytes(content.replace(b"good", b"goof", 1))
    with pytest.raises(ModelFileError, match="checksum"):
        inspect_run(tmp_path)


def test_a_run_without_a_model_yet_says_so(tmp_path):
    (tmp_path / "config.toml").write_text("")
    with pytest.raises(ModelFileError, match="no model yet"):
        inspect_run(tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("table", [False, True])
def test_inspecting_loads_no_torch(run, data_folder, table_run, table_file, table):
    data, options, heavy = data_folder, "", "pandas"
    if table:
        run, data, options, heavy = table_run, table_file, "target='fraud'", "imblearn"
    code = (
        "import sys; from gan_augment.commands.inspect import inspect_data, inspect_run;"
        "from gan_augment.options import FitOptions;"
        f"inspect_run({str(run)!r}); inspect_data({str(data)!r}, FitOptions({options}));"
        f"heavy = {{'torch', 'sklearn', 'albumentations', {heavy!r}}};"
        "sys.exit(bool(heavy & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_a_report_shows_the_columns_the_classes_and_the_cost(table_file):
    report = inspect_data(table_file, FitOptions(target="fraud"))
    told = json.loads(json.dumps(report.to_dict(), allow_nan=False))
    assert told["classes"] == {"no": 48, "yes": 12}
    assert told["rare"] == ["yes"]
    assert {column["name"]: column["kind"] for column in told["columns"]} == {
        "id": "id",
        "amount": "numeric",
        "place": "categorical",
        "day": "datetime",
        "is_new": "categorical",
    }
    assert told["encoded_bytes"] == 4 * told["encoded_width"] * 60
    text = "\n".join(report.lines())
    assert "rare: yes (12)" in text
    assert "column 'id' is not learned" in text


def test_kinds_can_be_said(table_file):
    report = inspect_data(table_file, FitOptions(target="fraud", columns={"id": "categorical"}))
    assert report.to_dict()["columns"][0]["kind"] == "categorical"


def test_codes_are_categories_and_the_report_says_so(tmp_path):
    rows = [
        f"{code},{i % 3},{'yn'[i % 4 == 0]}" for i, code in enumerate([10115, 80331, 20095] * 9)
    ]
    (tmp_path / "t.csv").write_text("\n".join(["zip,visits,y", *rows]))
    lines = inspect_data(tmp_path / "t.csv", FitOptions(target="y")).lines()
    zip_code, visits = (next(line for line in lines if name in line) for name in ("zip", "visits"))
    assert zip_code.split()[1] == "categorical"
    assert "so codes (if not: --columns name=numeric)" in zip_code
    assert visits.split()[1] == "numeric"
    assert "if they are codes: --columns name=categorical" in visits


def test_a_table_without_a_target_is_a_usage_error(tmp_path):
    (tmp_path / "t.parquet").write_bytes(b"")
    with pytest.raises(UsageError, match="target="):
        inspect_data(tmp_path / "t.parquet")
    with pytest.raises(DataError, match="there is no"):
        inspect_data(tmp_path / "none.csv", FitOptions(target="y"))


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
    meta = read_meta(table_run)
    reason = "no class has enough rows" if value is None else "step 5 (0.843) was best"
    score = meta.score.model_copy(update={"value": value})
    facts = meta.model_copy(update={"chosen": "step 5", "reason": reason, "score": score})
    assert facts.kept_lines() == [f"kept: step 5; {reason}"]
