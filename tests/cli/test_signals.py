"""Signals: heard within two seconds wherever a command is, with the usual code and the way on."""

from __future__ import annotations

import signal
import subprocess
import sys
import time

import pytest

COMMAND = """
import hashlib, sys, time, types
from gan_augment_cli import __main__
from gan_augment.processes import way_on

def main():
    with way_on(lambda: "go on with --resume"):
        print("ready", flush=True)
        {call}

sys.modules["gan_augment_cli.app"] = types.SimpleNamespace(main=main)
__main__.main()
"""
LONG_CALL = "hashlib.pbkdf2_hmac('sha256', b'', b'', 10**9)"  # no line of Python for minutes


@pytest.mark.slow
@pytest.mark.parametrize(
    ("call", "number", "says"),
    [
        (LONG_CALL, signal.SIGINT, "go on with --resume"),
        (LONG_CALL, signal.SIGTERM, "go on with --resume"),
        ("time.sleep(60)", signal.SIGTERM, "nothing was kept"),  # before a command has begun
    ],
)
def test_a_signal_is_heard_within_two_seconds_even_in_one_long_call(call, number, says) -> None:
    code = COMMAND.replace("{call}", call)
    process = subprocess.Popen([sys.executable, "-c", code], stdout=-1, stderr=-1, text=True)
    assert process.stdout is not None
    process.stdout.readline()
    time.sleep(1)  # until it is in the call
    began_s = time.monotonic()
    process.send_signal(number)
    _, said = process.communicate(timeout=20)
    assert process.returncode == 128 + number
    assert time.monotonic() - began_s < 2
    assert said == f"error: interrupted; {says}\n"
