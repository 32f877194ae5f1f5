"""The runs that the doctor is tested on: failing ones, with what should be found, and healthy ones."""

from collections import Counter

import numpy as np
import pytest

import restoration_failures
import translation_failures
from failures import HEALTHY
from genlab.diagnosis.doctor import RULES
from genlab.recipes.presets import PRESETS
from genlab.recipes.settings import Settings
from induced import Trial

TRIALS = {"translation": translation_failures.TRIAL, "restoration": restoration_failures.TRIAL}


@pytest.mark.parametrize("task", TRIALS)
def test_each_run_has_its_own_name_and_options_that_its_preset_takes(task: str) -> None:
    trial: Trial = TRIALS[task]
    cases = list(trial.cases())
    assert len({case.name for case in cases}) == len(cases)
    for case in cases:
        assert all(hasattr(PRESETS[case.preset], name) or hasattr(Settings, name) for name in case.options)
        assert case.data not in trial.needed or trial.needed[case.data] in trial.zips
        assert case.kind == HEALTHY or case.kind in trial.expected


@pytest.mark.parametrize("task", TRIALS)
def test_what_should_be_found_are_rules(task: str) -> None:
    assert {name for names in TRIALS[task].expected.values() for name in names} <= {rule.name for rule in RULES}


def test_each_fault_of_restoration_is_induced_at_least_four_times_beside_ten_healthy_runs() -> None:
    counts = Counter(case.kind for case in TRIALS["restoration"].cases())
    assert counts.pop(HEALTHY) >= 10
    assert min(counts.values()) >= 4
    assert len(counts) == 7


def test_changed_targets_are_still_pictures_of_the_same_size() -> None:
    images = np.random.default_rng(0).integers(256, size=(2, 3, 8, 8)).astype(np.uint8)
    for change in restoration_failures.CHANGES.values():
        assert (made := change(images)).shape == images.shape
        assert made.dtype == np.uint8
        assert (made != images).any()
