"""Which options of a GAN cannot be combined, and why."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain
from typing import TYPE_CHECKING

from genlab.recipes.fields import chosen_parts

if TYPE_CHECKING:
    from genlab.core.modality import DataSpec
    from genlab.recipes.gan_options import GANOptions

# What needs no look at a table, which would import torch.
RECONSTRUCTING = ("fastgan",)  # architectures with a network from features to images
SIGNED = ("non-saturating", "minimax", "hinge")  # losses whose scores are above 0 for real images


def refusals(recipe: GANOptions, spec: DataSpec | None, processes: int) -> Iterator[tuple[bool, str]]:
    """Yield for each combination whether `recipe` has it, and what to say then."""
    return chain(
        _wrong_targets(recipe),
        _wrong_regularizers(recipe),
        _wrong_self_supervision(recipe),
        _wrong_labels(recipe, spec),
        _wrong_augmentation(recipe, spec),
        _wrong_batches(recipe, processes),
    )


def _usual_norm(recipe: GANOptions) -> str:
    from genlab.architectures import ARCHITECTURES

    return recipe.part(ARCHITECTURES, recipe.architecture).norm


def _wrong_targets(recipe: GANOptions) -> Iterator[tuple[bool, str]]:
    yield (
        recipe.wanted_label != 1.0 and recipe.loss != "least-squares",
        f"--wanted-label {recipe.wanted_label:g} is only for --loss least-squares, not {recipe.loss}. Leave it "
        "out, or set --loss least-squares.",
    )
    if (recipe.real_label, recipe.fake_label) == (1.0, 0.0):
        return  # importing the table below would import torch
    from genlab.objectives.adversarial import ADVERSARIAL

    with_targets = [name for name, loss in ADVERSARIAL.items() if loss.targets]
    yield (
        recipe.loss not in with_targets,
        f"--real-label and --fake-label have no effect with --loss {recipe.loss}, which has no target labels. "
        f"Losses with target labels: {', '.join(with_targets)}.",
    )
    yield (
        recipe.part(ADVERSARIAL, recipe.loss).log_odds and recipe.fake_label < 0,
        f"--fake-label is a probability with --loss {recipe.loss}: choose 0 to 1, not {recipe.fake_label:g}.",
    )


def _wrong_regularizers(recipe: GANOptions) -> Iterator[tuple[bool, str]]:
    yield (
        recipe.weight_clip is not None and recipe.spectral_norm in ("discriminator", "both"),
        f"--weight-clip and --spectral-norm {recipe.spectral_norm} both bound the discriminator's Lipschitz "
        "constant, and each undoes the other. Leave one out, or set --spectral-norm generator.",
    )
    yield (
        recipe.gradient_penalty > 0 and (recipe.discriminator_norm or _usual_norm(recipe)) == "batch",
        "--gradient-penalty needs the gradient for each image alone, but --discriminator-norm batch makes the "
        "images of a batch depend on each other. Choices: --discriminator-norm layer, instance or none.",
    )
    yield (
        recipe.penalty_every > 1
        and not (recipe.gradient_penalty or recipe.dragan or recipe.r1 != 0 or recipe.r2)
        and not any(part.traits.get("form") == "gradient" for part in chosen_parts(recipe)),
        f"--penalty-every {recipe.penalty_every} needs a gradient penalty: set --gradient-penalty, --dragan, "
        "--r1 or --r2.",
    )
    yield (
        recipe.unrolled_steps > 0 and recipe.optimizer != "adam",
        f"--unrolled-steps needs --optimizer adam, not {recipe.optimizer}. Set it, or leave --unrolled-steps out.",
    )
    yield (
        recipe.unrolled_steps > 0 and recipe.weight_clip is not None,
        "--unrolled-steps does not clip weights in the unrolled steps. Use --gradient-penalty or "
        "--spectral-norm discriminator instead of --weight-clip.",
    )


def _wrong_self_supervision(recipe: GANOptions) -> Iterator[tuple[bool, str]]:
    if recipe.self_supervision and recipe.architecture not in RECONSTRUCTING:
        from genlab.architectures import ARCHITECTURES

        fitting = [name for name, row in ARCHITECTURES.items() if row.reconstruction]
        yield (
            recipe.architecture not in fitting,
            f"--self-supervision {recipe.self_supervision:g} reconstructs images from the discriminator's "
            f"features, for which --architecture {recipe.architecture} has no network. Choices: "
            f"{', '.join(fitting)}.",
        )
    yield (
        recipe.self_supervision > 0 and recipe.pack > 1,
        f"--self-supervision {recipe.self_supervision:g} reconstructs images from the discriminator's features, "
        f"which --pack {recipe.pack} makes those of several images. Leave one out.",
    )


def _wrong_labels(recipe: GANOptions, spec: DataSpec | None) -> Iterator[tuple[bool, str]]:
    generator, discriminator = recipe.generator_labels != "none", recipe.discriminator_labels != "none"
    yield (
        generator != discriminator,
        f"--generator-labels {recipe.generator_labels} and --discriminator-labels {recipe.discriminator_labels}: "
        "both networks must use the class, or neither. Choices for the generator: concat, batch-norm, "
        "embedding; for the discriminator: concat, projection, auxiliary.",
    )
    yield (
        discriminator and spec is not None and spec.classes == 0,
        f"--discriminator-labels {recipe.discriminator_labels} needs labelled data, but these have no labels. "
        "Put the images of each class into their own folder, or set --discriminator-labels and "
        "--generator-labels to none.",
    )
    yield (
        discriminator and recipe.pack > 1,
        f"--pack {recipe.pack} gives the discriminator images of several classes at once, so it cannot use "
        f"--discriminator-labels {recipe.discriminator_labels}. Leave one out.",
    )


def _wrong_augmentation(recipe: GANOptions, spec: DataSpec | None) -> Iterator[tuple[bool, str]]:
    data = spec.target.noun if spec else ""
    for name, used in {
        f"--diff-augment {recipe.diff_augment}": recipe.diff_augment != "none",
        f"--adaptive-augment {recipe.adaptive_augment:g}": recipe.adaptive_augment > 0,
    }.items():
        yield (
            used and spec is not None and spec.target.spatial != 2,
            f"{name} is only for images, but these data are {data}. Leave it out.",
        )
    yield (
        recipe.diff_augment != "none" and recipe.adaptive_augment > 0,
        f"--diff-augment {recipe.diff_augment} augments always, and --adaptive-augment as often as is needed. "
        "Leave one out.",
    )
    if recipe.adaptive_augment and recipe.loss not in SIGNED:
        from genlab.objectives.adversarial import ADVERSARIAL

        fitting = [name for name, loss in ADVERSARIAL.items() if loss.log_odds or loss.signed]
        yield (
            recipe.loss not in fitting,
            "--adaptive-augment asks how often scores of real images are above 0, which says nothing with "
            f"--loss {recipe.loss}. Choices: {', '.join(fitting)}.",
        )


def _wrong_batches(recipe: GANOptions, processes: int) -> Iterator[tuple[bool, str]]:
    parts = processes * recipe.accumulate
    rows = recipe.batch_size // parts
    nearest = max(1, rows // recipe.pack) * recipe.pack * parts
    yield (
        rows % recipe.pack > 0,
        f"--pack {recipe.pack} does not divide the {rows} images that go through the networks at once, of "
        f"--batch-size {recipe.batch_size}. Nearest: --batch-size {nearest}.",
    )
