"""Ranks: equal weights on all of them, equal bytes again, and errors in words."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from gan_augment import distributed, machine
from gan_augment.distributed import World, all_ranks
from gan_augment.errors import UsageError

HERE = Path(__file__).resolve().parent
Arrays = dict[str, np.ndarray]


@pytest.fixture(scope="module")
def two_ranks(tmp_path_factory: pytest.TempPathFactory) -> list[Arrays]:
    """The arrays of `ranks.py` of both ranks."""
    folder = tmp_path_factory.mktemp("ranks")
    command = [sys.executable, str(HERE / "ranks.py"), str(folder)]
    ranks = [subprocess.Popen([*command, str(rank)], stderr=-1, text=True) for rank in range(2)]
    try:
        said = [rank.communicate(timeout=500)[1] for rank in ranks]
    finally:
        for rank in ranks:
            rank.kill()
    assert [rank.returncode for rank in ranks] == [0, 0], "\n".join(said)
    return [dict(np.load(folder / f"{rank}.npz")) for rank in range(2)]


def different(mine: Arrays, theirs: Arrays, start: str, other: str) -> set[str]:
    """The names below `start` in one and `other` in the other whose arrays differ."""
    names = [name.removeprefix(start) for name in mine if name.startswith(start)]
    assert names
    return {name for name in names if not np.array_equal(mine[start + name], theirs[other + name])}


@pytest.mark.slow
def test_all_ranks_have_the_same_weights_and_moments(two_ranks):
    odd = different(*two_ranks, "first/", "first/")
    own = ("numbers/pool", "running_", "num_batches")  # of the rows that a rank saw
    assert [name for name in odd if not any(part in name for part in own)] == []


@pytest.mark.slow
def test_a_fit_of_as_many_ranks_has_the_same_bytes_again(two_ranks):
    for arrays in two_ranks:
        assert different(arrays, arrays, "first/", "again/") == set()


@pytest.mark.slow
def test_ranks_with_other_data_or_too_few_rows_are_refused_on_every_rank(two_ranks):
    for arrays in two_ranks:
        assert "rank 1 has another data than rank 0" in str(arrays["said/data"])
        assert "for 1 ranks at most, not 2" in str(arrays["said/batch"])


def test_gradients_are_means_over_ranks_and_unused_weights_have_none(monkeypatch):
    import torch

    used, half_used, unused = (torch.nn.Parameter(torch.zeros(2)) for _ in range(3))
    used.grad = torch.tensor([1.0, 2.0])
    others = torch.tensor([3.0, 4.0, 6.0, 8.0, 0.0, 0.0, 1.0, 1.0, 0.0])  # slopes, then which used
    monkeypatch.setattr(distributed, "_world", World(0, 2))
    monkeypatch.setattr(distributed.dist, "all_reduce", lambda flat: flat.add_(others))
    distributed.average_gradients([used, half_used, unused])
    assert used.grad.tolist() == [2.0, 3.0]
    assert half_used.grad is not None
    assert half_used.grad.tolist() == [3.0, 4.0]
    assert unused.grad is None


def test_a_rank_draws_whole_units_of_its_share():
    cases = {(128, 2, 2): 64, (64, 3, 2): 20, (16, 4, 4): 4, (10, 1, 2): 10}
    for (rows, size, unit), own in cases.items():
        assert World(0, size).rows(rows, unit) == own


def test_one_process_shares_with_nobody():
    with all_ranks() as world:
        assert (world.rank, world.size, world.first(lambda: 7)) == (0, 1, 7)


def test_the_gpu_of_one_rank_is_not_that_of_all(monkeypatch):
    monkeypatch.setattr(distributed, "_world", World(1, 2))
    with pytest.raises(UsageError, match=r"'cuda:1'.*every rank"):
        machine.compute_config("cuda:1")


def test_a_port_in_use_is_named_with_the_cure():
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = str(server.getsockname()[1])
        place = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port, "RANK": "0", "WORLD_SIZE": "2"}
        code = "from gan_augment.distributed import all_ranks\nwith all_ranks(): pass"
        env = {**os.environ, **place}
        run = subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, text=True)
    assert f"127.0.0.1:{port}" in run.stderr
    assert "torchrun --standalone" in run.stderr
