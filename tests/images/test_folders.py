"""Folders of classes and CSV manifests in, mapped where they are large."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from gan_augment.data.images import decode
from gan_augment.data.images.reader import read_images
from gan_augment.data.images.sources import list_folder, parts_of
from gan_augment.errors import DataError, UnreadableFilesError, UsageError
from gan_augment.input_files import memory_limit_bytes
from gan_augment.kinds.image import IMAGE


def test_a_folder_a_class_gives_labels_and_relative_ids(tmp_path, folder):
    root = folder(dog=2, cat=3)
    (root / "cat" / "deep" / "er").mkdir(parents=True)
    (root / "cat" / "000.png").rename(root / "cat" / "deep" / "er" / "x.png")
    data = read_images(root).data
    assert data.counts == {"cat": 3, "dog": 2}
    assert data.ids[0] == "cat/001.png"
    assert "cat/deep/er/x.png" in data.ids
    assert data.image_shape == (12, 8, 3)
    assert read_images(folder(tmp_path / "numbers", **{"10": 2, "9": 2})).data.names == ("9", "10")


def test_the_same_folder_gives_the_same_bytes_whatever_the_cores_and_is_left_alone(
    folder, monkeypatch
):
    root = folder(cat=9, dog=9)
    before = {path: path.stat().st_mtime_ns for path in sorted(root.rglob("*"))}
    reads = []
    for cores in (1, 3):
        monkeypatch.setattr(decode, "available_cores", lambda n=cores: n)
        reads.append(read_images(root))
    assert before == {path: path.stat().st_mtime_ns for path in sorted(root.rglob("*"))}
    assert reads[0].scan == reads[1].scan
    assert IMAGE.sha256(reads[0].data) == IMAGE.sha256(reads[1].data)


def test_channels_are_the_most_that_any_image_needs(folder):
    root = folder(cat=2, dog=2)
    for name in ("cat/000.png", "cat/001.png", "dog/000.png", "dog/001.png"):
        Image.new("RGB", (9, 9), (7, 7, 7)).save(root / name)
    assert read_images(root).data.image_shape[2] == 1
    Image.new("RGB", (9, 9), (7, 8, 9)).save(root / "cat/000.png")
    assert read_images(root).data.image_shape[2] == 3
    Image.new("LA", (9, 9), (7, 100)).save(root / "dog/000.png")
    pixels = read_images(root).data.pixels
    assert pixels[:, 0, 0].tolist()[:3] == [[7, 8, 9, 255], [7, 7, 7, 255], [7, 7, 7, 100]]


def test_same_pixels_are_grouped_and_conflicting_labels_reported(folder):
    root = folder(cat=3, dog=3)
    (root / "cat" / "copy.png").write_bytes((root / "cat" / "001.png").read_bytes())
    Image.open(root / "dog" / "002.png").save(root / "cat" / "also.bmp")
    read = read_images(root)
    assert read.scan.same_pixels(conflicting=False) == [["cat/001.png", "cat/copy.png"]]
    assert read.scan.same_pixels(conflicting=True) == [["cat/also.bmp", "dog/002.png"]]
    groups = dict(zip(read.data.ids.tolist(), read.data.groups.tolist(), strict=True))
    assert groups["cat/001.png"] == groups["cat/copy.png"] != groups["cat/also.bmp"]
    assert groups["cat/also.bmp"] == groups["dog/002.png"]
    assert groups["cat/000.png"] == -1
    assert any("one of the labels is wrong" in note for note in read.notes)


@pytest.mark.parametrize(
    ("readable", "bad", "stops"),
    [(2, 1, False), (38, 2, False), (1, 1, True), (3, 2, True), (37, 2, True), (0, 1, True)],
)
def test_few_bad_files_are_left_out_and_noted_and_more_stop_the_run(folder, readable, bad, stops):
    root = folder(cat=readable + bad, dog=2)
    for i in range(bad):
        (root / "cat" / f"{i:03d}.png").write_bytes(b"")
    if stops:
        with pytest.raises(UnreadableFilesError, match=r"cat/000.png.*skip_bad=True"):
            read_images(root)
    read = read_images(root, skip_bad=stops)
    assert read.data.counts == ({"cat": readable} if readable else {}) | {"dog": 2}
    assert read.scan.rejected["cat/000.png"] == ("cat", "the file is empty")
    assert "'cat/000.png': the file is empty" in read.notes[0]


def test_what_is_no_class_or_no_image_is_noted(folder):
    root = folder(cat=1, empty=0)
    (root / "cat" / "notes.txt").write_text("x")
    (root / "cat" / "moving.gif").write_text("x")
    (root / "loose.png").write_text("x")
    read = read_images(root)
    assert read.data.counts == {"cat": 1}
    notes = " ".join(read.notes)
    assert "without a class folder (1)" in notes
    assert ".txt (1)" in notes
    assert ".gif (1)" in notes


def test_images_that_are_all_dark_are_noted(tmp_path):
    (tmp_path / "cat").mkdir()
    Image.fromarray(np.full((9, 9), 4095, np.uint16)).save(tmp_path / "cat" / "deep.png")
    assert "the brightest pixel is 16 of 255" in read_images(tmp_path).notes[0]


@pytest.mark.parametrize(
    ("name", "error", "words"),
    [
        (".", DataError, r"CLASS/NAME\.png"),
        ("nothing", DataError, "there is no"),
        ("data.parquet", UsageError, "neither a folder"),
    ],
)
def test_other_sources_are_refused_with_what_is_expected(tmp_path, name, error, words):
    Image.new("L", (9, 9)).save(tmp_path / "a.png")
    (tmp_path / "data.parquet").write_text("x")
    with pytest.raises(error, match=words):
        read_images(tmp_path / name)


def test_more_pixels_than_memory_are_refused_before_any_is_decoded(folder, monkeypatch):
    monkeypatch.setattr("gan_augment.input_files.memory_limit_bytes", lambda: 1000)
    with pytest.raises(DataError, match=r"5 images of 8 x 12 px need .* smaller image_size="):
        read_images(folder(dog=2, cat=3))
    assert 2**28 < memory_limit_bytes() < 2**50  # of this process


def manifest(folder: Path, text: str) -> Path:
    path = folder / "list.csv"
    path.write_bytes(text.encode(errors="surrogateescape"))
    return path


def test_images_labels_and_groups_come_from_the_list(folder):
    root = folder(a=3, b=3)
    text = "path,label,group\na/000.png,cat,p1\na/001.png,cat,p1\nb/000.png,dog,\nb/001.png,dog,\n"
    data = read_images(manifest(root, text)).data
    assert data.counts == {"cat": 2, "dog": 2}
    assert data.ids.tolist() == ["a/000.png", "a/001.png", "b/000.png", "b/001.png"]
    assert data.groups is not None
    assert data.groups.tolist() == [0, 0, -1, -1]


def test_column_order_blanks_quotes_a_byte_order_mark_and_repeats_do_not_matter(folder):
    root = folder(a=2, b=2)
    (root / "a" / "000.png").rename(root / "a" / "x, y.png")
    text = '\ufefflabel, path\r\n"big, cat", "a/x, y.png"\r\ndog, ./b//000.png\r\n'
    text += f"dog, {root}/b/001.png\r\ndog, b/001.png\r\n"  # one file
    read = read_images(manifest(root, text))
    assert read.data.counts == {"big, cat": 1, "dog": 2}
    assert read.data.ids.tolist() == ["a/x, y.png", "b/000.png", "b/001.png"]
    assert read.notes[0] == "repeated lines, read once: 1"


def test_paths_that_leave_the_folder_or_name_nothing_are_rejected(tmp_path, folder):
    root = folder(a=4, b=4)
    Image.new("L", (9, 9)).save(tmp_path / "out.png")
    lines = [f"{c}/{i:03d}.png,{c}" for c in "ab" for i in range(4)]
    lines += ["../out.png,a", f"{tmp_path}/out.png,b", "a/none.png,c", "/etc/passwd,d", "a,e"]
    read = read_images(manifest(root, "path,label\n" + "\n".join(lines) + "\n"), skip_bad=True)
    assert read.data.counts == {"a": 4, "b": 4}
    assert {path: why for path, (_, why) in read.scan.rejected.items()} == {
        "../out.png": "it leads out of the folder",
        f"{tmp_path}/out.png": "it leads out of the folder",
        "a/none.png": "there is no such file",
        "/etc/passwd": "it leads out of the folder",
        "a": "it is not a regular file",
    }


@pytest.mark.parametrize(
    "header", ["age,income,class", "file,label", "path,label,weight", "path", ""]
)
def test_another_table_is_a_usage_error_that_says_both_ways(tmp_path, header):
    with pytest.raises(UsageError, match=r"target=(.|\n)*") as refusal:
        read_images(manifest(tmp_path, header + "\n1,2,3\n"))
    assert "path,label" in str(refusal.value)


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ("a.png\n", "line 2: expected one value"),
        ("a.png,x,y\n", "line 2: expected one value"),
        ("a.png,x\n\na.png,x,y\n", "line 4: expected one value"),
        (",x\n", "line 2"),
        ("a.png,\n", "empty"),
        ('a.png,"x\ny"\n', "control characters"),
        ('a.png,"x\n', "not a readable CSV"),
        ("a.png,x\na.png,y\n", "labelled 'y' here, 'x' before"),
        ("a\0.png,x\n", "CSV|UTF-8|readable"),
        ("\udcff.png,a\n", "UTF-8"),
        ("", "no readable file"),
    ],
)
def test_a_broken_line_is_named(tmp_path, body, words):
    Image.new("L", (9, 9)).save(tmp_path / "a.png")
    with pytest.raises(DataError, match=words):
        read_images(manifest(tmp_path, "path,label\n" + body))


def test_a_data_set_that_is_divided_already_gives_its_training_part(folder, tmp_path):
    for part, classes in {"train": ("cat", "dog"), "Val": ("cat",), "test": ("cat", "dog")}.items():
        folder(tmp_path / part, **dict.fromkeys(classes, 1))
    found = list_folder(tmp_path)
    assert [path for path, _, _ in found.files] == ["cat/000.png", "dog/000.png"]
    assert found.root == (tmp_path / "train").resolve()
    assert found.notes == [f"{tmp_path.name} is divided into train and test, val; train is read"]
    assert set(parts_of(tmp_path)) == {"train", "val", "test"}
