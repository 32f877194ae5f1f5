from collections.abc import Iterator
from pathlib import Path

import pytest

import genlab
from genlab.core import parts

MY_PARTS = Path(__file__).parent / "my_parts"


@pytest.fixture(autouse=True, scope="module")
def my_parts() -> Iterator[Path]:
    """The folder of the parts of a user, which genlab knows during the tests of a module."""
    before = parts.everything()
    genlab.plugin(MY_PARTS)
    yield MY_PARTS
    for part in parts.everything().values():
        if (part.kind, part.name) not in before:
            parts.forget(part)
