"""Decode files in worker processes: a file that hangs or kills its worker costs only itself.

`python -m` runs this module as a worker, so that a caller's script needs no `__main__` guard.
"""

from __future__ import annotations

import os
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
from gan_augment.data.images.resize import Resize
from gan_augment.errors import GanAugmentError
from gan_augment.processes import available_cores

LIMIT_S = 4.5  # for one file, from its request to its answer
_START_S = 60.0
_FILES_A_WORKER = 200  # fewer files do not pay for another process
_AT_ONCE = 2048  # files per batch, so that their answers fit into memory
_MOST_MEMORY_BYTES = 4 << 30  # address space; a 50-megapixel image needs under 1 GiB
_WORKER = "gan_augment.data.images.pool"

Answer = tuple[Facts, NDArray[np.uint8] | None]
"""The facts and, if asked for, the pixels (H, W, C)."""
_Request = tuple[Path, tuple[int, int] | None, Resize]


def decode_files(
    paths: Sequence[Path],
    size: tuple[int, int] | None,
    how: Resize = "squeeze",
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
            worker = _Worker()
            stack.callback(worker.stop)
            idle.put(worker)

        def decode(path: Path) -> Answer:
            worker = idle.get()
            try:
                return worker.decode((path, size, how), limit_s)
            finally:
                idle.put(worker)

        pool = stack.enter_context(ThreadPoolExecutor(n, thread_name_prefix="decode"))
        for start in range(0, len(paths), _AT_ONCE):
            yield from pool.map(decode, paths[start : start + _AT_ONCE])


class _Worker:
    """One decoding process, started at the first request; replaced if it hangs or dies."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[bytes] | None = None

    def decode(self, request: _Request, limit_s: float) -> Answer:
        """Return the answer for one file."""
        if self._process is None:
            self._start()
        try:
            self._pipe.send(request)
            if self._pipe.poll(limit_s):
                answer: Answer = self._pipe.recv()
                return answer
            reason = "decoding it takes longer than allowed"
        except (EOFError, OSError):
            reason = "decoding it ends the process"
        self.stop()
        return {"reason": reason}, None

    def stop(self) -> None:
        """Kill the process, if there is one."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None
            self._pipe.close()

    def _start(self) -> None:
        self._pipe, theirs = Pipe()
        path = os.pathsep.join(filter(None, sys.path))
        self._process = subprocess.Popen(
            [sys.executable, "-P", "-m", _WORKER, str(theirs.fileno())],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,  # libtiff writes there
            pass_fds=[theirs.fileno()],
            env={**os.environ, "PYTHONPATH": path, "OMP_NUM_THREADS": "1"},
        )
        theirs.close()
        with suppress(EOFError, OSError):
            if self._pipe.poll(_START_S):
                self._pipe.recv()  # the worker is ready
                return
        self.stop()
        raise GanAugmentError(
            f"{sys.executable} -m {_WORKER}, which reads images, did not start; does this command "
            "work by itself?"
        )


def main() -> None:
    """Answer requests on the file descriptor in the command line until its other end closes."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent decides when to stop
    _, hard = resource.getrlimit(resource.RLIMIT_AS)
    if sys.platform == "linux" and hard == resource.RLIM_INFINITY:
        resource.setrlimit(resource.RLIMIT_AS, (_MOST_MEMORY_BYTES, hard))
    pipe = Connection(int(sys.argv[1]))
    pipe.send("ready")
    with suppress(EOFError):
        while True:
            pipe.send(decode_file(*pipe.recv()))


if __name__ == "__main__":
    main()
