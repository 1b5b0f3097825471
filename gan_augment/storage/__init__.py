"""Files that survive a crash: atomic writes, verified bundles, folder locks. No torch here."""

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
    new_files,
    new_folder,
    settle_files,
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
    "new_files",
    "new_folder",
    "read_bundle_bytes",
    "save_bundle",
    "settle_files",
    "write_errors",
    "write_file",
]
