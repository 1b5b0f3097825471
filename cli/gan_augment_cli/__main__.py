"""`python -m gan_augment_cli` is `gan-augment`."""

import os
import sys

from gan_augment.processes import ranks_started
from gan_augment_cli.os_signals import hear_signals, interrupted


def main() -> None:
    """Run the command line; signal handlers are installed before any other import."""
    hear_signals()
    try:
        from gan_augment_cli.app import main as run

        run()
    except KeyboardInterrupt as stop:
        number = int(getattr(stop, "signal", 2))
        interrupted("", number)
        _leave(128 + number)
    except SystemExit as end:
        _leave(end.code if isinstance(end.code, int) else int(end.code is not None))


def _leave(code: int) -> None:
    """Exit with a code; a rank of several skips the exit handlers.

    Exit handlers of torch.distributed have aborted ranks, and torchrun reports the code of the
    first rank that ends.
    """
    if ranks_started() > 1:
        for stream in (sys.stdout, sys.stderr):
            stream.flush()
        os._exit(code)
    sys.exit(code)


if __name__ == "__main__":
    main()
