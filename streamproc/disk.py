"""What a power cut must not undo, and how much room there is. Knows files and folders; knows
nothing of what they hold."""

import os
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path


def bring_to_disk(path: Path) -> None:
    """Return once the file, or the folder's list of names, is on the disk. Blocks.

    Raises OSError.
    """
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


@dataclass(frozen=True, slots=True)
class DiskView:
    """Bytes."""

    free: int
    size: int
    databases: Mapping[str, int]  # by the name of the file, with what is still to be merged


def disk_view(folder: Path) -> DiskView:
    """Of a data folder. Blocks, for as long as the disk hangs. Raises OSError."""
    usage = shutil.disk_usage(folder)
    databases: dict[str, int] = {}
    for file in folder.glob("*.db*"):
        name = file.name.partition(".db")[0]
        try:
            databases[name] = databases.get(name, 0) + file.stat().st_size
        except FileNotFoundError:  # a log that was merged meanwhile
            continue
    return DiskView(usage.free, usage.total, databases)
