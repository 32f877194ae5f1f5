"""Stamps of files, which change whenever their content does."""

import os
import time

_TICK = 20_000_000  # nanoseconds; the clock of a file system stands still for up to 10 ms


def stamp(about: os.stat_result) -> tuple[int, int, int, int]:
    """Return the length, the times of the last changes of content and of status, and the inode of a file.

    Programs can keep the length and put the first time back, but not the second; another file that takes the place
    of the first, also by a link, has another inode.
    """
    return about.st_size, about.st_mtime_ns, about.st_ctime_ns, about.st_ino


def too_new(changed: int) -> bool:
    """Return whether a file could change once more without another stamp, after waiting until it could not.

    `changed` is the time of its last change, in nanoseconds. If the result is true, read its stamp again.
    """
    left = min(changed + _TICK - time.time_ns(), _TICK)
    if left > 0:
        time.sleep(left / 1e9)
    return left > 0
