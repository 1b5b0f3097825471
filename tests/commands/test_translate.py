"""`translate`, `--super-resolve` and manifests that group by source."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from gan_augment.commands import translate as room
from gan_augment.commands.augment import augment
from gan_augment.commands.evaluate import plan_evaluation
from gan_augment.commands.fit import fit
from gan_augment.commands.sample import sample
from gan_augment.commands.translate import plan_translate, translate
from gan_augment.data.images.png_folder import png_source, read_manifest, write_png
from gan_augment.data.images.reader import read_images
from gan_augment.errors import (
    DataError,
    OutputExistsError,
    ResumeMismatchError,
    TooFewAcceptedError,
    UnknownClassError,
    UsageError,
)
from gan_augment.evaluation.options import EvaluationOptions
from gan_augment.generators import scorer
from gan_augment.generators.image_gan import ImageGAN
from gan_augment.options import FitOptions, TopUp
from gan_augment.training.callbacks import StopRequested
from gan_augment_cli.app import app
from tests.commands.conftest import contents, files, write_classes

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


# more of translate


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


def test_an_output_that_is_there_is_kept_unless_it_may_be_overwritten(data, translator, tmp_path):
    how = {"source": "good", "to": "odd", "model": translator, "options": OPTIONS}
    translate(data, tmp_path / "out", counts=5, **how)
    before = contents(tmp_path / "out")
    with pytest.raises(OutputExistsError):
        translate(data, tmp_path / "out", counts=2, **how)
    with pytest.raises(ResumeMismatchError, match="counts"):
        translate(data, tmp_path / "out", counts=2, resume=True, **how)
    assert contents(tmp_path / "out") == before
    translate(data, tmp_path / "out", counts=2, overwrite=True, **how)
    assert set(files(tmp_path / "out")) == {"odd/000000.png", "odd/000001.png", "manifest.csv"}
    assert translate(data, tmp_path / "out", counts=2, resume=True, **how).kept == 2


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
    assert plan.to_dict() == {"counts": {"odd": {"odd": 4}}, "sources": {"odd": 30, "bad_part": 30}}
    assert plan.lines() == ["4 images of odd, from 30 rows"]
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("counts", [0, {"odd": 0}, {}])
def test_a_count_of_nothing_is_not_taken_for_the_usual_one(data, counts):
    with pytest.raises(UsageError, match="nothing to draw"):
        plan_translate(data, source="good", to="odd", counts=counts, options=OPTIONS)


@pytest.mark.parametrize("counts", [{"odd": 1.5}, {"odd": True}, {"odd": -1}, True, 2.0])
def test_counts_that_are_no_whole_numbers_are_refused(data, counts):
    with pytest.raises(UsageError, match="whole number"):
        plan_translate(data, source="good", to="odd", counts=counts, options=OPTIONS)


def test_counts_of_a_class_that_is_not_drawn_are_refused(data):
    with pytest.raises(UnknownClassError, match="good"):
        plan_translate(data, source="good", to="odd", counts={"good": 3}, options=OPTIONS)


def test_a_model_draws_the_classes_it_knows_alone(translator, make_classes, tmp_path):
    more = make_classes(tmp_path / "data", {"good": 6, "new": 6})
    how = {"counts": 2, "model": translator, "options": OPTIONS}
    with pytest.raises(UnknownClassError, match="new"):
        translate(more, tmp_path / "out", source="good", to="new", **how)
    assert not (tmp_path / "out").exists()


def test_a_model_of_rows_draws_a_class_that_the_data_has_no_image_of_from_a_new_one(
    translator, make_classes, tmp_path
):
    more = make_classes(tmp_path / "data", {"new": 6, "odd": 3})
    how = {"counts": 6, "model": translator, "options": OPTIONS}
    translate(more, tmp_path / "out", source="new", to="odd", **how)
    assert sorted(drawn_from(tmp_path / "out")) == [f"new/image {i}.png" for i in range(6)]


def test_a_model_that_draws_from_noise_translates_nothing(run, data, tmp_path):
    with pytest.raises(UsageError, match="no row as of another class"):
        translate(data, tmp_path / "out", source="good", to="odd", model=run, options=OPTIONS)


def lines_changed(manifest: Path, change) -> Path:
    """The manifest with the site of each line changed, (line number, site) -> site."""
    head, *lines = manifest.read_text().splitlines()
    changed = [
        ",".join([*line.split(",")[:2], change(i, line.split(",")[2])])
        for i, line in enumerate(lines)
    ]
    manifest.write_text("\n".join([head, *changed]) + "\n")
    return manifest


def test_a_domain_is_a_column_that_every_row_has_and_of_two_values(by_site, tmp_path):
    how = {"source": "A", "to": "B", "options": OPTIONS}
    with pytest.raises(UsageError, match="Did you mean 'site'"):
        translate(by_site, tmp_path / "out", domain="sites", **how)
    lines_changed(by_site, lambda i, site: "" if i == 3 else site)
    with pytest.raises(DataError, match="has no site"):
        translate(by_site, tmp_path / "out", domain="site", **how)
    lines_changed(by_site, lambda i, site: "A")
    with pytest.raises(DataError, match="all rows are of one site"):
        translate(by_site, tmp_path / "out", domain="site", **how)
    with pytest.raises(UsageError, match="only where an option names them"):
        translate(by_site, tmp_path / "out", source="good", to="odd", options=OPTIONS)
    assert not (tmp_path / "out").exists()


def test_several_domains_are_drawn_beside_each_other_in_the_folder_of_a_class(by_site, tmp_path):
    how = {"source": "A", "to": ["B", "C"], "domain": "site", "options": OPTIONS}
    counts = {"good": 10, "bad_part": 1}  # good has ten rows of A
    result = translate(by_site, tmp_path / "out", run=tmp_path / "run", counts=counts, **how)
    assert result.counts == {"good": 20, "bad_part": 2}
    rows = read_manifest(tmp_path / "out" / "manifest.csv")
    for start in ("B-", "C-"):
        own = [row for row in rows if row.path.startswith(f"good/{start}")]
        assert len({row.source for row in own}) == len(own) == 10
        assert {row.label for row in own} == {"good"}
    with pytest.raises(TooFewAcceptedError, match="11 images of 'good'"):
        translate(by_site, tmp_path / "more", counts={"good": 11}, **how)


def test_a_mask_that_is_all_black_is_refused(data, tmp_path):
    for path in (data / "odd").iterdir():
        (tmp_path / "masks" / "odd").mkdir(parents=True, exist_ok=True)
        black = Image.fromarray(np.zeros((8, 8), np.uint8))
        black.save(tmp_path / "masks" / "odd" / path.name)
    how = {"source": "odd", "to": "good", "counts": 2, "options": by("inpaint")}
    with pytest.raises(DataError, match="all black"):
        translate(data, tmp_path / "out", masks=tmp_path / "masks", run=tmp_path / "run", **how)
    assert not (tmp_path / "run").exists()


# models that start from rows, in other commands


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
    with pytest.raises(TooFewAcceptedError, match="42 rows are there"):
        sample(translator, tmp_path / "more", counts={"bad_part": 43, "odd": 1})
    assert set(files(tmp_path / "more")) == {"odd/000000.png", "manifest.csv"}


@pytest.mark.slow
def test_files_name_what_the_model_says_in_every_block(make_classes, tmp_path):
    data = make_classes(tmp_path / "data", {"good": 80, "odd": 12})
    fit(data, tmp_path / "run", by("stargan"))
    sample(tmp_path / "run", tmp_path / "out", counts={"odd": 70}, seed=3)
    gan = ImageGAN.load(tmp_path / "run" / "model.safetensors", device="cpu", threads=1)
    expected = gan.sample({"odd": 70}, random_state=3)
    assert drawn_from(tmp_path / "out") == expected.sources.tolist()
    with Image.open(tmp_path / "out" / "odd" / "000069.png") as image:
        assert np.array_equal(np.asarray(image), expected.pixels[69, ..., 0])


def test_a_topped_up_folder_has_exact_counts_and_every_origin_in_its_manifest(
    data, translator, tmp_path
):
    half = TopUp(synthetic_share=0.5, companions=False)
    result = augment(data, tmp_path / "out", model=translator, options=OPTIONS, top_up=half)
    assert result.counts["bad_part"] == {"real": 5, "repeat": 12, "synthetic": 13, "companion": 0}
    rows = read_manifest(tmp_path / "out" / "manifest.csv")
    drawn = [row.source for row in rows if row.origin == "synthetic"]
    assert len(set(drawn)) == 13
    assert all((data / source).is_file() for source in drawn)


@pytest.mark.slow
def test_a_super_resolver_of_another_scale_is_told_and_workers_use_it_too(data, tmp_path):
    options = OPTIONS.model_copy(update={"super_resolve": 2})
    fit(data, tmp_path / "run", options)
    for n in (1, 2):
        counts = {"odd": 70, "good": 3}
        sample(tmp_path / "run", tmp_path / str(n), counts=counts, workers=n, super_resolve=2)
    assert files(tmp_path / "1") == files(tmp_path / "2")
    assert {size_of(path) for path in (tmp_path / "1").rglob("*.png")} == {(16, 16)}
    with pytest.raises(UsageError, match="has one of 2 times the side"):
        sample(tmp_path / "run", tmp_path / "four", counts=2, super_resolve=4)
    sample(tmp_path / "run", tmp_path / "plain", counts={"odd": 2})
    assert size_of(tmp_path / "plain" / "odd" / "000000.png") == (8, 8)
    four = OPTIONS.model_copy(update={"super_resolve": 4})
    with pytest.raises(UsageError, match="has one of 2 times"):
        augment(data, tmp_path / "other", model=tmp_path / "run", options=four)
    assert not (tmp_path / "other").exists()


@pytest.mark.slow
def test_an_evaluation_by_a_column_holds_out_whole_sites(by_site):
    sites = lines_changed(by_site, lambda i, site: f"s{i % 12}")
    plan = plan_evaluation(sites, EvaluationOptions(group="site", folds=2, fit=OPTIONS))
    site_of = {row["path"]: row["site"] for row in csv.DictReader(sites.read_text().splitlines())}
    names = np.array([site_of[id_] for id_ in plan.setup.data.ids])
    assert plan.setup.protocol.splits
    assert plan.setup.protocol.kind == "groups"
    for split in plan.setup.protocol.splits:
        assert not set(names[split.train]) & set(names[split.test])


def test_signals_have_no_column_to_group_by(tmp_path):
    rng = np.random.default_rng(0)
    for name, n in (("calm", 12), ("beat", 6)):
        (tmp_path / "s" / name).mkdir(parents=True)
        for i in range(n):
            np.save(tmp_path / "s" / name / f"{i}.npy", rng.normal(size=(1, 64)).astype("float32"))
    with pytest.raises(UsageError, match=r"'site' names a column, and .* is signals"):
        plan_evaluation(tmp_path / "s", EvaluationOptions(group="site", fit=OPTIONS))
