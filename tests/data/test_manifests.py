"""A CSV of `path,label[,group]` in: only files below its folder, a helpful word for others."""

from __future__ import annotations

from pathlib import Path

import pytest
from PIL import Image

from gan_augment.data.images.reader import read_images
from gan_augment.errors import DataError, UsageError


def _csv(folder: Path, text: str | bytes) -> Path:
    path = folder / "list.csv"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def test_images_labels_and_groups_come_from_the_list(folder):
    root = folder(a=3, b=3)
    text = "path,label,group\na/000.png,cat,p1\na/001.png,cat,p1\nb/000.png,dog,\nb/001.png,dog,\n"
    data = read_images(_csv(root, text)).data
    assert data.counts == {"cat": 2, "dog": 2}
    assert data.ids.tolist() == ["a/000.png", "a/001.png", "b/000.png", "b/001.png"]
    assert data.groups is not None
    assert data.groups.tolist() == [0, 0, -1, -1]


def test_column_order_blanks_a_byte_order_mark_and_quotes_do_not_matter(folder):
    root = folder(a=2, b=2)
    (root / "a" / "000.png").rename(root / "a" / "x, y.png")
    text = b'\xef\xbb\xbflabel, path\r\n"big, cat", "a/x, y.png"\r\ndog, ./b//000.png\r\n'
    data = read_images(_csv(root, text)).data
    assert data.counts == {"big, cat": 1, "dog": 1}
    assert data.ids.tolist() == ["a/x, y.png", "b/000.png"]


def test_paths_that_leave_the_folder_or_name_nothing_are_rejected(tmp_path, folder):
    root = folder(a=4, b=4)
    Image.new("L", (9, 9)).save(tmp_path / "out.png")
    lines = [f"{c}/{i:03d}.png,{c}" for c in "ab" for i in range(4)]
    lines += ["../out.png,a", f"{tmp_path}/out.png,b", "a/none.png,c", "/etc/passwd,d", "a,e"]
    read = read_images(_csv(root, "path,label\n" + "\n".join(lines) + "\n"), skip_bad=True)
    assert read.data.counts == {"a": 4, "b": 4}
    assert read.scan.rejected == {
        "../out.png": "it leads out of the folder",
        f"{tmp_path}/out.png": "it leads out of the folder",
        "a/none.png": "there is no such file",
        "/etc/passwd": "it leads out of the folder",
        "a": "it is not a regular file",
    }


def test_an_absolute_path_below_the_folder_is_the_same_as_a_relative_one(folder):
    root = folder(a=2, b=2)
    text = f"path,label\n{root}/a/000.png,a\nb/000.png,b\n"
    assert read_images(_csv(root, text)).data.ids.tolist() == ["a/000.png", "b/000.png"]


@pytest.mark.parametrize(
    "header", ["age,income,class", "file,label", "path,label,weight", "path", ""]
)
def test_another_table_is_a_usage_error_that_says_both_ways(tmp_path, header):
    with pytest.raises(UsageError, match=r"--target(.|\n)*") as refusal:
        read_images(_csv(tmp_path, header + "\n1,2,3\n"))
    assert "path,label" in str(refusal.value)


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ("a.png\n", "line 2: expected one value"),
        ("a.png,x,y\n", "line 2: expected one value"),
        (",x\n", "line 2"),
        ("a.png,\n", "empty"),
        ('a.png,"x\ny"\n', "control characters"),
        ('a.png,"x\n', "no readable CSV"),
        ("a.png,x\na.png,y\n", "labelled 'y' here, 'x' before"),
        ("a\0.png,x\n", "CSV|UTF-8|readable"),
    ],
)
def test_a_broken_line_is_named(tmp_path, body, words):
    Image.new("L", (9, 9)).save(tmp_path / "a.png")
    with pytest.raises(DataError, match=words):
        read_images(_csv(tmp_path, "path,label\n" + body))


def test_a_list_that_is_not_utf8_is_refused(tmp_path):
    with pytest.raises(DataError, match="UTF-8"):
        read_images(_csv(tmp_path, b"path,label\n\xff.png,a\n"))


def test_a_line_that_is_there_twice_is_taken_once_and_noted(folder):
    root = folder(a=2, b=2)
    read = read_images(_csv(root, "path,label\na/000.png,a\na/000.png,a\nb/000.png,b\n"))
    assert len(read.data) == 2
    assert read.notes[0] == "lines that repeat another, taken once: 1"


def test_a_list_without_lines_is_refused(tmp_path):
    with pytest.raises(DataError, match="no readable image"):
        read_images(_csv(tmp_path, "path,label\n"))
