"""Holes that are filled against a discriminator, and the distance to the originals."""

from dataclasses import replace
from itertools import repeat

import pytest
import torch
from torch import Tensor

from genlab.core.batch import Batch
from genlab.core.contract import DiscriminatorOutput
from genlab.core.errors import UsageError
from genlab.core.modality import DataSpec, Images
from genlab.core.random import Randomness
from genlab.data.degradations import chain
from genlab.families.adversarial_restoration import AdversarialRestorationTraining, AdversarialRestorer
from genlab.families.restoration import Fidelity, RestorationTraining, Restorer
from genlab.objectives.distance import l2
from genlab.objectives.perceptual import FeatureTerms, gram, total_variation
from genlab.recipes.adversarial_restoration import AdversarialRestorationRecipe
from genlab.recipes.presets import PRESETS
from genlab.runs.phases import build, phases_of

TARGET = Images(3, 16, 16)
MASKED = DataSpec(TARGET, chain(["holes=centre"]).conditions(TARGET))
SMALL = DataSpec(TARGET, chain(["bicubic=2"]).conditions(TARGET))
TINY = {"width": 4, "discriminator_width": 4, "discriminator": "patch-16", "batch_size": 4}


def recipe(preset: str = "gated-inpainting", **changes: object) -> AdversarialRestorationRecipe:
    made = replace(PRESETS[preset], **TINY, **changes)
    assert isinstance(made, AdversarialRestorationRecipe)
    return made


def holed(count: int = 4) -> Batch:
    x = torch.rand(count, 3, 16, 16, generator=torch.Generator().manual_seed(0)) * 2 - 1
    hole = torch.zeros(count, 1, 16, 16, dtype=torch.bool)
    hole[..., 4:12, 4:12] = True
    return Batch(x, torch.arange(count), {"source": x.masked_fill(hole, 0), "mask": hole.float() * 2 - 1})


def training(which: AdversarialRestorationRecipe, spec: DataSpec = MASKED) -> AdversarialRestorationTraining:
    made = build(which, spec, Randomness(0))
    assert isinstance(made, AdversarialRestorationTraining)
    return made


def test_the_discriminator_sees_the_known_pixels_of_the_originals_around_the_hole() -> None:
    seen: list[Tensor] = []

    class Seeing(AdversarialRestorer):
        def discriminate(self, x: Tensor, condition: object = None) -> DiscriminatorOutput:
            seen.append(x.detach().clone())
            return super().discriminate(x, condition)  # type: ignore[arg-type]

    play, batch = training(recipe()), holed()
    play.model.__class__ = Seeing
    play.step(0, repeat(batch))
    known = (batch.condition["mask"] < 0).expand_as(batch.x)
    assert len(seen) == 3, "real, made, and made again for the generator"
    assert all(torch.equal(each[known], batch.x[known]) for each in seen)
    assert not torch.equal(seen[0], seen[1])


def test_the_weights_of_pixels_make_a_weighted_mean_of_each_image() -> None:
    batch = holed()
    hole = batch.condition["mask"] > 0
    made = torch.where(hole, batch.x + 0.5, batch.x + 0.1)
    for hole_weight, known_weight in ((1.0, 1.0), (1.0, 0.0), (6.0, 1.0)):
        hole_share, known_share = 0.25 * hole_weight, 0.75 * known_weight
        wanted = (hole_share * 0.5**2 + known_share * 0.1**2) / (hole_share + known_share)
        loss = Fidelity(l2, hole_weight=hole_weight, known_weight=known_weight)(made, batch)["pixel_loss"]
        assert loss.item() == pytest.approx(wanted, rel=1e-4)
    plain = replace(batch, condition={"source": batch.x})
    assert Fidelity(l2, hole_weight=6.0, pixel_weight=2.0)(made, plain)["pixel_loss"].item() == pytest.approx(
        2 * (0.25 * 0.25 + 0.75 * 0.01), rel=1e-4
    )


def test_further_terms_are_of_the_completed_image_alone() -> None:
    batch = holed()
    terms = FeatureTerms(lambda images: [images, images[..., ::2, ::2]], 1.0, 2.0, 3.0)
    hole = batch.condition["mask"] > 0
    losses = Fidelity(terms=terms)(torch.where(hole, batch.x, 9.0), batch)
    assert losses["perceptual_loss"] == losses["gram_loss"] == 0, "known pixels do not count"
    assert losses["smoothness_loss"].item() == pytest.approx(3 * total_variation(batch.x).item())
    other = Fidelity(terms=terms)(batch.x.flip(3), batch)
    assert other["perceptual_loss"] > 0
    assert other["gram_loss"] > 0


def test_gram_matrices_do_not_depend_on_where_things_are() -> None:
    maps = torch.rand(2, 3, 4, 4)
    shuffled = maps.flatten(2)[..., torch.randperm(16)].view_as(maps)
    torch.testing.assert_close(gram(shuffled), gram(maps))
    torch.testing.assert_close(gram(maps)[0, 1, 2], (maps[0, 1] * maps[0, 2]).mean() / 3)


def test_a_run_begins_with_the_distance_alone_and_keeps_the_network() -> None:
    two = recipe("context-encoder", pretraining=0.25, steps=8)
    first, second = phases_of(two, MASKED)
    assert (first.steps, second.steps) == (2, 8)
    alone = build(first.recipe, MASKED, Randomness(0))
    assert isinstance(alone, RestorationTraining)
    assert "discriminator_loss" not in alone.step(0, repeat(holed()))
    together = training(two)
    shared = alone.model.state_dict().keys() & together.model.state_dict().keys()
    assert shared == alone.model.state_dict().keys()
    assert len(phases_of(recipe(), MASKED)) == 1


def test_without_an_adversarial_weight_there_is_no_discriminator() -> None:
    model = recipe(adversarial_weight=0.0).model(MASKED)
    assert isinstance(model, Restorer)
    assert not hasattr(model, "discriminator")


def test_the_discriminator_of_holes_sees_the_mask_and_that_of_whole_images_none() -> None:
    batch, masked = holed(), training(recipe())
    whole = training(recipe(architecture="edsr", degrade=("bicubic=2",)), SMALL)
    scores = [
        masked.model.discriminate(batch.x, {"mask": mask}).scores
        for mask in (batch.condition["mask"], -batch.condition["mask"])
    ]
    assert not torch.equal(*scores)
    assert torch.isfinite(whole.model.discriminate(batch.x).scores).all()


def test_targets_larger_than_sources_are_learned_against_a_loss_that_compares_both() -> None:
    play = training(
        recipe(
            architecture="edsr", blocks=1, degrade=("bicubic=2",), loss="relativistic-average", pixel_weight=0.5
        ),
        SMALL,
    )
    x = holed().x
    batch = Batch(x, torch.arange(4), {"source": x[..., ::2, ::2]})

    first = play.step(0, repeat(batch))
    assert {"discriminator_loss", "generator_loss", "pixel_loss"} <= first.keys()
    for step in range(1, 30):
        last = play.step(step, repeat(batch))
    assert last["pixel_loss"] < first["pixel_loss"]


def test_a_network_that_needs_a_mask_is_refused_without_holes_and_the_reverse() -> None:
    with pytest.raises(UsageError, match="fills holes, but these pictures have none"):
        recipe().refuse(SMALL)
    with pytest.raises(UsageError, match="does not look at the mask"):
        recipe(architecture="edsr").refuse(MASKED)
    recipe().refuse(MASKED)
