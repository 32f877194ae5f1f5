"""The package of a user, and what a command says."""

from pathlib import Path
from typing import NamedTuple

MY_PARTS = Path(__file__).parent / "my_parts"


class Said(NamedTuple):
    """The exit code of a command, and what it printed."""

    code: int
    out: str
    err: str
