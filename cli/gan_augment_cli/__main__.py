"""`python -m gan_augment_cli` is `gan-augment`."""

import sys

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


if __name__ == "__main__":
    main()
