"""What a person sees: one plain line a minute, and no control characters from file names."""

import io
import warnings

from rich.console import Console

from gan_augment_cli.console import LiveBars, PlainLines, bars, printable, shown_progress


def test_a_log_gets_one_line_a_minute(capsys):
    seconds = iter(range(1000))
    lines = PlainLines(every_s=60, clock=lambda: next(seconds))
    lines.phase("training", 400)
    for step in range(1, 201):
        lines.advance(step, "loss 0.5")
    shown = capsys.readouterr().err.splitlines()
    assert len(shown) == 3
    assert shown[0] == "training: 59 of 400, loss 0.5, 5:41 left"


def test_a_file_name_cannot_steer_the_terminal():
    assert printable("a\x1b]0;owned\x07b") == r"a\x1b]0;owned\x07b"


def test_quiet_still_shows_warnings(capsys):
    with shown_progress(quiet=True) as progress:
        progress.note("a choice")
        progress.warn("a danger")
    assert capsys.readouterr().err == "warning: a danger\n"


def test_python_warnings_become_one_line(capsys):
    with shown_progress(quiet=False):
        warnings.simplefilter("always")
        warnings.warn("class 'owl' is refused", stacklevel=1)
    assert capsys.readouterr().err == "warning: class 'owl' is refused\n"


def test_bars_show_class_names_as_they_are():
    screen = io.StringIO()
    with bars(Console(file=screen, width=80, force_terminal=True)) as shown_bars:
        live = LiveBars(shown_bars)
        live.phase("training", 10)
        live.advance(3, "class [bold]owl")
        shown_bars.refresh()
        live.phase("sampling")
        live.advance(1)
        live.note("[red] is a class")
        live.warn("so is [/]")
    shown = screen.getvalue()
    for text in (
        "3 of 10",
        "class [bold]owl",
        "sampling",
        "[red] is a class",
        "warning: so is [/]",
    ):
        assert text in shown
