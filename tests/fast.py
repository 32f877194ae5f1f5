"""Which presets a test covers: in `make test` one for each mechanism, in `make test-slow` the others."""

from collections.abc import Collection

import pytest

from genlab.recipes.presets import PRESETS


def presets(names: Collection[str]) -> pytest.MarkDecorator:
    """Parametrize a test by `preset`: all presets, those that are not in `names` as slow tests."""
    assert PRESETS.keys() >= set(names)
    slow = pytest.mark.slow
    return pytest.mark.parametrize("preset", [p if p in names else pytest.param(p, marks=slow) for p in PRESETS])
