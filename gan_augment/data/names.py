"""Class names as folder names: percent-encoded, reversible, safe on every file system. No files."""

from __future__ import annotations

import hashlib
import unicodedata
from collections.abc import Iterable
from urllib.parse import unquote

LONGEST_BYTES = 255
_UNSAFE = frozenset('%/\\<>:"|?*')
_RESERVED = frozenset(  # our own manifest, and the devices of Windows
    ["manifest.csv", "con", "prn", "aux", "nul"]
    + [f"{port}{n}" for port in ("com", "lpt") for n in range(10)]
)
_CUT = "%~"  # no percent escape: marks a name that was cut


def safe_name(name: str) -> str:
    """`name` as one path component that no system reads otherwise.

    Separators, `%`, control and invisible characters, a leading or trailing dot or space, and the
    first letter of reserved names become %XX of their UTF-8 bytes; everything else stays. A result
    beyond 255 bytes is cut, and ends in `%~` and 16 hex digits of its hash: the manifest keeps the
    true name. Raises ValueError for an empty name.

    >>> safe_name("cat"), safe_name("a/b"), safe_name(".."), safe_name("nul")
    ('cat', 'a%2Fb', '%2E%2E', '%6Eul')
    """
    if not name:
        raise ValueError("a class name cannot be empty")
    ends = {0, len(name) - 1} if name[0] in ". " or name[-1] in ". " else set()
    reserved = {name.casefold(), name.split(".")[0].strip().casefold()} & _RESERVED
    encoded = "".join(
        _escape(c) if not _plain(c) or (i in ends and c in ". ") or (reserved and i == 0) else c
        for i, c in enumerate(name)
    )
    return _cut(encoded, name)


def safe_names(names: Iterable[str]) -> dict[str, str]:
    """{name: folder name}, distinct even where case or the form of accents does not count.

    Of names that differ only so, the first stays readable and the others are encoded further.

    >>> safe_names(["cat", "Cat"])
    {'cat': 'cat', 'Cat': '%43at'}
    """
    taken: set[str] = set()
    chosen = {}
    for name in names:
        capitals = "".join(_escape(c) if c.isupper() or not c.isascii() else c for c in name)
        everything = "".join(_escape(c) for c in name)
        for candidate in (safe_name(name), capitals, everything):
            folder = _cut(candidate, name)
            if folded(folder) not in taken:
                break
        taken.add(folded(folder))
        chosen[name] = folder
    return chosen


def true_name(folder: str) -> str:
    """The class name that was encoded as `folder`. Raises ValueError for one that was cut.

    >>> true_name("a%2Fb")
    'a/b'
    """
    if _CUT in folder:
        raise ValueError(f"{folder!r} was cut; the manifest holds the true name")
    return unquote(folder, errors="surrogatepass")


def folded(name: str) -> str:
    """What a file system that ignores case and the form of accents compares."""
    return unicodedata.normalize("NFC", unicodedata.normalize("NFD", name).casefold())


def _plain(character: str) -> bool:
    return character.isprintable() and character not in _UNSAFE


def _escape(character: str) -> str:
    return "".join(f"%{byte:02X}" for byte in character.encode("utf-8", "surrogatepass"))


def _cut(encoded: str, name: str) -> str:
    raw = encoded.encode()
    if len(raw) <= LONGEST_BYTES:
        return encoded
    mark = _CUT + hashlib.sha256(name.encode("utf-8", "surrogatepass")).hexdigest()[:16]
    kept = raw[: LONGEST_BYTES - len(mark)].decode(errors="ignore")
    tail = kept.rfind("%", len(kept) - 2)  # an escape that was cut in the middle
    return (kept[:tail] if tail >= 0 else kept) + mark
