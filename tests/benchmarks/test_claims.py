"""What is said of families is held against figures as it should be."""

from collections.abc import Mapping, Sequence
from typing import Any

import pytest

from claims import CLAIMS, FAMILIES, compared, table


def rows(column: str, **values: Sequence[float]) -> Mapping[str, Sequence[Mapping[str, Any]]]:
    return {preset.replace("_", "-"): [{column: value} for value in some] for preset, some in values.items()}


@pytest.mark.parametrize(
    ("dcgan", "verdict"),
    [
        ([1.0, 1.02], "yes"),
        ([0.5, 0.52], "no"),
        ([0.55, 0.95], "open: within the deviation over seeds"),
        ([1.43, 1.39], "open: within the deviation over seeds"),  # as far above 1 as the other is below
    ],
)
def test_a_claim_holds_if_its_family_is_first_by_more_than_seeds_differ(dcgan: list[float], verdict: str) -> None:
    page = compared(rows("sharpness", dcgan=dcgan, conv_vae=[0.7, 0.72]))
    (line,) = [line for line in page.splitlines() if "sharpest" in line]
    assert line.endswith(f"| {verdict} |")


def test_twice_as_sharp_is_as_far_off_as_half() -> None:
    page = compared(rows("sharpness", glow=[2.0], dcgan=[0.55], conv_vae=[0.45]))
    (line,) = [line for line in page.splitlines() if "sharpest" in line]
    assert "dcgan 0.55, glow 2, conv-vae 0.45" in line


def test_claims_that_nothing_was_measured_for_are_left_out() -> None:
    page = compared(rows("bits", glow=[3.0], ddpm=[2.0]))
    assert [claim.text for claim in CLAIMS if claim.text in page] == ["Flows give the best likelihood"]
    assert page.endswith("ddpm 2, glow 3 | no, by one run |\n")
    assert {claim.family for claim in CLAIMS} == set(FAMILIES.values())


@pytest.mark.parametrize(
    ("conv_vae", "shown", "verdict"),
    [
        ([100.0, 100.0, 100.0], "conv-vae 0 ", "yes"),
        # Deviations of three seeds deviate by half themselves: 0.1 is not surely more than 0.05.
        ([95.0, 100.0, 105.0], "conv-vae 0.05 ", "open: within the deviation over seeds"),
    ],
)
def test_unsteadiness_is_the_deviation_of_the_distance_to_its_mean(
    conv_vae: list[float], shown: str, verdict: str
) -> None:
    page = compared(rows("distance", dcgan=[90.0, 100.0, 110.0], conv_vae=conv_vae))
    (line,) = [line for line in page.splitlines() if "unstably" in line]
    assert f"dcgan 0.1, {shown}" in line
    assert line.endswith(f"| {verdict} |")


def test_cells_hold_means_deviations_and_gaps() -> None:
    text = table({"glow": [{"bits": 2.0}, {"bits": 4.0}], "dcgan": [{}]}, (("bits", ".1f"),), {"bits": "b"})
    assert text.splitlines() == ["| | b |", "|---|--:|", "| `glow` | 3.0 ± 1.4 |", "| `dcgan` |  |"]
