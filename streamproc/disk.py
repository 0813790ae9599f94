"""What a power cut must not undo. Knows files and folders; knows nothing of what they hold."""

import os
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
