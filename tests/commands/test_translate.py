"""`translate`, and manifests that group by source."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from gan_augment.commands.augment import augment
from gan_augment.commands.fit import fit
from gan_augment.commands.sample import sample
from gan_augment.commands.translate import plan_translate, translate
from gan_augment.data.images.png_folder import read_manifest, write_png
from gan_augment.data.images.reader import read_images
from gan_augment.errors import (
    DataError,
    TooFewAcceptedError,
    UnknownClassError,
    UsageError,
)
from gan_augment.generators.selection import Selection
from gan_augment.options import FitOptions, TopUp
from gan_augment.recipes import SelectionSettings, resolve_recipe
from tests.commands.conftest import contents, files, write_classes

COUNTS = {"good": 30, "odd": 12, "bad_part": 5}
QUICK = {"steps": 2, "device": "cpu", "threads": 1, "selection": False, "precision": "float32"}
OPTIONS = FitOptions(**QUICK)


@pytest.fixture(scope="module")
def data(tmp_path_factory) -> Path:
    return write_classes(tmp_path_factory.mktemp("translated") / "data", COUNTS)


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
        with Image.open(tmp_path / "out" / row.path) as image:
            assert image.info["Source"] == row.source
    again = translate(data, tmp_path / "two", model=tmp_path / "run", **how)
    assert files(tmp_path / "two") == files(tmp_path / "out")
    assert again.run == tmp_path / "run"


@pytest.mark.parametrize("recipe", ["cyclegan", "adain", "fourier", "inpaint"])
def test_other_recipes_draw_a_pair_of_classes(data, tmp_path, recipe):
    how = {"source": "good", "to": "odd", "counts": 3, "options": by(recipe)}
    result = translate(data, tmp_path / "out", run=tmp_path / "run", **how)
    assert (result.recipe, result.counts) == (recipe, {"odd": 3})
    rows = read_manifest(tmp_path / "out" / "manifest.csv")
    assert {row.source.split("/")[0] for row in rows} == {"good"}


@pytest.mark.parametrize(
    ("changes", "error", "said"),
    [
        ({"to": "worse"}, UnknownClassError, "worse"),
        ({"source": "odd", "to": "odd"}, UsageError, "different classes"),
        ({"counts": 31}, TooFewAcceptedError, r"31 images.*30 images.*adain"),
        ({"counts": -1}, UsageError, "whole number"),
        ({"options": by("anchored")}, UsageError, "not translate images"),
        ({"options": by("srgan")}, UsageError, "not translate images"),
        ({"source": "all", "options": by("cyclegan")}, UsageError, "one pair of classes"),
        ({"options": OPTIONS.model_copy(update={"target": "y"})}, UsageError, "for images"),
        ({"counts": 0}, UsageError, "nothing to draw"),
        ({"counts": {"bad_part": 0}}, UsageError, "nothing to draw"),
        ({"counts": {}}, UsageError, "nothing to draw"),
        ({"counts": {"bad_part": 1.5}}, UsageError, "whole number"),
        ({"counts": True}, UsageError, "whole number"),
        ({"counts": {"good": 3}}, UnknownClassError, "good"),
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


def test_rows_that_show_one_original_are_a_group_of_the_output(data, tmp_path):
    options = OPTIONS.model_copy(update={"recipe": "stargan"})
    result = augment(
        data,
        tmp_path / "out",
        run=tmp_path / "run",
        options=options,
        top_up=TopUp(synthetic_share=0.5),
    )
    assert abs(result.counts["bad_part"]["synthetic"] - result.counts["bad_part"]["repeat"]) <= 1
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


def drawn_from(out: Path) -> list[str]:
    """The sources of an output, in the order of its manifest."""
    return [row.source for row in read_manifest(out / "manifest.csv")]


@pytest.fixture(scope="module")
def translator(data, tmp_path_factory) -> Path:
    """A run of stargan of two steps."""
    run = tmp_path_factory.mktemp("runs") / "stargan"
    fit(data, run, OPTIONS.model_copy(update={"recipe": "stargan"}))
    return run


def test_each_row_makes_one_image_and_all_of_them_make_no_more(data, translator, tmp_path):
    how = {"source": ["odd"], "to": "bad_part", "model": translator, "options": OPTIONS}
    translate(data, tmp_path / "out", counts=12, **how)
    sources = drawn_from(tmp_path / "out")
    assert sorted(sources) == sorted(f"odd/image {i}.png" for i in range(12))
    with pytest.raises(TooFewAcceptedError, match="13 images"):
        translate(data, tmp_path / "more", counts=13, **how)


def test_a_row_is_given_styles_as_often_as_asked(data, tmp_path):
    how = {"source": "odd", "to": "bad_part", "counts": 30, "options": by("adain")}
    translate(data, tmp_path / "out", run=tmp_path / "run", **how)
    assert len(set(drawn_from(tmp_path / "out"))) == 12
    assert len(files(tmp_path / "out")) == 31


@pytest.mark.parametrize("form", ["manifest.csv", "arrays.npz"])
def test_sources_without_a_folder_are_grouped_too(make_classes, tmp_path, form):
    read = read_images(make_classes(tmp_path / "data", {"a": 6, "b": 4})).data
    source = tmp_path / form
    names = np.array(["a", "b"])[read.labels]
    if form == "arrays.npz":
        np.savez(source, x=read.pixels, y=names)
    else:
        for i, pixels in enumerate(read.pixels):
            write_png(tmp_path / f"{i}.png", pixels)
        lines = [f"{i}.png,{name}" for i, name in enumerate(names)]
        source.write_text("\n".join(["path,label", *lines]) + "\n")
    how = {"source": "a", "to": "b", "counts": 12, "options": by("fourier")}
    translate(source, tmp_path / "out", run=tmp_path / "run", **how)
    sources = drawn_from(tmp_path / "out")
    assert sources[:6] == sources[6:]  # in turn
    assert "/" not in "".join(sources)
    manifest = tmp_path / "out" / "manifest.csv"
    manifest.write_text(manifest.read_text().replace("000011.png,b", "000011.png,a"))
    again = read_images(manifest).data
    group_of = dict(zip(again.ids.tolist(), again.groups.tolist(), strict=True))
    for i in range(6):
        assert group_of[f"b/{i:06d}.png"] == group_of[f"b/{i + 6:06d}.png"] >= 0
    assert len(set(group_of.values())) == 6


def test_pairs_are_learned_from_files_of_one_name(data, tmp_path):
    how = {"source": "odd", "to": "bad_part", "counts": 6, "options": by("pix2pix")}
    result = translate(data, tmp_path / "out", run=tmp_path / "run", **how)
    assert result.counts == {"bad_part": 6}
    assert {source.split("/")[0] for source in drawn_from(tmp_path / "out")} == {"odd"}
    renamed = tmp_path / "renamed"
    for name in ("odd", "bad_part"):
        (renamed / name).mkdir(parents=True)
        for path in (data / name).iterdir():
            (renamed / name / f"{name}-{path.name}").write_bytes(path.read_bytes())
    with pytest.raises(DataError, match="expected pairs"):
        translate(renamed, tmp_path / "two", run=tmp_path / "run-2", **how)


def test_the_data_is_only_read_and_is_no_place_for_an_output(data, translator, tmp_path):
    before = contents(data)
    how = {"source": "good", "to": "odd", "counts": 2, "model": translator, "options": OPTIONS}
    translate(data, tmp_path / "out", **how)
    with pytest.raises(UsageError):
        translate(data, data / "out", **how)
    assert contents(data) == before


def test_a_plan_writes_nothing_and_says_what_is_drawn(data, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    how = {"source": "all", "to": ["odd", "bad_part"], "options": OPTIONS}
    plan = plan_translate(data, counts={"odd": 4, "bad_part": 0}, **how)
    assert plan.to_dict() == {"counts": {"odd": 4}, "sources": 30}
    assert plan.lines() == ["4 images of odd, from 30 images"]
    usual = plan_translate(data, source="all", to="bad_part", options=OPTIONS)
    assert usual.to_dict() == {"counts": {"bad_part": 21}, "sources": 42}  # 25 are missing
    assert list(tmp_path.iterdir()) == []


def test_a_model_of_rows_draws_a_class_that_the_data_has_no_image_of_from_a_new_one(
    translator, make_classes, tmp_path
):
    more = make_classes(tmp_path / "data", {"new": 6, "odd": 3})
    how = {"counts": 6, "model": translator, "options": OPTIONS}
    translate(more, tmp_path / "out", source="new", to="odd", **how)
    assert sorted(drawn_from(tmp_path / "out")) == [f"new/image {i}.png" for i in range(6)]


@pytest.fixture(scope="module")
def selecting(data, tmp_path_factory) -> Path:
    """A run of stargan whose selection keeps every image of "odd"."""
    easy = SelectionSettings(label=0, outlier=0, logit=0.4)
    recipe = resolve_recipe("stargan").model_copy(update={"selection": easy})
    options = FitOptions(**(QUICK | {"selection": True}), recipe=recipe)
    return fit(data, tmp_path_factory.mktemp("runs") / "selecting", options).run


def test_too_few_that_arrive_are_counted_and_leave_nothing(data, selecting, tmp_path, monkeypatch):
    def three(self, pixels, label):
        return np.where(np.arange(len(pixels)) < 3, "", "label").astype("U9")

    monkeypatch.setattr(Selection, "reasons", three)
    how = {"source": "good", "to": "odd", "counts": 20, "model": selecting}
    with pytest.raises(TooFewAcceptedError, match="20 wanted: 3 of 30 rows arrived as 'odd'"):
        translate(data, tmp_path / "out", options=FitOptions(device="cpu", threads=1), **how)
    assert list(tmp_path.iterdir()) == []
    assert translate(data, tmp_path / "out", options=OPTIONS, **how).counts == {"odd": 20}


@pytest.mark.slow
def test_sample_of_such_a_model_names_sources_too_and_workers_write_the_same(
    translator, data, tmp_path
):
    for n in (1, 2):
        counts = {"bad_part": 42, "odd": 35}  # all rows of other classes
        sample(translator, tmp_path / str(n), counts=counts, workers=n)
    assert files(tmp_path / "1") == files(tmp_path / "2")
    rows = read_manifest(tmp_path / "1" / "manifest.csv")
    for label, others in (("bad_part", 42), ("odd", 35)):
        sources = [row.source for row in rows if row.label == label]
        assert len(set(sources)) == others
        assert all((data / source).is_file() and not source.startswith(label) for source in sources)
    with pytest.raises(TooFewAcceptedError, match="42 rows"):
        sample(translator, tmp_path / "more", counts={"bad_part": 43, "odd": 1})
    assert not (tmp_path / "more").exists()
