"""Shards of a sample, images and tables: together they are the whole."""

import shutil

import pandas as pd
import pytest

from gan_augment.commands.sample import sample
from gan_augment.data.images.png_folder import read_manifest
from gan_augment.errors import FolderInUseError, OutputExistsError, ResumeMismatchError, UsageError
from gan_augment.generators.image_gan import ImageGAN
from gan_augment.storage import hold_folder
from tests.commands.conftest import contents, files
from tests.generators.conftest import quick_scores, toy_images

MANY = {"odd": 1100, "good": 3, "bad_part": 1030}


def images(folder):
    return {name: content for name, content in files(folder).items() if name.endswith(".png")}


@pytest.mark.slow
def test_shards_of_images_are_the_whole_whatever_their_order_and_their_workers(run, tmp_path):
    sample(run, tmp_path / "whole", counts=MANY)
    drawn = [
        sample(run, tmp_path / "out", counts=MANY, shard=f"{number}/4", workers=1 + number % 2)
        for number in (3, 1, 4, 2)
    ]
    assert images(tmp_path / "out") == images(tmp_path / "whole")
    assert [sum(result.counts.values()) for result in drawn] == [3, 1030, 1024, 76]
    whole = read_manifest(tmp_path / "whole" / "manifest.csv")
    rows = [
        row
        for number in range(1, 5)
        for row in read_manifest(tmp_path / "out" / f"manifest-{number:05d}-of-00004.csv")
    ]
    assert sorted(map(str, rows)) == sorted(map(str, whole))


def test_more_shards_than_there_is_to_draw_leave_some_empty(run, tmp_path):
    results = [
        sample(run, tmp_path / "out", counts={"odd": 2}, shard=f"{number}/3")
        for number in (1, 2, 3)
    ]
    assert [result.counts["odd"] for result in results] == [2, 0, 0]
    assert len(images(tmp_path / "out")) == 2


def test_a_class_whose_rows_make_one_sample_each_is_of_one_shard(tmp_path):
    how = {"steps": 1, "device": "cpu", "threads": 1, "precision": "float32", "selection": False}
    data = toy_images({"good": 1200, "odd": 1100, "bad": 8})
    with quick_scores():
        ImageGAN(recipe="stargan", **how).fit(data).save(tmp_path / "run" / "model")
    counts = {"bad": 1100, "odd": 20}
    drawn = [
        sample(tmp_path / "run", tmp_path / "out", counts=counts, shard=f"{number}/2").counts
        for number in (1, 2)
    ]
    assert drawn == [{"bad": 1100, "odd": 0}, {"bad": 0, "odd": 20}]
    rows = read_manifest(tmp_path / "out" / "manifest-00001-of-00002.csv")
    assert len({row.source for row in rows}) == 1100


def test_parts_of_a_table_in_the_order_of_their_names_are_the_whole(table_run, tmp_path):
    counts = {"yes": 1500, "no": 700}
    sample(table_run, tmp_path / "whole.parquet", counts=counts)
    for number in (2, 3, 1):
        sample(table_run, tmp_path / "out", counts=counts, shard=f"{number}/3")
    whole = pd.read_parquet(tmp_path / "whole.parquet")
    pd.testing.assert_frame_equal(pd.read_parquet(tmp_path / "out"), whole)
    manifests = sorted((tmp_path / "out").glob("_part-*.manifest.csv"))
    listed = pd.concat([pd.read_csv(file) for file in manifests])
    expected = pd.read_csv(tmp_path / "whole.parquet.manifest.csv")
    assert (
        listed[["label", "index"]].values.tolist() == expected[["label", "index"]].values.tolist()
    )


def test_an_empty_part_of_a_table_has_the_schema_of_the_others(table_run, tmp_path):
    for number in (1, 2, 3):
        sample(table_run, tmp_path / "out", counts={"yes": 2}, shard=f"{number}/3")
    parts = [pd.read_parquet(file) for file in sorted((tmp_path / "out").glob("part-*"))]
    assert [len(part) for part in parts] == [0, 1, 1]
    assert len({tuple(part.dtypes.items()) for part in parts}) == 1


@pytest.mark.parametrize("kind", ["image", "table"])
def test_a_shard_of_another_sample_is_refused_and_nothing_is_mixed(kind, run, table_run, tmp_path):
    model, counts = (run, {"odd": 3}) if kind == "image" else (table_run, {"yes": 3})
    sample(model, tmp_path / "out", counts=counts, shard="1/2")
    before = contents(tmp_path / "out")
    for other in ({"seed": 1}, {"counts": {**counts, "good" if kind == "image" else "no": 1}}):
        with pytest.raises(ResumeMismatchError, match=r"another (seed|counts)"):
            sample(model, tmp_path / "out", **{"counts": counts, "shard": "2/2", **other})
    with pytest.raises(ResumeMismatchError, match="another shards"):
        sample(model, tmp_path / "out", counts=counts, shard="2/3")
    assert {n: c for n, c in contents(tmp_path / "out").items() if n in before} == before


@pytest.mark.parametrize("kind", ["image", "table"])
def test_a_shard_that_is_there_is_refused_resumed_or_replaced_alone(kind, run, table_run, tmp_path):
    model, counts = (run, {"odd": 3}) if kind == "image" else (table_run, {"yes": 3})
    for number in (1, 2):
        sample(model, tmp_path / "out", counts=counts, shard=f"{number}/2")
    before = contents(tmp_path / "out")
    with pytest.raises(OutputExistsError):
        sample(model, tmp_path / "out", counts=counts, shard="1/2")
    sample(model, tmp_path / "out", counts=counts, shard="1/2", overwrite=True)
    if kind == "image":
        (tmp_path / "out" / "odd" / "000001.png").unlink()
    sample(model, tmp_path / "out", counts=counts, shard="1/2", resume=True)
    assert set(contents(tmp_path / "out")) == set(before)
    assert files(tmp_path / "out") == {n: c for n, c in before.items() if "/." not in f"/{n}"}


def test_a_shard_is_held_alone_while_the_others_are_free(run, tmp_path):
    (tmp_path / "out").mkdir()
    with hold_folder(tmp_path / "out", ".lock-00001-of-00002"):
        sample(run, tmp_path / "out", counts={"odd": 2000}, shard="2/2")
        with pytest.raises(FolderInUseError):
            sample(run, tmp_path / "out", counts={"odd": 2000}, shard="1/2")


def test_a_shard_never_goes_into_a_folder_of_something_else(run, data_folder, tmp_path):
    shutil.copytree(data_folder, tmp_path / "mine")
    before = contents(tmp_path / "mine")
    for flags in ({}, {"overwrite": True}):
        with pytest.raises(OutputExistsError):
            sample(run, tmp_path / "mine", counts={"odd": 3}, shard="1/2", **flags)
    with pytest.raises(ResumeMismatchError):
        sample(run, tmp_path / "mine", counts={"odd": 3}, shard="1/2", resume=True)
    assert contents(tmp_path / "mine") == before


@pytest.mark.parametrize("shard", ["0/4", "5/4", "3", "a/b", "-1/4", "1/0", "1/2/3"])
def test_a_shard_that_there_is_not_is_a_usage_error(run, tmp_path, shard):
    with pytest.raises(UsageError, match="3/16"):
        sample(run, tmp_path / "out", counts={"odd": 3}, shard=shard)
    assert not (tmp_path / "out").exists()
