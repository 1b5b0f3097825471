"""Ranks: two of them train what one process does, and say in words where they cannot."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from gan_augment import distributed, machine
from gan_augment.data.batches import Batch
from gan_augment.distributed import World, all_ranks, own_rows
from gan_augment.errors import LostRankError, UsageError
from tests.training.test_recipes import TRAINED

HERE = Path(__file__).resolve().parent
STEPS = 5
"""The first of lazy penalties, path lengths and growing levels are in them."""


@pytest.fixture(scope="module")
def two_ranks(tmp_path_factory: pytest.TempPathFactory) -> dict[str, np.ndarray]:
    """What both ranks made, {"alone" or "joint"/data/recipe/array, or "said"/mistake}.

    Those of rank 1 are below "1/".
    """
    folder = tmp_path_factory.mktemp("ranks")
    command = [sys.executable, str(HERE / "ranks.py"), str(folder), str(STEPS)]
    ranks = [subprocess.Popen([*command, str(rank)], stderr=-1, text=True) for rank in range(2)]
    try:
        said = [rank.communicate(timeout=500)[1] for rank in ranks]
    finally:
        for rank in ranks:
            rank.kill()
    assert [rank.returncode for rank in ranks] == [0, 0], "\n".join(said)
    first, second = (dict(np.load(folder / f"{rank}.npz")) for rank in range(2))
    alone = {k: v for k, v in second.items() if k.startswith("alone/")}
    return first | alone | {f"1/{k}": v for k, v in second.items()}


def below(arrays: dict[str, np.ndarray], start: str) -> dict[str, np.ndarray]:
    return {k.removeprefix(start): v for k, v in arrays.items() if k.startswith(start)}


@pytest.mark.slow
@pytest.mark.parametrize(("data", "name"), TRAINED)
def test_two_ranks_train_what_one_process_does(two_ranks, data, name):
    alone = below(two_ranks, f"alone/{data}/{name}/")
    joint = below(two_ranks, f"joint/{data}/{name}/")
    assert alone.keys() == joint.keys()
    assert alone
    for key, array in alone.items():
        if not key.endswith("exp_avg_sq"):  # squares of gradients in the thousands
            np.testing.assert_allclose(joint[key], array, rtol=1e-10, atol=1e-10, err_msg=key)


@pytest.mark.slow
def test_all_ranks_hold_the_same_bits(two_ranks):
    first, second = below(two_ranks, "joint/"), below(two_ranks, "1/joint/")
    assert first.keys() == second.keys()
    assert [key for key in first if not np.array_equal(first[key], second[key])] == []


@pytest.mark.slow
def test_ranks_with_other_data_too_many_ranks_and_a_failing_leader_are_told_in_words(two_ranks):
    for start in ("said/", "1/said/"):
        said = {name: str(text) for name, text in below(two_ranks, start).items()}
        assert said["data"].startswith("UsageError 2 rank 1 has another data than rank 0; all")
        assert said["batch"] == (
            "UsageError 2 a batch of 8 rows in groups of 8 is for 1 ranks at most, not 2; start "
            "fewer, or give the recipe a larger batch"
        )
    assert str(two_ranks["said/leader"]) == "GanAugmentError 1 no more"
    assert str(two_ranks["1/said/leader"]).startswith("LeaderFailedError 5 ")


def test_a_rank_takes_whole_units_and_all_ranks_take_every_row_once(monkeypatch):
    for rows, size, unit in [(128, 2, 2), (64, 3, 2), (16, 4, 4), (10, 3, 2)]:
        taken = []
        for rank in range(size):
            monkeypatch.setattr(distributed, "_step", distributed._Step(rank, size, rows, unit))
            own = own_rows()
            assert own.start % unit == 0
            taken += range(rows)[own]
        assert taken == [*range(rows)]


def test_one_process_alone_computes_every_row_and_shares_with_nobody():
    import torch

    x = torch.arange(6.0).view(3, 2)
    assert distributed.gathered(x) is x
    assert distributed.summed(x) is x
    assert Batch(x, x[:, 0], np.arange(3)).own.x.data_ptr() == x.data_ptr()
    with all_ranks() as world:
        assert (world.rank, world.size, world.first(lambda: 7, "")) == (0, 1, 7)


def test_the_gpu_of_one_rank_is_not_that_of_all(monkeypatch):
    monkeypatch.setattr(distributed, "_world", World(1, 2))
    with pytest.raises(UsageError, match=r"'cuda:1' would be that of every rank.*cuda or auto"):
        machine.compute_config("cuda:1")


def test_a_port_in_use_is_told_with_the_cure():
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = str(server.getsockname()[1])
        place = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port, "RANK": "0", "WORLD_SIZE": "2"}
        code = "from gan_augment.distributed import all_ranks\nwith all_ranks(): pass"
        env = {**os.environ, **place}
        run = subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, text=True)
    assert f"the port of 127.0.0.1:{port}, where ranks meet, is in use" in run.stderr
    assert "torchrun --standalone" in run.stderr


def test_a_silent_rank_is_waited_for_with_a_limit_and_named(monkeypatch):
    class Empty:
        def check(self, keys):
            return False

    monkeypatch.setattr(distributed, "WAIT_S", 0.02)
    with pytest.raises(LostRankError, match=r"rank 1 waited 0\.02 s until rank 0 has scored"):
        World(1, 2, Empty()).told("has scored")
