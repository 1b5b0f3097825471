"""Importing this closes the network: a connection to anything but this machine raises."""

import sys
from typing import Any

LOOPBACK = ("127.", "::1", "localhost")


def refuse_strangers(event: str, args: tuple[Any, ...]) -> None:
    """An audit hook: loopback and Unix sockets pass, anything else is a ConnectionRefusedError."""
    if event == "socket.connect":
        host = args[1][0] if isinstance(args[1], tuple) else None
    elif event == "socket.getaddrinfo":
        host = args[0]
    else:
        return
    if isinstance(host, str) and host and not host.startswith(LOOPBACK):
        raise ConnectionRefusedError(f"a test reached for {host}; this library makes no connection")


sys.addaudithook(refuse_strangers)
