"""Signals in: arrays, an .npz, folders of .npy and .wav; and what is refused, in one clear line."""

import numpy as np
import pytest

from gan_augment import read_signals
from gan_augment.augment.classical import change_signals
from gan_augment.data.images.contact_sheet import SIGNAL_PX, WAVE_PX, as_pictures
from gan_augment.data.signals import from_signals, holds_signals
from gan_augment.errors import DataError, GanAugmentError, UnreadableFilesError, UsageError


def tones(n=6, channels=2, length=64, seed=0):
    """(n, channels, length), all different."""
    rng = np.random.default_rng(seed)
    time = np.arange(length) / length
    phase = rng.uniform(0, 6, (n, channels, 1))
    return (3 * np.sin(12 * time + phase) + 10).astype(np.float32)


def folder_of(tmp_path, **classes):
    """A folder a class of .npy files, {class: arrays}."""
    for name, arrays in classes.items():
        (tmp_path / name).mkdir()
        for row, array in enumerate(arrays):
            np.save(tmp_path / name / f"{row}.npy", array)
    return tmp_path


def test_equal_windows_share_a_group():
    values = tones()
    values[3] = values[0]
    data = from_signals(values, [0, 0, 0, 0, 1, 1])
    assert data.groups is not None
    assert data.groups[0] == data.groups[3] >= 0


@pytest.mark.parametrize(
    ("x", "told"),
    [
        (np.zeros((4, 2, 8)), "16 samples or more"),
        (np.zeros((4, 64, 2)), r"transpose: x.swapaxes\(-1, -2\)"),
        (np.zeros((4, 2, 3, 64)), r"expected \(N, channels, length\)"),
        (np.full((4, 1, 64), np.nan), "NaN or infinite"),
        ([np.zeros(64), np.zeros(65)], "one length"),
        (np.full((4, 64), "a"), "expected numbers"),
    ],
)
def test_arrays_that_are_no_signals_are_refused_with_the_cure(x, told):
    with pytest.raises(DataError, match=told):
        from_signals(x, [0, 0, 1, 1])


def test_an_npz_of_few_channels_or_named_signals_is_told_from_images(tmp_path):
    y = [0] * 5 + [1]
    for name, arrays in {
        "few": {"x": tones(channels=2)},
        "named": {"signals": tones(channels=12)},
        "images": {"x": np.zeros((6, 16, 16))},
    }.items():
        np.savez(tmp_path / f"{name}.npz", y=y, **arrays)
    found = {path.stem: holds_signals(path) for path in tmp_path.glob("*.npz")}
    assert found == {"few": True, "named": True, "images": False}
    assert read_signals(tmp_path / "named.npz").data.image_shape == (1, 64, 12)


def test_windows_of_an_npz_share_the_group_of_their_recording(tmp_path):
    np.savez(tmp_path / "a.npz", x=tones(), y=list("aaaabb"))
    read = read_signals(tmp_path / "a.npz", window=20)
    assert read.data.counts == {"a": 12, "b": 6}
    assert read.data.groups.tolist() == np.repeat(np.arange(6), 3).tolist()
    np.testing.assert_array_equal(read.values[1], tones()[0, :, 20:40])


def test_ids_of_an_npz_may_be_numbers(tmp_path):
    np.savez(tmp_path / "a.npz", x=tones(), y=list("aaaabb"), ids=np.arange(6))
    assert read_signals(tmp_path / "a.npz", window=32).data.ids[-1] == "5-000001"


def test_an_npz_keeps_groups_ids_and_names_of_its_signals(tmp_path):
    x = tones()
    x[5] = 1
    more = {"ids": list("uvwxyz"), "groups": [7, 7, 8, 8, 9, 9], "class_names": ["cat", "dog"]}
    np.savez(tmp_path / "a.npz", x=x, y=[0, 0, 0, 0, 1, 1], **more)
    read = read_signals(tmp_path / "a.npz", window=32)
    assert read.data.counts == {"cat": 8, "dog": 2}
    assert read.data.groups.tolist() == [0] * 4 + [1] * 4 + [2] * 2
    assert read.data.ids.tolist()[-2:] == ["y-000000", "y-000001"]
    assert read.notes == ("left out 2 silent windows of 12",)
    np.savez(tmp_path / "b.npz", x=x, y=[0, 1])
    with pytest.raises(DataError, match="6 signals and y of shape"):
        read_signals(tmp_path / "b.npz")


def test_files_of_several_channels_are_refused_with_one_of_each(tmp_path):
    source = folder_of(tmp_path, a=tones(), b=tones(2, seed=1)[:, 0])
    with pytest.raises(DataError, match=r"2 channels at None Hz \('a/0.npy'\), 1 channel at None"):
        read_signals(source, skip_bad=True)


def test_windows_of_a_folder_share_the_group_of_their_file(tmp_path):
    read = read_signals(folder_of(tmp_path, a=tones(), b=tones(3, seed=1)), window=32)
    assert read.data.ids.tolist()[:2] == ["a/0-000000.npy", "a/0-000001.npy"]
    assert len(set(read.data.groups.tolist())) == 9


@pytest.mark.parametrize(
    ("bad", "told"),
    [
        (np.full((2, 64), 0.5), "it is silent"),
        (np.zeros((2, 8)), "16 samples or more"),
        (np.full((2, 64), np.inf), "NaN or infinite"),
        (np.zeros((64, 2)), "transpose"),
        (np.array(["a"]), "expected numbers"),
    ],
)
def test_files_that_cannot_be_used_are_listed_with_their_reason(tmp_path, bad, told):
    source = folder_of(tmp_path, a=[*tones(3), bad, bad], b=tones(3, seed=1))
    with pytest.raises(UnreadableFilesError, match=told):
        read_signals(source)
    assert read_signals(source, skip_bad=True).data.counts == {"a": 3, "b": 3}


def test_files_with_python_objects_are_refused_and_never_unpickled(tmp_path):
    source = folder_of(tmp_path, a=tones(3), b=tones(3, seed=1))
    np.save(source / "a" / "x.npy", np.array([print], dtype=object), allow_pickle=True)
    assert "a/x.npy" in read_signals(source).scan.rejected


def test_lengths_that_differ_are_told_with_the_window_that_cures(tmp_path):
    source = folder_of(tmp_path, a=tones(3), b=[*tones(2, seed=1), tones(1, length=50)[0]])
    with pytest.raises(DataError, match=r"50 \('b/2.npy'\) to 64 .* window="):
        read_signals(source)
    assert read_signals(source, window=50).data.image_shape == (1, 50, 2)


def test_a_window_longer_than_the_recording_is_told(tmp_path):
    source = folder_of(tmp_path, a=tones(3), b=tones(3, seed=1))
    with pytest.raises(DataError, match="64 samples, fewer than a window of 100"):
        read_signals(source, window=100)
    np.save(source / "a" / "short.npy", tones(1, length=40)[0])
    told = read_signals(source, window=64).notes[0]
    assert "'a/short.npy': it has 40 samples, fewer than a window of 64" in told
    np.savez(tmp_path / "x.npz", x=tones(), y=list("aaaabb"))
    with pytest.raises(DataError, match="64 samples, fewer than a window of 100"):
        read_signals(tmp_path / "x.npz", window=100)
    with pytest.raises(UsageError, match="expected 16 samples or more"):
        read_signals(source, window=4)


def test_wav_files_keep_their_rate_and_channels(tmp_path):
    soundfile = pytest.importorskip("soundfile")
    for name, rate in {"a": 8000, "b": 8000}.items():
        (tmp_path / name).mkdir()
        for row, values in enumerate(tones(3, seed=rate + len(name))):
            soundfile.write(tmp_path / name / f"{row}{name}.wav", values.T / 20, rate)
    data = read_signals(tmp_path).data
    assert (data.meta.rate, data.image_shape) == (8000, (1, 64, 2))
    soundfile.write(tmp_path / "a" / "slow.wav", tones(1)[0].T / 20, 4000)
    with pytest.raises(DataError, match=r"2 channels at 4000 Hz \('a/slow.wav'\)"):
        read_signals(tmp_path)


def test_without_soundfile_the_extra_is_named(tmp_path, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "soundfile", None)
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "x.wav").write_bytes(b"RIFF")
    with pytest.raises(GanAugmentError, match=r"gan-augment\[signals\]"):
        read_signals(tmp_path)


def test_classical_changes_are_small_new_and_seeded():
    data = from_signals(tones(40), [0] * 20 + [1] * 20)
    before = data.pixels.copy()
    changed = change_signals(data.pixels, np.random.default_rng(0))
    again = change_signals(data.pixels, np.random.default_rng(0))
    np.testing.assert_array_equal(data.pixels, before)
    np.testing.assert_array_equal(changed, again)
    assert changed.shape == before.shape
    assert changed.dtype == np.float32
    assert 0.001 < np.abs(changed - before).mean() < 0.3


def test_a_picture_shows_each_channel_in_its_colour():
    picture = as_pictures(from_signals(tones(2), [0, 1]).pixels)
    assert picture.shape == (2, WAVE_PX, SIGNAL_PX, 3)
    colours = {tuple(pixel) for pixel in picture[0].reshape(-1, 3).tolist()}
    assert {(29, 98, 178), (178, 43, 29)} <= colours
