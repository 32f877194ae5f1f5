"""The training loops of tutorials for models that translate images; see `textbook`.

References:
    Isola et al., 2017. Image-to-Image Translation with Conditional Adversarial Networks. arXiv:1611.07004.
"""

from collections.abc import Callable, Iterator

import torch
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy_with_logits, l1_loss

from genlab.recipes.translation import Pix2PixRecipe, TranslationRecipe

Step = Callable[[], dict[str, float]]
Pairs = Iterator[tuple[Tensor, Tensor]]  # of targets and sources


def translation(recipe: TranslationRecipe, model: nn.Module, pairs: Pairs) -> Step:
    """Return a function that takes one step of the tutorial loop for a recipe."""
    if isinstance(recipe, Pix2PixRecipe):
        return _pix2pix(recipe, model, pairs)
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
        for parameter in discriminator.parameters():
            parameter.requires_grad_(True)
        of_discriminator.zero_grad()
        scores = loss_of(target, source, real=True) + loss_of(fake.detach(), source, real=False)
        scores.backward()  # type: ignore[no-untyped-call]
        of_discriminator.step()
        for parameter in discriminator.parameters():
            parameter.requires_grad_(False)
        of_generator.zero_grad()
        adversarial, distance = loss_of(fake, source, real=True), l1_loss(fake, target)
        loss = adversarial + recipe.l1 * distance
        loss.backward()  # type: ignore[no-untyped-call]
        of_generator.step()
        return {"discriminator": scores.item(), "generator": adversarial.item(), "l1": distance.item()}

    return step
