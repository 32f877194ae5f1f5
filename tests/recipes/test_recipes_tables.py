"""What the command line knows without importing torch is what there is."""

from typing import get_args

import pytest

from genlab.architectures import ARCHITECTURES
from genlab.architectures.denoiser import DENOISERS
from genlab.architectures.flow import FLOWS
from genlab.architectures.styles import STYLES
from genlab.core.schedules import RATES
from genlab.families.samplers import SAMPLERS
from genlab.objectives.adversarial import ADVERSARIAL
from genlab.objectives.diffusion import PREDICTIONS, SCHEDULES
from genlab.objectives.reconstruction import RECONSTRUCTION
from genlab.objectives.sparsity import SPARSITY
from genlab.recipes.autoencoder import CorruptionName, SparsityName
from genlab.recipes.diffusion import DenoiserName, PredictionName, SamplerName, ScheduleName
from genlab.recipes.fields import names_of, options_of, override, values_of
from genlab.recipes.flow import FlowName
from genlab.recipes.gan_options import AdversarialName, AugmentName
from genlab.recipes.gan_refusals import RECONSTRUCTING, SIGNED
from genlab.recipes.presets import PRESETS
from genlab.recipes.recipe import ArchitectureName, RateName, ReconstructionName
from genlab.recipes.settings import Settings
from genlab.recipes.style_gan import StyleArchitectureName
from genlab.recipes.summaries import SUMMARIES
from genlab.regularizers.augmentation import POLICIES
from genlab.regularizers.corruption import CORRUPTIONS


@pytest.mark.parametrize(
    ("names", "table"),
    [
        (ArchitectureName, ARCHITECTURES),
        (ReconstructionName, RECONSTRUCTION),
        (AdversarialName, ADVERSARIAL),
        (RateName, RATES),
        (AugmentName, {"none": (), **POLICIES}),
        (CorruptionName, {"none": None, **CORRUPTIONS}),
        (SparsityName, {"none": None, **SPARSITY}),
        (StyleArchitectureName, STYLES),
        (FlowName, FLOWS),
        (DenoiserName, DENOISERS),
        (ScheduleName, SCHEDULES),
        (PredictionName, PREDICTIONS),
        (SamplerName, SAMPLERS),
    ],
)
def test_the_names_of_a_table_are_its_keys(names: object, table: dict[str, object]) -> None:
    assert get_args(names) == tuple(table)


def test_the_rows_with_a_trait_are_those_of_the_table() -> None:
    assert set(RECONSTRUCTING) == {name for name, row in ARCHITECTURES.items() if row.reconstruction}
    assert set(SIGNED) == {name for name, row in ADVERSARIAL.items() if row.log_odds or row.signed}


def test_a_table_that_is_not_written_out_is_named() -> None:
    with pytest.raises(LookupError, match="no dictionary literal NOTHING"):
        names_of("objectives.adversarial", "NOTHING")


def test_every_preset_has_a_summary() -> None:
    assert list(PRESETS) == list(SUMMARIES)
    assert all(summary.endswith(".") for summary in SUMMARIES.values())


@pytest.mark.parametrize("preset", PRESETS)
def test_a_preset_keeps_its_own_rules(preset: str) -> None:
    """Every value of a row would be accepted if a user wrote it."""
    recipe = PRESETS[preset]
    assert override(recipe, values_of(recipe)) == recipe


def test_the_settings_keep_their_own_rules() -> None:
    assert override(Settings(), values_of(Settings())) == Settings()


@pytest.mark.parametrize("options", [*PRESETS.values(), Settings()])
def test_every_option_is_explained_and_no_name_is_used_twice(options: object) -> None:
    assert all(option.help for option in options_of(options).values())
    if options != Settings():
        assert not options_of(options).keys() & options_of(Settings()).keys()
