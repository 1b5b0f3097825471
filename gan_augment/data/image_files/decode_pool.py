"""Worker processes that decode files: a file that hangs or kills its worker costs only itself."""

from __future__ import annotations

import json
import math
import os
import select
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gan_augment.errors import GanAugmentError
from gan_augment.processes import available_cores, worker_command, worker_environment

LIMIT_S = 4.5  # for one file, from its turn to its answer
_START_S = 60.0
_AHEAD = 4  # requests written ahead of the answers; far below a pipe's 16 KiB for usual paths
_FILES_A_WORKER = 200  # a process more pays from here on
_SLOW = "decoding it takes longer than allowed"
_CRASHED = "decoding it ends the process"
_WORKER = "gan_augment.data.image_files.decode_worker"


@dataclass(frozen=True)
class Answer:
    """What a worker said of one file: facts, or facts["reason"]; pixels (H, W, C) if asked for."""

    facts: dict[str, Any]
    pixels: NDArray[np.uint8] | None = None

    @property
    def reason(self) -> str | None:
        """Why the file is unusable, or None."""
        reason = self.facts.get("reason")
        return None if reason is None else str(reason)


def decode_files(
    paths: Sequence[Path],
    size: tuple[int, int] | None,
    how: str = "squeeze",
    *,
    workers: int | None = None,
    limit_s: float = LIMIT_S,
    advance: Callable[[int], None] = lambda done: None,
    take: Callable[[int, Answer], Answer] = lambda turn, answer: answer,
) -> list[Answer]:
    """One answer a path, in order; with `size` None only headers are read.

    workers: processes; None is one for every 200 files, at most one a core.
    `advance` is told the number of files done; `take` gets the number of a path and its answer as
    it comes and returns what to keep of it. Both from one thread at a time.
    """
    answers: list[Answer | None] = [None] * len(paths)
    requests = [
        json.dumps({"path": str(path), "size": size, "how": how}).encode() + b"\n" for path in paths
    ]
    turns = iter(range(len(paths)))
    lock, done, stop = threading.Lock(), [0], threading.Event()

    def one_worker() -> None:
        def mine() -> Iterator[tuple[int, bytes]]:
            while not stop.is_set():
                with lock:
                    turn = next(turns, None)
                if turn is None:
                    return
                yield turn, requests[turn]

        try:
            for turn, answer in _answers(mine(), limit_s):
                with lock:
                    answers[turn] = take(turn, answer)
                    done[0] += 1
                    advance(done[0])
        finally:
            stop.set()  # no more files for the others either, if this one failed

    n = worker_count(len(paths), workers)
    with ThreadPoolExecutor(n, thread_name_prefix="decode") as pool:
        try:
            for future in [pool.submit(one_worker) for _ in range(n)]:
                future.result()
        finally:
            stop.set()
    return [answer for answer in answers if answer is not None]


def is_passing(reason: str | None) -> bool:
    """Whether a file was refused for what may have been the machine's fault, not the file's."""
    return reason in (_SLOW, _CRASHED)


def worker_count(files: int, asked: int | None) -> int:
    """Processes to use for a number of files."""
    useful = max(1, -(-files // _FILES_A_WORKER))
    if asked is not None:
        return max(1, min(asked, files))
    return min(available_cores(), useful)


def _answers(requests: Iterator[tuple[int, bytes]], limit_s: float) -> Iterator[tuple[int, Answer]]:
    """(turn, answer) of each request; a worker that hangs or dies is replaced by a fresh one."""
    sent: deque[tuple[int, bytes]] = deque(islice(requests, _AHEAD))
    while sent:
        with _Worker() as worker:
            worker.send(request for _, request in sent)
            while sent:
                answer = worker.receive(limit_s)
                yield sent.popleft()[0], answer
                if is_passing(answer.reason):
                    break
                fresh = list(islice(requests, 1))
                sent.extend(fresh)
                worker.send(request for _, request in fresh)
        sent.extend(islice(requests, _AHEAD - len(sent)))


class _Worker:
    """One decoding process, its requests and its answers. Ends when left, by force if need be."""

    def __enter__(self) -> _Worker:
        self._process = subprocess.Popen(
            worker_command(_WORKER),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,  # libtiff writes there
            env=worker_environment(),
            bufsize=0,
        )
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._input, self._output = self._process.stdin, self._process.stdout
        self._poll = select.poll()
        self._poll.register(self._output, select.POLLIN | select.POLLHUP)
        self._read = bytearray()
        if self.receive(_START_S).reason:
            self.__exit__()
            raise GanAugmentError(
                f"{sys.executable} -m {_WORKER}, which reads images, did not start; "
                "does this command work by itself?"
            )
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.wait()
        self._input.close()
        self._output.close()

    def send(self, requests: Iterable[bytes]) -> None:
        """Write requests; a worker that is gone is noticed when its answer is missing."""
        with suppress(BrokenPipeError):
            self._input.write(b"".join(requests))

    def receive(self, limit_s: float) -> Answer:
        """The next answer; one with a reason if it does not come within the limit."""
        deadline = time.monotonic() + limit_s
        try:
            while (end := self._read.find(b"\n")) < 0:
                self._fill(deadline)
            facts = json.loads(self._take(end + 1))
            shape = facts.pop("shape", None)
            if shape is None:
                return Answer(facts)
            while len(self._read) < math.prod(shape):
                self._fill(deadline)
            raw = self._take(math.prod(shape))
            return Answer(facts, np.frombuffer(raw, dtype=np.uint8).reshape(shape))
        except TimeoutError:
            return Answer({"reason": _SLOW})
        except EOFError:
            return Answer({"reason": _CRASHED})

    def _fill(self, deadline: float) -> None:
        if not self._poll.poll(max(deadline - time.monotonic(), 0) * 1000):
            raise TimeoutError
        chunk = os.read(self._output.fileno(), 1 << 18)
        if not chunk:
            raise EOFError
        self._read += chunk

    def _take(self, n: int) -> bytes:
        taken = bytes(self._read[:n])
        del self._read[:n]
        return taken
