"""Files that survive a crash: atomic writes, verified models, folder locks. Loads no torch."""

from gan_augment.storage.bundle import (
    bundle_bytes,
    load_bundle,
    load_meta,
    read_bundle_bytes,
    save_bundle,
)
from gan_augment.storage.files import (
    NewFile,
    check_room,
    clean_stale,
    new_file,
    write_errors,
    write_file,
)
from gan_augment.storage.lock import hold_folder

__all__ = [
    "NewFile",
    "bundle_bytes",
    "check_room",
    "clean_stale",
    "hold_folder",
    "load_bundle",
    "load_meta",
    "new_file",
    "read_bundle_bytes",
    "save_bundle",
    "write_errors",
    "write_file",
]
