"""Worker processes that decode files: a file that hangs or kills its worker costs only itself.

Run with `python -m`, this module is such a worker. It answers a request, a line of JSON, with
another and, where a size is asked for, the pixels; no pickle passes between the processes.
"""

from __future__ import annotations

import itertools
import json
import resource
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from multiprocessing import Pipe
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gan_augment.data.images.decode import decode_file
from gan_augment.errors import GanAugmentError
from gan_augment.processes import available_cores, worker_command, worker_environment

LIMIT_S = 4.5  # for one file, from its request to its answer
_START_S = 60.0
_FILES_A_WORKER = 200  # a process more pays from here on
_MOST_MEMORY_BYTES = 4 << 30  # of addresses; a 50-megapixel image needs under 1 GiB
_SLOW = "decoding it takes longer than allowed"
_CRASHED = "decoding it ends the process"
_WORKER = "gan_augment.data.images.pool"


@dataclass(frozen=True)
class Answer:
    """What a worker says of one file: facts, or facts["reason"]; pixels (H, W, C) if asked for."""

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
    take: Callable[[int, Answer], Answer] = lambda row, answer: answer,
) -> list[Answer]:
    """Decode files in worker processes: one answer a path, in order.

    Parameters
    ----------
    size
        (height, width) px to resize to; None reads the headers only.
    workers
        Processes; None is one for every 200 files, at most one a core.
    advance
        Called with the number of files done, from one thread at a time.
    take
        Called with the number of a path and its answer as it comes, in any order, from one thread
        at a time; returns what to keep of it.
    """
    answers: list[Answer | None] = [None] * len(paths)
    rows, done = iter(range(len(paths))), itertools.count(1)
    lock, stop = threading.Lock(), threading.Event()

    def work() -> None:
        try:
            with _Worker() as worker:
                while not stop.is_set():
                    with lock:
                        row = next(rows, None)
                    if row is None:
                        return
                    answer = worker.decode(paths[row], size, how, limit_s)
                    with lock:
                        answers[row] = take(row, answer)
                        advance(next(done))
        finally:
            stop.set()  # no more files for the others either, if this one failed

    useful = min(available_cores(), -(-len(paths) // _FILES_A_WORKER))
    n = max(1, useful if workers is None else min(workers, len(paths)))
    with ThreadPoolExecutor(n, thread_name_prefix="decode") as pool:
        try:
            for future in [pool.submit(work) for _ in range(n)]:
                future.result()
        finally:
            stop.set()
    return [answer for answer in answers if answer is not None]


class _Worker:
    """One decoding process, started when it is needed. Ends when left, by force."""

    def __enter__(self) -> _Worker:
        self._process: subprocess.Popen[bytes] | None = None
        return self

    def __exit__(self, *_: object) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None
            self._answers.close()

    def decode(self, path: Path, size: tuple[int, int] | None, how: str, limit_s: float) -> Answer:
        """The answer for one file; a process that hangs or dies of it is replaced by a new one."""
        if self._process is None:
            self._start()
        request = json.dumps({"path": str(path), "size": size, "how": how})
        try:
            self._answers.send_bytes(request.encode())
            if self._answers.poll(limit_s):
                return self._answer()
            reason = _SLOW
        except (EOFError, OSError):
            reason = _CRASHED
        self.__exit__()
        return Answer({"reason": reason})

    def _start(self) -> None:
        self._answers, theirs = Pipe()
        self._process = subprocess.Popen(
            [*worker_command(_WORKER), str(theirs.fileno())],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,  # libtiff writes there
            pass_fds=[theirs.fileno()],
            env=worker_environment(),
        )
        theirs.close()
        try:
            if not self._answers.poll(_START_S):
                raise EOFError
            self._answers.recv_bytes()
        except (EOFError, OSError):
            self.__exit__()
            raise GanAugmentError(
                f"{sys.executable} -m {_WORKER}, which reads images, did not start; "
                "does this command work by itself?"
            ) from None

    def _answer(self) -> Answer:
        facts = json.loads(self._answers.recv_bytes())
        shape = facts.pop("shape", None)
        if shape is None:
            return Answer(facts)
        raw = self._answers.recv_bytes()
        return Answer(facts, np.frombuffer(raw, dtype=np.uint8).reshape(shape))


def serve(requests: Connection) -> None:
    """Answer every request until the other end is gone. The first answer, {}, says: ready."""
    requests.send_bytes(b"{}")
    while True:
        try:
            request = json.loads(requests.recv_bytes())
        except EOFError:
            return
        facts, pixels = decode_file(Path(request["path"]), request["size"], request["how"])
        if pixels is None:
            requests.send_bytes(json.dumps(facts).encode())
        else:
            requests.send_bytes(json.dumps({**facts, "shape": pixels.shape}).encode())
            requests.send_bytes(pixels.tobytes())


def main() -> None:
    """Serve on the descriptor that the command line names, with little memory."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent decides when to stop
    _, hard = resource.getrlimit(resource.RLIMIT_AS)
    if sys.platform == "linux" and hard == resource.RLIM_INFINITY:
        resource.setrlimit(resource.RLIMIT_AS, (_MOST_MEMORY_BYTES, hard))
    serve(Connection(int(sys.argv[1])))


if __name__ == "__main__":
    main()
