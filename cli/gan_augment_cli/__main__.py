"""`python -m gan_augment_cli` is `gan-augment`."""

import signal
import sys

from gan_augment.processes import ranks_started
from gan_augment_cli.signals import hear_signals, interrupted


def main() -> None:
    """Run the command line; signals are heard before anything else is imported."""
    hear_signals()
    try:
        from gan_augment_cli.app import main as run

        run()
    except KeyboardInterrupt as stop:
        number = int(getattr(stop, "signal", 2))
        interrupted("", number)
        sys.exit(128 + number)
    finally:
        if ranks_started() > 1:  # torchrun ends all once one has ended; this one has its code
            signal.signal(signal.SIGTERM, signal.SIG_IGN)


if __name__ == "__main__":
    main()
