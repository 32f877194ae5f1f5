"""The contract that all presets keep, for presets made of parts that genlab does not have."""

import pytest

import fast
import test_elsewhere
import test_export
import test_families
from test_families import three_steps  # noqa: F401 (a fixture)

OWN = ("energy", "my-gan", "my-vae", "my-diffusion")  # a family, and three families with parts
FEW = [preset if preset == "my-gan" else pytest.param(preset, marks=pytest.mark.slow) for preset in OWN]
CONTRACT = {
    name: test
    for module, presets in ((test_families, OWN), (test_export, OWN), (test_elsewhere, FEW))
    for name, test in fast.tests_of_presets(module, presets).items()
}
globals().update(CONTRACT)


def test_the_contract_is_that_of_the_presets() -> None:
    assert "test_one_step_gives_every_weight_a_finite_gradient_and_leaves_other_players_alone" in CONTRACT
    assert "test_networks_export_for_a_batch_of_any_size" in CONTRACT
    assert "test_a_preset_trains_and_is_used_on_another_device_as_on_the_cpu" in CONTRACT
    assert len(CONTRACT) >= 11
