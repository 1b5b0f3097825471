"""The kinds of data: one container of labelled rows, one object per kind that answers for it."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from gan_augment.kinds.kind import Kind, KindName


def kind_named(name: KindName) -> Kind:
    """Return `IMAGE`, `SIGNAL` or `TABLE` by its name."""
    from gan_augment.kinds.image import IMAGE
    from gan_augment.kinds.signal import SIGNAL
    from gan_augment.kinds.table import TABLE

    return next(kind for kind in (IMAGE, SIGNAL, TABLE) if kind.name == name)
