"""The training loops of tutorials for models that translate images; see `textbook`.

References:
    Isola et al., 2017. Image-to-Image Translation with Conditional Adversarial Networks. arXiv:1611.07004.
    Zhu et al., 2017. Unpaired Image-to-Image Translation using Cycle-Consistent Adversarial Networks.
    arXiv:1703.10593.
"""

import random
from collections.abc import Callable, Iterator
from itertools import chain

import torch
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy_with_logits, l1_loss, mse_loss

from genlab.families.cyclegan import CycleTranslator
from genlab.recipes.cyclegan import CycleGANRecipe
from genlab.recipes.pix2pix import Pix2PixRecipe
from genlab.recipes.translation import TranslationRecipe

Step = Callable[[], dict[str, float]]
Pairs = Iterator[tuple[Tensor, Tensor]]  # of targets and sources


def translation(recipe: TranslationRecipe, model: nn.Module, pairs: Pairs) -> Step:
    """Return a function that takes one step of the tutorial loop for a recipe."""
    if isinstance(recipe, Pix2PixRecipe):
        return _pix2pix(recipe, model, pairs)
    if isinstance(recipe, CycleGANRecipe):
        assert isinstance(model, CycleTranslator)
        return _cyclegan(recipe, model, pairs)
    raise ValueError(f"there is no textbook loop for {type(recipe).__name__}")


def _pix2pix(recipe: Pix2PixRecipe, model: nn.Module, pairs: Pairs) -> Step:
    generator, discriminator = model.generator, model.discriminator
    assert isinstance(generator, nn.Module)
    assert isinstance(discriminator, nn.Module)
    of_discriminator = torch.optim.Adam(discriminator.parameters(), lr=recipe.discriminator_lr, betas=recipe.betas)
    of_generator = torch.optim.Adam(generator.parameters(), lr=recipe.generator_lr, betas=recipe.betas)

    def loss_of(images: Tensor, source: Tensor, *, real: bool) -> Tensor:
        scores = discriminator(images, {"source": source}).scores
        return binary_cross_entropy_with_logits(scores, torch.full_like(scores, float(real)))

    def step() -> dict[str, float]:
        target, source = next(pairs)
        fake = torch.tanh(generator(source))
        _learn([discriminator], learns=True)
        of_discriminator.zero_grad()
        judged = loss_of(target, source, real=True) + loss_of(fake.detach(), source, real=False)
        judged.backward()  # type: ignore[no-untyped-call]
        of_discriminator.step()
        _learn([discriminator], learns=False)
        of_generator.zero_grad()
        loss = loss_of(fake, source, real=True) + recipe.l1 * l1_loss(fake, target)
        loss.backward()  # type: ignore[no-untyped-call]
        of_generator.step()
        return {"discriminator": judged.item(), "generator": loss.item()}

    return step


def _cyclegan(recipe: CycleGANRecipe, model: CycleTranslator, pairs: Pairs) -> Step:
    judges = [model.discriminator.there, model.discriminator.back]
    of_generators, of_discriminators = (
        torch.optim.Adam(networks.parameters(), lr=lr, betas=recipe.betas)
        for networks, lr in (
            (model.generator, recipe.generator_lr),
            (model.discriminator, recipe.discriminator_lr),
        )
    )
    cycle, identity = recipe.cycle_weight, recipe.cycle_weight * recipe.identity_weight
    pools: list[list[Tensor]] = [[], []]

    def forth(images: Tensor) -> Tensor:
        return torch.tanh(model.generator.there(images))

    def back(images: Tensor) -> Tensor:
        return torch.tanh(model.generator.back(images))

    def loss_of(judge: nn.Module, images: Tensor, *, real: bool) -> Tensor:
        scores = judge(images).scores
        return mse_loss(scores, torch.full_like(scores, float(real)))

    def step() -> dict[str, float]:
        target, source = next(pairs)
        _learn(judges, learns=False)
        of_generators.zero_grad()
        fakes = [forth(source), back(target)]
        same = l1_loss(forth(target), target) + l1_loss(back(source), source)
        adversarial = loss_of(judges[0], fakes[0], real=True) + loss_of(judges[1], fakes[1], real=True)
        cycles = l1_loss(back(fakes[0]), source) + l1_loss(forth(fakes[1]), target)
        loss = adversarial + cycle * cycles + identity * same
        loss.backward()  # type: ignore[no-untyped-call]
        of_generators.step()
        _learn(judges, learns=True)
        of_discriminators.zero_grad()
        judged = 0.0
        for judge, real, fake, pool in zip(judges, (target, source), fakes, pools, strict=True):
            shown = _from_pool(pool, fake.detach(), recipe.pool)
            of_side = (loss_of(judge, real, real=True) + loss_of(judge, shown, real=False)) / 2
            of_side.backward()  # type: ignore[no-untyped-call]
            judged += of_side.item()
        of_discriminators.step()
        return {"discriminator": judged, "generator": loss.item()}

    return step


def _from_pool(pool: list[Tensor], fakes: Tensor, size: int) -> Tensor:
    """Return the images, half of them exchanged for earlier ones once the pool is full."""
    shown = []
    for fake in fakes:
        place = random.randrange(size) if len(pool) == size and random.random() < 0.5 else None
        shown.append(fake if place is None else pool[place])
        if place is not None:
            pool[place] = fake
        elif len(pool) < size:
            pool.append(fake)
    return torch.stack(shown)


def _learn(networks: list[nn.Module], *, learns: bool) -> None:
    for parameter in chain.from_iterable(network.parameters() for network in networks):
        parameter.requires_grad_(learns)
