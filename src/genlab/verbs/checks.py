"""`genlab checks`: what this machine has."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from genlab.core.text import listed
from genlab.verbs.verb import verb


@dataclass(frozen=True)
class Machine:
    """Versions, device, precisions, cache and own parts, by name."""

    facts: Mapping[str, Any]

    def values(self) -> dict[str, Any]:
        """Return them as plain values for JSON."""
        return dict(self.facts)

    def __str__(self) -> str:
        return listed(self.facts)


@verb
def checks() -> Machine:
    """Show versions, device, bf16 support, cache and the own parts that are loaded.

    Returns:
        All of it, by name.
    """
    import platform

    import torch

    from genlab.core.device import bf16_units, find_device, float16_units
    from genlab.core.parts import everything
    from genlab.data.cache import cache_folder
    from genlab.version import __version__

    folder = cache_folder()
    size = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file()) if folder.exists() else 0
    return Machine(
        {
            "genlab": __version__,
            "python": platform.python_version(),
            "torch": torch.__version__,
            "device": str(find_device("auto")),
            "threads": torch.get_num_threads(),
            "bf16 units": ", ".join(bf16_units()) or "none",
            "float16 units": ", ".join(float16_units()) or "none",
            "cache": f"{folder} ({size / 2**20:,.0f} MiB)",
            "own parts": ", ".join(f"{part.kind} {part.name}" for part in everything().values()) or "none",
        }
    )
