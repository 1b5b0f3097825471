"""`translate`, `--super-resolve` and manifests that group by source."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from gan_augment.config import FitOptions, TopUp
from gan_augment.data.images.png_folder import png_source, read_manifest, write_png
from gan_augment.data.images.reader import read_images
from gan_augment.errors import (
    DataError,
    TooFewAcceptedError,
    UnknownClassError,
    UsageError,
)
from gan_augment.evaluation.options import EvaluationOptions
from gan_augment.synthesizers import scorer
from gan_augment.training.callbacks import StopRequested
from gan_augment.workflows import augment, fit, plan_evaluation, plan_translate, sample, translate
from gan_augment.workflows import translating as room
from gan_augment_cli.app import app
from tests.workflows.conftest import contents, files, write_classes

COUNTS = {"good": 30, "odd": 12, "bad_part": 5}
QUICK = {"steps": 2, "device": "cpu", "threads": 1, "selection": False, "precision": "float32"}
OPTIONS = FitOptions(**QUICK)


@pytest.fixture(autouse=True)
def quick_scoring(monkeypatch):
    monkeypatch.setattr(scorer, "SCORER_STEPS", 10)


@pytest.fixture(scope="module")
def data(tmp_path_factory) -> Path:
    return write_classes(tmp_path_factory.mktemp("translated") / "data", COUNTS)


@pytest.fixture
def by_site(data) -> Path:
    """A manifest of the same files, every third of another site."""
    paths = sorted(path.relative_to(data).as_posix() for path in data.rglob("*.png"))
    manifest = data / "list.csv"
    with manifest.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["path", "label", "site"])
        for i, path in enumerate(paths):
            writer.writerow([path, path.split("/")[0], "ABC"[i % 3]])
    yield manifest
    manifest.unlink()


def size_of(path: Path) -> tuple[int, int]:
    with Image.open(path) as image:
        return image.size


def by(recipe: str) -> FitOptions:
    return OPTIONS.model_copy(update={"recipe": recipe})


def test_images_name_the_file_that_each_was_drawn_from(data, tmp_path):
    how = {"source": ["good", "odd"], "to": "bad_part", "counts": 9, "options": OPTIONS}
    result = translate(data, tmp_path / "out", run=tmp_path / "run", **how)
    assert (result.counts, result.recipe) == ({"bad_part": 9}, "stargan")
    rows = read_manifest(tmp_path / "out" / "manifest.csv")
    assert [(row.path, row.label) for row in rows] == [
        (f"bad_part/{i:06d}.png", "bad_part") for i in range(9)
    ]
    for row in rows:
        assert row.source.split("/")[0] in ("good", "odd")
        assert (data / row.source).is_file()
        assert png_source(tmp_path / "out" / row.path) == row.source
    again = translate(data, tmp_path / "two", model=tmp_path / "run", **how)
    assert files(tmp_path / "two") == files(tmp_path / "out")
    assert again.run == tmp_path / "run"


def test_a_stopped_call_goes_on_to_the_same_bytes(data, tmp_path, monkeypatch):
    how = {"source": "good", "to": "bad_part", "counts": 20, "options": OPTIONS}
    translate(data, tmp_path / "whole", run=tmp_path / "run-1", **how)
    written = room.write_images

    def stopped(*arguments, **named):
        written(*arguments, **{**named, "super_resolve": None})
        for path in sorted((tmp_path / "out").rglob("0000*.png"))[7:]:
            path.unlink()
        raise StopRequested(2)

    monkeypatch.setattr(room, "write_images", stopped)
    with pytest.raises(StopRequested):
        translate(data, tmp_path / "out", run=tmp_path / "run-2", **how)
    monkeypatch.setattr(room, "write_images", written)
    result = translate(data, tmp_path / "out", run=tmp_path / "run-2", resume=True, **how)
    assert result.kept == 7
    whole, out = files(tmp_path / "whole"), files(tmp_path / "out")
    assert whole == out


def test_a_row_of_another_domain_keeps_its_class(by_site, tmp_path):
    how = {"source": ["A"], "to": ["B"], "domain": "site", "options": OPTIONS}
    result = translate(by_site, tmp_path / "out", run=tmp_path / "run", counts=2, **how)
    assert result.counts == {"bad_part": 2, "good": 2, "odd": 2}
    site = {row["path"]: row["site"] for row in csv.DictReader(by_site.read_text().splitlines())}
    for row in read_manifest(tmp_path / "out" / "manifest.csv"):
        assert row.source.split("/")[0] == row.label
        assert site[row.source] == "A"


@pytest.mark.parametrize("recipe", ["cyclegan", "adain", "fourier", "inpaint"])
def test_other_recipes_draw_a_pair_of_classes(data, tmp_path, recipe):
    how = {"source": "good", "to": "odd", "counts": 3, "options": by(recipe)}
    result = translate(data, tmp_path / "out", run=tmp_path / "run", **how)
    assert (result.recipe, result.counts) == (recipe, {"odd": 3})
    rows = read_manifest(tmp_path / "out" / "manifest.csv")
    assert {row.source.split("/")[0] for row in rows} == {"good"}


def test_masks_say_where_rows_are_redrawn(data, tmp_path):
    masks = tmp_path / "masks"
    for path in (data / "good").iterdir():
        (masks / "good").mkdir(parents=True, exist_ok=True)
        mask = np.zeros((8, 8), np.uint8)
        mask[:4] = 255
        Image.fromarray(mask).save(masks / "good" / path.name)
    how = {"source": "good", "to": "odd", "counts": 4, "options": by("inpaint")}
    translate(data, tmp_path / "out", run=tmp_path / "run", masks=masks, **how)
    for row in read_manifest(tmp_path / "out" / "manifest.csv"):
        drawn = np.array(Image.open(tmp_path / "out" / row.path))
        original = np.array(Image.open(data / row.source))
        assert np.array_equal(drawn[4:], original[4:])
        assert not np.array_equal(drawn[:4], original[:4])
    next((masks / "good").iterdir()).unlink()
    with pytest.raises(DataError, match="1 of 30 rows have no mask"):
        translate(data, tmp_path / "more", model=tmp_path / "run", masks=masks, **how)


@pytest.mark.parametrize(
    ("changes", "error", "said"),
    [
        ({"to": "worse"}, UnknownClassError, "worse"),
        ({"source": "odd", "to": "odd"}, UsageError, "different classes"),
        ({"counts": 31}, TooFewAcceptedError, r"31 images.*30 rows.*adain"),
        ({"counts": -1}, UsageError, "whole number"),
        ({"options": by("anchored")}, UsageError, "no row as of another class"),
        ({"options": by("srgan")}, UsageError, "no row as of another class"),
        ({"source": "all", "options": by("cyclegan")}, UsageError, "one pair of classes"),
        ({"options": OPTIONS.model_copy(update={"target": "y"})}, UsageError, "for images"),
        ({"domain": "site"}, UsageError, "site"),
        ({"masks": "masks"}, UsageError, "for the recipe inpaint"),
    ],
)
def test_what_makes_no_sense_is_told_before_anything_is_trained(
    data, tmp_path, changes, error, said
):
    how = {"source": "good", "to": "bad_part", "counts": 3, "options": OPTIONS} | changes
    with pytest.raises(error, match=said):
        translate(data, tmp_path / "out", run=tmp_path / "run", **how)
    assert not (tmp_path / "run").exists()
    assert not (tmp_path / "out").exists()


def test_the_default_is_level_with_the_largest_class_at_most_half_of_the_rows(data):
    plan = plan_translate(data, source="all", to="bad_part", options=OPTIONS)
    assert plan.counts == {"bad_part": {"bad_part": 21}}  # 25 are lacking, 42 rows are there
    assert len(plan.sources["bad_part"]) == 42


def test_rows_that_show_one_original_are_a_group_of_the_output(data, tmp_path):
    options = OPTIONS.model_copy(update={"recipe": "stargan"})
    result = augment(
        data,
        tmp_path / "out",
        run=tmp_path / "run",
        options=options,
        top_up=TopUp(synthetic_share=0.5),
    )
    assert result.counts["bad_part"]["synthetic"] == result.counts["bad_part"]["repeat"]
    rows = {row.path: row for row in read_manifest(tmp_path / "out" / "manifest.csv")}
    read = read_images(tmp_path / "out" / "manifest.csv").data
    group_of = dict(zip(read.ids.tolist(), read.groups.tolist(), strict=True))
    real = {row.source: path for path, row in rows.items() if row.origin == "real"}
    drawn = [path for path, row in rows.items() if row.origin in ("synthetic", "companion")]
    assert drawn
    for path in [*drawn, *(p for p, row in rows.items() if row.origin == "repeat")]:
        assert group_of[path] == group_of[real[rows[path].source]] >= 0


def test_what_a_model_drew_from_noise_stands_alone_in_a_manifest(data, tmp_path):
    lines = ["path,label,origin,source,index,scores"]
    told = [("real", "row-1"), ("repeat", "row-1"), ("synthetic", "row-1"), ("synthetic", "photos")]
    for i, (origin, source) in enumerate([*told, ("synthetic", "photos")]):
        write_png(tmp_path / f"{i}.png", np.full((8, 8, 1), 40 * i, np.uint8))
        lines.append(f"{i}.png,good,{origin},{source},,")
    (tmp_path / "manifest.csv").write_text("\n".join(lines) + "\n")
    groups = read_images(tmp_path / "manifest.csv").data.groups.tolist()
    assert groups[0] == groups[1] == groups[2] >= 0
    assert groups[3:] == [-1, -1]


def test_a_run_draws_at_twice_its_side_if_it_was_fitted_so(data, tmp_path):
    options = OPTIONS.model_copy(update={"super_resolve": 2})
    result = augment(
        data,
        tmp_path / "out",
        run=tmp_path / "run",
        options=options,
        top_up=TopUp(synthetic_share=0.5),
    )
    assert result.counts["bad_part"]["synthetic"] > 0
    drawn = tmp_path / "out" / "bad_part" / "synthetic-000000.png"
    assert size_of(drawn) == (16, 16)
    sample(tmp_path / "run", tmp_path / "s", counts={"odd": 2}, super_resolve=2)
    assert size_of(tmp_path / "s" / "odd" / "000001.png") == (16, 16)
    fit(data, tmp_path / "plain", OPTIONS)
    with pytest.raises(UsageError, match=r"--super-resolve 2 needs a run.*has none"):
        sample(tmp_path / "plain", tmp_path / "t", counts={"odd": 2}, super_resolve=2)


def test_an_evaluation_by_a_column_holds_out_whole_sites(by_site):
    text = by_site.read_text().splitlines()
    sites = [text[0], *(f"{line[:-1]}{i % 12}" for i, line in enumerate(text[1:]))]
    by_site.write_text("\n".join(sites) + "\n")
    options = EvaluationOptions(group="site", folds=2, fit=OPTIONS)
    plan = plan_evaluation(by_site, options)
    site = {row["path"]: row["site"] for row in csv.DictReader(by_site.read_text().splitlines())}
    groups = plan.setup.data.groups
    for value in set(site.values()):
        own = {
            int(g) for g, id_ in zip(groups, plan.setup.data.ids, strict=True) if site[id_] == value
        }
        assert len(own) == 1


def test_the_command_draws_and_says_what_it_would(data, tmp_path):
    arguments = [
        "translate",
        str(data),
        str(tmp_path / "out"),
        "--from",
        "good,odd",
        "--to",
        "bad_part",
    ]
    dry = CliRunner().invoke(app, [*arguments, "--dry-run"])
    assert dry.exit_code == 0, dry.output
    assert "21 images of bad_part, from 42 rows" in dry.output
    assert not (tmp_path / "out").exists()
    run = ["--run", str(tmp_path / "run"), "--steps", "2", "--no-selection", "--threads", "1"]
    done = CliRunner().invoke(app, [*arguments, "--counts", "4", *run, "--json"])
    assert done.exit_code == 0, done.output
    assert json.loads(done.stdout)["counts"] == {"bad_part": 4}
    assert len(contents(tmp_path / "out")) >= 5
