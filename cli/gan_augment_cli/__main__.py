"""`python -m gan_augment_cli` is `gan-augment`."""

import os
import sys

from gan_augment.processes import ranks_started
from gan_augment_cli.os_signals import hear_signals, interrupted


def main() -> None:
    """Run the command line; signals are heard before anything else is imported."""
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
    """End with a code; one of several ranks at once.

    What a rank's engine does while a process ends was seen to abort it, and torchrun ends all once
    one has ended: its code is that of what it did.
    """
    if ranks_started() > 1:
        for stream in (sys.stdout, sys.stderr):
            stream.flush()
        os._exit(code)
    sys.exit(code)


if __name__ == "__main__":
    main()
