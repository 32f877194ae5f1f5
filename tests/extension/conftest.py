from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from package import MY_PARTS, Said

import genlab
from genlab.cli.main import run
from genlab.core import parts


@pytest.fixture(autouse=True, scope="module")
def my_parts() -> Iterator[Path]:
    """The folder of a user's parts, which genlab knows during the tests of a module."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(parts, "_PARTS", {})
        genlab.plugin(MY_PARTS)
        yield MY_PARTS


@pytest.fixture
def without_parts(monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    """Let genlab forget all parts for the rest of the test."""
    return lambda: monkeypatch.setattr(parts, "_PARTS", {})


@pytest.fixture
def command(capsys: pytest.CaptureFixture[str]) -> Callable[..., Said]:
    """The command line in this process: arguments in; exit code and what was printed out."""

    def call(*tokens: object) -> Said:
        capsys.readouterr()
        code = run([str(token) for token in tokens])
        return Said(code, *capsys.readouterr())

    return call
