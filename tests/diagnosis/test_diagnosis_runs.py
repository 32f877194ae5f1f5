"""Runs that fail for a known reason are found to, and healthy ones are not: on digits, which train in seconds."""

from pathlib import Path

import pytest

from doctor import examined, train
from failures import HEALTHY, KINDS, Case, cases
from genlab.diagnosis.doctor import RULES

ON_DIGITS = [case for case in cases() if case.data == "digits" and case.half != "later"]
FAILING = {case.kind: case for case in reversed(ON_DIGITS) if case.kind != HEALTHY}


def test_every_kind_of_failure_is_tried_on_digits() -> None:
    assert FAILING.keys() == KINDS.keys()


def test_what_is_expected_of_a_failure_are_findings_that_there_are() -> None:
    assert {rule for kind in KINDS.values() for rule in kind.expected} <= {rule.name for rule in RULES}


@pytest.mark.slow
@pytest.mark.parametrize("case", FAILING.values(), ids=FAILING)
def test_what_fails_is_found(case: Case, tmp_path: Path) -> None:
    train(case, tmp_path, cifar10="")
    assert examined(case, tmp_path).right is not None


@pytest.mark.slow
@pytest.mark.parametrize("case", [c for c in ON_DIGITS if c.kind == HEALTHY], ids=lambda case: case.preset)
def test_what_is_healthy_is_left_alone(case: Case, tmp_path: Path) -> None:
    train(case, tmp_path, cifar10="")
    assert not examined(case, tmp_path).found
