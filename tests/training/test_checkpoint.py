"""A run always has a checkpoint that loads: the last two and the best are kept, and verified."""

import errno
import os

import numpy as np
import pytest

from gan_augment.errors import WriteFailedError
from gan_augment.training.checkpoint import CheckpointStore

DEAD_PID = 2**22 + 1


def fill(store, steps, best=()):
    for step in steps:
        store.save(step, {"w": np.full(4, step)}, {"step": step}, best=step in best)


def kept(store):
    return {entry.name for entry in store.folder.iterdir()}


def damage(path):
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)


@pytest.fixture
def store(tmp_path):
    return CheckpointStore(tmp_path / "checkpoints")


def test_the_last_two_and_the_best_are_kept(store):
    fill(store, [5, 10, 15, 20], best=[10])
    assert kept(store) == {"step-10.safetensors", "step-15.safetensors", "step-20.safetensors"}


def test_the_latest_is_of_the_highest_step_and_a_step_saved_again_is_replaced(store):
    assert store.latest() is None
    fill(store, [9, 10])
    latest = store.latest()
    assert (latest.step, latest.meta) == (10, {"step": 10})
    np.testing.assert_array_equal(latest.tensors["w"], np.full(4, 10))
    store.save(10, {"w": np.zeros(1)}, {"again": True})
    assert store.latest().meta == {"again": True}


def test_a_damaged_latest_falls_back_to_the_one_before_and_is_reported(store):
    fill(store, [1, 2])
    damage(store.folder / "step-2.safetensors")
    assert store.latest().step == 1
    assert "checksum" in store.damaged["step-2.safetensors"]


def test_a_damaged_checkpoint_never_counts_as_one_of_those_kept(store):
    fill(store, [5, 10, 20])
    damage(store.folder / "step-20.safetensors")
    resumed = CheckpointStore(store.folder)
    assert resumed.latest().step == 10
    fill(resumed, [15])
    assert kept(store) == {"step-10.safetensors", "step-15.safetensors"}


def test_a_half_written_checkpoint_of_a_dead_process_is_ignored_and_removed(store):
    fill(store, [1])
    (store.folder / f"step-2.safetensors.tmp-{DEAD_PID}").write_bytes(b"half")
    assert store.latest().step == 1
    fill(store, [2])
    assert kept(store) == {"step-1.safetensors", "step-2.safetensors"}


def test_a_full_disk_leaves_every_older_checkpoint(store, monkeypatch):
    fill(store, [1, 2], best=[1])

    def full(*_):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "write", full)
    with pytest.raises(WriteFailedError, match="No space left"):
        fill(store, [3])
    assert kept(store) == {"step-1.safetensors", "step-2.safetensors"}
