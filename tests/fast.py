"""Which presets a test covers: in `make test` one for each mechanism, in `make test-slow` the others."""

from collections.abc import Collection, Sequence
from types import FunctionType, ModuleType

import pytest

from genlab.recipes.presets import PRESETS


def presets(names: Collection[str]) -> pytest.MarkDecorator:
    """Parametrize a test by `preset`: all presets, those that are not in `names` as slow tests."""
    assert PRESETS.keys() >= set(names)
    slow = pytest.mark.slow
    return pytest.mark.parametrize("preset", [p if p in names else pytest.param(p, marks=slow) for p in PRESETS])


def tests_of_presets(module: ModuleType, presets: Sequence[object]) -> dict[str, FunctionType]:
    """Return the tests of a module that are parametrized by `preset`, by name, for other presets."""
    found = {}
    for name, test in vars(module).items():
        marks = getattr(test, "pytestmark", []) if name.startswith("test_") else []
        others = [mark for mark in marks if mark.args[:1] != ("preset",)]
        if len(others) < len(marks):
            copy = FunctionType(test.__code__, test.__globals__, name)
            copy.pytestmark = others  # type: ignore[attr-defined]
            found[name] = pytest.mark.parametrize("preset", presets)(copy)
    return found
