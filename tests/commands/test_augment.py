"""A topped-up folder: exact counts, the user's files untouched, and every file accounted for."""

import shutil
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from gan_augment.commands import augment as augmenting
from gan_augment.commands.augment import augment, file_names, plan_augment, repeat_name
from gan_augment.data.images.png_folder import folded, read_manifest
from gan_augment.data.images.reader import read_images
from gan_augment.errors import (
    DataError,
    NoRareClassError,
    OutputExistsError,
    TooFewAcceptedError,
    UnknownClassError,
    UsageError,
)
from gan_augment.generators.image_gan import ImageGAN
from gan_augment.generators.model_file import TRIED_IMAGES
from gan_augment.generators.time_budget import USEFUL_ROWS
from gan_augment.options import FitOptions, TopUp
from gan_augment.progress import Progress
from gan_augment.storage.bundle import load_bundle, save_bundle
from gan_augment.training.callbacks import StopRequested
from tests.commands.conftest import Notes, contents, files

HALF = TopUp(synthetic_share=0.5, companions=False)


def test_the_output_holds_the_originals_byte_for_byte_and_exactly_what_was_asked(
    run, data_folder, tmp_path
):
    before = files(data_folder)
    result = augment(data_folder, tmp_path / "out", model=run, top_up=HALF)
    assert result.counts["bad_part"] == {"real": 5, "repeat": 12, "synthetic": 13, "companion": 0}
    written = files(tmp_path / "out")
    assert before.items() <= written.items()
    assert files(data_folder) == before
    for i in range(13):
        assert f"bad_part/synthetic-{i:06d}.png" in written
    repeats = [name for name in written if name.startswith("bad_part/repeat-")]
    assert len(repeats) == 12
    for name in repeats:
        original = name.split("/")[1].removeprefix("repeat-")[7:]
        assert written[name] == before[f"bad_part/{original}"]


def test_a_data_set_that_is_divided_already_is_topped_up_in_its_training_part(
    run, data_folder, tmp_path
):
    for part in ("train", "test"):
        shutil.copytree(data_folder, tmp_path / "parts" / part)
    augment(tmp_path / "parts", tmp_path / "out", model=run, top_up=HALF)
    augment(data_folder, tmp_path / "whole", model=run, top_up=HALF)
    written, whole = files(tmp_path / "out"), files(tmp_path / "whole")
    assert written.keys() == whole.keys()
    assert files(data_folder).items() <= written.items()


def test_the_manifest_lists_every_file_with_its_label_and_origin(run, data_folder, tmp_path):
    augment(data_folder, tmp_path / "out", model=run)
    rows = read_manifest(tmp_path / "out" / "manifest.csv")
    assert {row.path for row in rows} == set(files(tmp_path / "out")) - {"manifest.csv"}
    kinds = {(row.label, row.origin) for row in rows}
    assert kinds == {
        ("bad_part", "real"), ("bad_part", "repeat"), ("bad_part", "synthetic"),
        ("good", "real"), ("odd", "real"), ("odd", "companion"),
    }  # fmt: skip
    assert next(r.source for r in rows if r.origin == "repeat").startswith("bad_part/image ")


def test_any_reader_of_class_folders_can_read_the_result(run, data_folder, tmp_path):
    result = augment(data_folder, tmp_path / "out", model=run, top_up=HALF)
    read = read_images(tmp_path / "out")
    totals = {name: sum(counts.values()) for name, counts in result.counts.items()}
    assert read.data.counts == totals == {"bad_part": 30, "good": 30, "odd": 12}


def test_a_class_the_model_refuses_is_filled_with_repeats_and_recorded(
    run, data_folder, tmp_path, monkeypatch
):
    def refuse(self, name, start, stop, random_state=0):
        raise TooFewAcceptedError(f"{name}: 0 of 100 accepted")

    monkeypatch.setattr(ImageGAN, "rows", refuse)
    result = augment(data_folder, tmp_path / "out", model=run, top_up=HALF)
    assert result.counts["bad_part"] == {"real": 5, "repeat": 25, "synthetic": 0, "companion": 0}
    assert "0 of 100" in result.refused["bad_part"]
    assert any("filled with repeats" in warning for warning in result.warnings)
    assert len(files(tmp_path / "out")) == 30 + 30 + 12 + 1


def test_a_class_of_one_image_is_filled_with_repeats(run, make_classes, tmp_path):
    data = make_classes(tmp_path / "data", {"good": 9, "bad_part": 1})
    result = augment(data, tmp_path / "out", model=run, top_up=HALF)
    assert result.counts["bad_part"] == {"real": 1, "repeat": 8, "synthetic": 0, "companion": 0}
    assert "a generator needs 2" in result.refused["bad_part"]


def test_larger_originals_bring_one_warning_with_the_cure(run, make_classes, tmp_path):
    data = make_classes(tmp_path / "data", {"good": 9, "bad_part": 2}, side=24)
    result = augment(data, tmp_path / "out", model=run)
    (warning,) = [one for one in result.warnings if "hardly trained" not in one]
    assert "24 x 24 px" in warning
    assert "--match" in warning


def test_resized_originals_are_png_files_of_the_model_s_size(run, make_classes, tmp_path):
    data = make_classes(tmp_path / "data", {"good": 9, "bad_part": 2}, side=24)
    jpeg = data / "good" / "photo.jpg"
    Image.new("L", (24, 24), 99).save(jpeg)
    result = augment(data, tmp_path / "out", model=run, match=True)
    assert result.warnings == ()
    for path in (tmp_path / "out").rglob("*.png"):
        with Image.open(path) as image:
            assert image.size == (8, 8)
    with Image.open(tmp_path / "out" / "good" / "photo.jpg.png") as image:
        assert image.text == {"Software": "gan-augment"}


def test_arrays_come_out_as_png_files_of_their_own_size(run, tmp_path):
    pixels = np.random.default_rng(0).integers(0, 256, (11, 16, 12, 1), dtype=np.uint8)
    labels = np.array(["good"] * 9 + ["bad_part"] * 2)
    np.savez(tmp_path / "data.npz", x=pixels, y=labels)
    augment(tmp_path / "data.npz", tmp_path / "out", model=run, top_up=HALF)
    with Image.open(tmp_path / "out" / "good" / "row-000003.png") as image:
        np.testing.assert_array_equal(np.asarray(image), pixels[3, ..., 0])


def test_a_manifest_of_files_in_other_folders_works(run, make_classes, tmp_path):
    make_classes(tmp_path / "data", {"x": 4, "y": 2})
    lines = [f"x/image {i}.png,good" for i in range(4)]
    lines += [f"y/image {i}.png,bad_part" for i in range(2)]
    (tmp_path / "data" / "list.csv").write_text("\n".join(["path,label", *lines]))
    (tmp_path / "link.csv").symlink_to(tmp_path / "data" / "list.csv")
    augment(tmp_path / "link.csv", tmp_path / "out", model=run)
    written = files(tmp_path / "out")
    source = (tmp_path / "data" / "y" / "image 1.png").read_bytes()
    assert written["bad_part/image 1.png"] == source


def test_hostile_class_names_stay_inside_the_output(run, make_classes, tmp_path):
    rows = {"x": ("../../up", 2), "y": ("CON", 9), "z": ("a/b", 9)}
    make_classes(tmp_path / "data", {name: n for name, (_, n) in rows.items()})
    lines = [f"{x}/image {i}.png,{label}" for x, (label, n) in rows.items() for i in range(n)]
    (tmp_path / "data" / "list.csv").write_text("\n".join(["path,label", *lines]))
    arrays, meta = load_bundle(run / "model.safetensors", schema=dict)
    meta |= {"classes": {"../../up": 5, "CON": 30, "a/b": 12}, "topped_up": ["../../up"]}
    save_bundle(tmp_path / "run" / "model.safetensors", arrays, meta)
    augment(tmp_path / "data" / "list.csv", tmp_path / "out", model=tmp_path / "run", top_up=HALF)
    folders = {entry.name for entry in (tmp_path / "out").iterdir() if entry.is_dir()}
    assert folders == {"%2E.%2F..%2Fup", "CON", "a%2Fb"}
    labels = {row.label for row in read_manifest(tmp_path / "out" / "manifest.csv")}
    assert labels == {"../../up", "CON", "a/b"}
    assert {entry.name for entry in tmp_path.iterdir()} == {"data", "run", "out"}


@pytest.mark.parametrize("out", ["data", "data/out", "."])
def test_output_in_the_data_or_data_in_the_output_is_refused(run, make_classes, tmp_path, out):
    make_classes(tmp_path / "data", {"good": 4, "bad_part": 2})
    with pytest.raises(UsageError, match="overlap"):
        augment(tmp_path / "data", tmp_path / out, model=run)
    assert "out" not in {entry.name for entry in (tmp_path / "data").iterdir()}


def test_a_link_to_the_data_is_the_data(run, make_classes, tmp_path):
    make_classes(tmp_path / "data", {"good": 4, "bad_part": 2})
    (tmp_path / "link").symlink_to(tmp_path / "data")
    with pytest.raises(UsageError, match="overlap"):
        augment(tmp_path / "data", tmp_path / "link" / "out", model=run)


def test_data_that_the_model_does_not_know_is_refused_before_anything_is_written(
    run, make_classes, tmp_path
):
    data = make_classes(tmp_path / "data", {"good": 9, "bad_part": 2, "new": 4})
    with pytest.raises(DataError, match="not new"):
        augment(data, tmp_path / "out", model=run)
    assert not (tmp_path / "out").exists()


def test_no_rare_class_is_an_error_before_anything_is_written(make_classes, tmp_path):
    data = make_classes(tmp_path / "data", {"a": 4, "b": 4})
    with pytest.raises(NoRareClassError):
        augment(data, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_overwriting_that_cannot_begin_leaves_the_earlier_output(run, data_folder, tmp_path):
    out = tmp_path / "out"
    augment(data_folder, out, model=run)
    before = files(out)
    nobody = FitOptions(classes="nobody")
    with pytest.raises(UnknownClassError):
        augment(data_folder, out, model=run, options=nobody, overwrite=True)
    assert files(out) == before


def interrupted(*args, **kwargs):
    """Stand in for a step that a user interrupts."""
    raise KeyboardInterrupt


def test_a_stopped_call_leaves_nothing(run, data_folder, tmp_path, monkeypatch):
    monkeypatch.setattr(augmenting, "write_file", interrupted)
    with pytest.raises(StopRequested):
        augment(data_folder, tmp_path / "cut", model=run)
    assert list(tmp_path.iterdir()) == []


def test_overwriting_refuses_a_folder_with_files_of_others(run, data_folder, tmp_path):
    out = tmp_path / "out"
    augment(data_folder, out, model=run)
    (out / "notes.txt").write_text("mine")
    with pytest.raises(OutputExistsError, match=r"notes\.txt"):
        augment(data_folder, out, model=run, top_up=HALF, overwrite=True)
    (out / "notes.txt").unlink()
    result = augment(data_folder, out, model=run, top_up=HALF, overwrite=True)
    assert len(contents(out)) == sum(sum(of.values()) for of in result.counts.values()) + 1


def test_where_nothing_is_to_be_generated_nothing_is_trained(data_folder, tmp_path, monkeypatch):
    monkeypatch.setattr(ImageGAN, "fit", None)
    monkeypatch.chdir(tmp_path)
    result = augment(data_folder, "out", top_up=TopUp(synthetic_share=0, companions=False))
    assert result.run is None
    assert not (tmp_path / "runs").exists()
    assert result.counts["bad_part"] == {"real": 5, "repeat": 25, "synthetic": 0, "companion": 0}


def test_a_size_below_every_class_adds_nothing_and_says_so(data_folder, tmp_path):
    result = augment(data_folder, tmp_path / "out", top_up=TopUp(to=3), options=FitOptions(steps=2))
    assert result.run is None
    assert any("nothing is added" in text and "--to 3" in text for text in result.warnings)


@pytest.mark.slow
def test_a_repeated_call_draws_from_the_run_of_the_same_data_and_options(
    data_folder, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    options = FitOptions(steps=2, threads=1, precision="float32", selection=False)
    with monkeypatch.context() as patch:
        patch.setattr(augmenting, "draw_images", interrupted)
        with pytest.raises(StopRequested, match="goes on"):
            augment(data_folder, "out", options=options)
    model = (tmp_path / "runs" / "parts" / "model.safetensors").read_bytes()
    with monkeypatch.context() as patch:
        patch.setattr(ImageGAN, "fit", None)
        result = augment(data_folder, "out", options=options)
    assert result.run.as_posix() == "runs/parts"
    assert (tmp_path / "runs" / "parts" / "model.safetensors").read_bytes() == model
    other = options.model_copy(update={"seed": 1})
    assert augment(data_folder, "other", options=other).run.as_posix() == "runs/parts-2"
    changed = shutil.copytree(data_folder, tmp_path / "given" / "parts")
    (changed / "good" / "image 0.png").unlink()
    assert augment(changed, "third", options=other).run.as_posix() == "runs/parts-3"


@pytest.mark.parametrize(
    ("options", "share"),
    [({"steps": 3}, "auto"), ({"steps": 3, "selection": False}, "auto"), ({"steps": 3}, 0.0)],
)
def test_a_plan_counts_what_is_written(data_folder, tmp_path, monkeypatch, options, share):
    monkeypatch.chdir(tmp_path)
    asked = FitOptions(device="cpu", threads=1, **options)
    top_up = TopUp(synthetic_share=share)
    plan = plan_augment(data_folder, "out", options=asked, top_up=top_up)
    assert list(tmp_path.iterdir()) == []
    done = augment(data_folder, "out", options=asked, top_up=top_up)
    assert plan.to_dict()["counts"] == done.counts
    assert (plan.fit is None) == (done.run is None)


def test_a_fit_too_short_for_a_trial_is_not_begun_and_its_minimum_is_one_number(
    data_folder, tmp_path
):
    short, enough = (FitOptions(steps=steps, classes=("odd",)) for steps in (1919, 1920))
    plan = plan_augment(data_folder, tmp_path / "out", options=short)
    assert (plan.fit, plan.ends.generated) == (None, {})
    assert "1,920 steps" in plan.note
    plan = plan_augment(data_folder, tmp_path / "out", options=enough)
    assert plan.fit is not None
    assert "the trial at the end" in plan.note
    assert 1920 * plan.fit.recipe.batch == TRIED_IMAGES
    root = Path(__file__).parents[2]
    for document in ("docs/faq.md", "docs/remedies.md"):
        assert "1,920 steps" in (root / document).read_text(encoding="utf-8")
    faq = (root / "docs" / "faq.md").read_text(encoding="utf-8")
    assert f"{TRIED_IMAGES:,} images" in faq
    assert f"{USEFUL_ROWS:,} rows: {USEFUL_ROWS // plan.fit.recipe.batch} steps of 16" in faq


def test_the_warning_about_a_short_budget_names_the_steps_of_the_plan(
    data_folder, tmp_path, monkeypatch
):
    class Heard(Progress):
        def warn(self, text):
            raise InterruptedError(text)  # nothing is trained

    monkeypatch.setattr("gan_augment.generators.gan.step_seconds", lambda *_: 0.01)
    options = FitOptions(budget=9.0, classes=("odd",), device="cpu", threads=1)
    with pytest.raises(InterruptedError, match=r"fewer than 1,920 are hardly useful"):
        augment(
            data_folder, tmp_path / "out", options=options, run=tmp_path / "run", progress=Heard()
        )
    assert not (tmp_path / "out").exists()


def test_augmenting_photos_names_the_command_for_pretrained_features_first(make_classes, tmp_path):
    quick = FitOptions(steps=2, device="cpu", threads=1, classes=("b",))
    for side, sent in ((100, True), (96, False)):
        photos, heard = make_classes(tmp_path / f"{side} px", {"a": 3, "b": 2}, side), Notes()
        augment(photos, tmp_path / f"out {side}", options=quick, progress=heard)
        command = f"gan-augment evaluate '{photos}' --backbone lite0.pth"
        assert any(command in note for note in heard.notes[:1]) == sent


def test_a_class_too_small_for_a_selection_is_planned_as_repeats_and_not_fitted_for(
    data_folder, tmp_path
):
    how = {"out": tmp_path / "out", "top_up": TopUp(synthetic_share=1)}
    plan = plan_augment(data_folder, **how)
    assert (plan.fit, plan.ends.generated) == (None, {})
    assert "selection needs 8" in plan.note
    assert plan_augment(data_folder, **how, options=FitOptions(selection=False)).fit


parts = st.text(st.characters(exclude_characters="/\0", exclude_categories=["Cs"]), min_size=1)
paths = st.lists(st.tuples(st.sampled_from("ab"), parts, parts).map("/".join), unique=True)


@given(paths)
def test_file_names_are_distinct_in_a_class_and_hold_no_separator(ids):
    labels = [0 if id_.startswith("a") else 1 for id_ in ids]
    names = file_names(ids, labels)
    distinct = {(label, folded(name)) for label, name in zip(labels, names, strict=True)}
    assert len(distinct) == len(ids)
    assert not any("/" in name for name in names)


@pytest.mark.parametrize("name", ["synthetic-000000.png", "repeat-000003-a.png"])
def test_an_original_called_as_our_files_are_gets_another_name(name):
    assert file_names([name, f"cat/{name}"], [0, 0]) != [name, name]
    assert not any(n.startswith(("synthetic-0", "repeat-0")) for n in file_names([name], [0]))


def test_the_name_of_a_repeat_stays_a_file_name_and_keeps_its_suffix():
    name = repeat_name(7, "é" * 125 + ".png")
    assert len(name.encode()) <= 240
    assert len(file_names(["a/" + 252 * "x" + ".png"], [0])[0]) == 240
    assert name.startswith("repeat-000007-")
    assert name.endswith(".png")
    assert name != repeat_name(7, "é" * 126 + ".png")
