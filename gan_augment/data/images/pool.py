"""Decode files in worker processes: a file that hangs or kills its worker costs only itself.

`python -m` runs this module as a worker. Requests and answers are JSON, followed by the raw pixels;
the processes exchange no pickle.
"""

from __future__ import annotations

import json
import resource
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, suppress
from multiprocessing import Pipe
from multiprocessing.connection import Connection
from pathlib import Path
from queue import SimpleQueue

import numpy as np
from numpy.typing import NDArray

from gan_augment.data.images.decode import Facts, decode_file
from gan_augment.errors import GanAugmentError
from gan_augment.processes import available_cores, worker_command, worker_environment

LIMIT_S = 4.5  # for one file, from its request to its answer
_START_S = 60.0
_FILES_A_WORKER = 200  # fewer files do not pay for another process
_AT_ONCE = 2048  # files per batch, so that their answers fit into memory
_MOST_MEMORY_BYTES = 4 << 30  # address space; a 50-megapixel image needs under 1 GiB
_SLOW = "decoding it takes longer than allowed"
_CRASHED = "decoding it ends the process"
_WORKER = "gan_augment.data.images.pool"

Answer = tuple[Facts, NDArray[np.uint8] | None]
"""The facts and, if asked for, the pixels (H, W, C)."""


def decode_files(
    paths: Sequence[Path],
    size: tuple[int, int] | None,
    how: str = "squeeze",
    *,
    workers: int | None = None,
    limit_s: float = LIMIT_S,
) -> Iterator[Answer]:
    """Decode files in worker processes; yield one answer per path, in order.

    size: (height, width) px to resize to by `how`; None reads the headers only. workers: None for
    one per 200 files, at most one per core. limit_s: seconds per file.
    """
    useful = min(available_cores(), -(-len(paths) // _FILES_A_WORKER))
    n = max(1, useful if workers is None else min(workers, len(paths)))
    with ExitStack() as stack:
        idle: SimpleQueue[_Worker] = SimpleQueue()
        for _ in range(n):
            idle.put(stack.enter_context(_Worker()))

        def decode(path: Path) -> Answer:
            worker = idle.get()
            try:
                return worker.decode(path, size, how, limit_s)
            finally:
                idle.put(worker)

        pool = stack.enter_context(ThreadPoolExecutor(n, thread_name_prefix="decode"))
        for start in range(0, len(paths), _AT_ONCE):
            yield from pool.map(decode, paths[start : start + _AT_ONCE])


class _Worker:
    """One decoding process, started at the first request and killed at the end."""

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
        """Return the answer for one file; a process that hangs or dies is replaced."""
        if self._process is None:
            self._start()
        request = json.dumps({"path": str(path), "size": size, "how": how})
        try:
            self._answers.send_bytes(request.encode())
            if self._answers.poll(limit_s):
                facts = json.loads(self._answers.recv_bytes())
                shape = facts.pop("shape", None)
                if shape is None:
                    return facts, None
                raw = self._answers.recv_bytes()
                return facts, np.frombuffer(raw, dtype=np.uint8).reshape(shape)
            reason = _SLOW
        except (EOFError, OSError):
            reason = _CRASHED
        self.__exit__()
        return {"reason": reason}, None

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


def main() -> None:
    """Answer requests on the file descriptor in the command line until its other end closes.

    The first message, {}, reports that the worker is ready.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent decides when to stop
    _, hard = resource.getrlimit(resource.RLIMIT_AS)
    if sys.platform == "linux" and hard == resource.RLIM_INFINITY:
        resource.setrlimit(resource.RLIMIT_AS, (_MOST_MEMORY_BYTES, hard))
    requests = Connection(int(sys.argv[1]))
    requests.send_bytes(b"{}")
    with suppress(EOFError):
        while True:
            request = json.loads(requests.recv_bytes())
            facts, pixels = decode_file(Path(request["path"]), request["size"], request["how"])
            if pixels is None:
                requests.send_bytes(json.dumps(facts).encode())
            else:
                requests.send_bytes(json.dumps({**facts, "shape": pixels.shape}).encode())
                requests.send_bytes(pixels.tobytes())


if __name__ == "__main__":
    main()
