"""How much memory there is."""

import math
import os
from pathlib import Path

import torch

_CONTAINER = (Path("/sys/fs/cgroup/memory.max"), Path("/sys/fs/cgroup/memory/memory.limit_in_bytes"))

_UNITS = ("bytes", "kB", "MB", "GB", "TB", "PB")


def memory_of(device: torch.device) -> int | None:
    """Return the bytes of a GPU, or of this machine with its swap space, less if a container limits them.

    None if the system does not say.
    """
    if device.type == "cuda":
        return int(torch.cuda.get_device_properties(device).total_memory)
    try:
        pairs = (line.split()[:2] for line in Path("/proc/meminfo").read_text().splitlines())
        about = {name.rstrip(":"): 1024 * int(kilobytes) for name, kilobytes in pairs}
        whole, swap = about["MemTotal"], about.get("SwapTotal", 0)
    except (OSError, ValueError, KeyError):  # not Linux
        try:
            whole, swap = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"), 0
        except (AttributeError, ValueError, OSError):
            return None
    limits = [limit for path in _CONTAINER if (limit := _limit(path))]
    return min([whole, *limits]) + swap


def _limit(path: Path) -> int | None:
    try:
        return int(path.read_text())
    except (OSError, ValueError):  # there is none, or it is "max"
        return None


def written_bytes(count: float) -> str:
    """Return a number of bytes in its largest unit, `16.8 GB`."""
    unit = min(int(math.log10(max(count, 1)) // 3), len(_UNITS) - 1)
    number = count / 1000**unit
    return f"{number:,.0f} {_UNITS[unit]}" if number >= 100 else f"{number:.3g} {_UNITS[unit]}"
