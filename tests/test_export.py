"""`torch.export` of every preset, with a batch of any size."""

from collections.abc import Callable, Mapping
from dataclasses import replace

import torch
from torch import Tensor, nn
from torch.export import Dim

import fast
import reading
from genlab.core.condition import fill
from genlab.core.modality import Images
from genlab.recipes.flow import FlowRecipe
from genlab.recipes.presets import PRESETS
from genlab.recipes.recipe import Recipe
from genlab.recipes.translation import TranslationRecipe
from genlab.training.inference import inference_mode
from test_families import LATENT, small

TRACED, SIZES = 4, (3, 70)  # 70 are more than a U-Net takes at once where nothing is exported
IMAGES = Images(1, 16, 16)
SOME = fast.presets(  # the others are made of the same layers
    {
        "sparse-autoencoder",
        "dncnn",
        "conditional-vae",
        "gan",
        "dcgan-upsample",
        "acgan",
        "wgan-gp",
        "sagan",
        "projection-gan",
        "biggan",
        "pacgan",
        "minibatch-gan",
        "realnvp",
        "glow",
        "spline-flow",
        "conditional-diffusion",
        "pix2pix",
        "diffusion-translation",
    }
)


def latents(model: nn.Module, count: int) -> tuple[Tensor, ...]:
    return (torch.randn(count, getattr(model, "latent", LATENT)),)


def images(model: nn.Module, count: int) -> tuple[Tensor, ...]:
    return (2 * torch.rand(count, *IMAGES.shape) - 1,)


def images_and_times(model: nn.Module, count: int) -> tuple[Tensor, ...]:
    return *images(model, count), torch.rand(count, dtype=torch.float64)


INPUTS: Mapping[str, Callable[[nn.Module, int], tuple[Tensor, ...]]] = {
    "decode": latents,
    "encode": images,
    "discriminate": images,
    "predict": images_and_times,
    "noise": images,
    "translate": lambda model, count: (),
}


class Method(nn.Module):
    """A method of a model as the `forward` that is exported."""

    def __init__(self, model: nn.Module, name: str) -> None:
        super().__init__()
        self.model, self.name = model, name

    def forward(self, inputs: tuple[Tensor, ...], condition: dict[str, Tensor]) -> list[Tensor]:
        """Return the tensors that the method returns."""
        made = getattr(self.model, self.name)(*inputs, condition)
        return [made] if isinstance(made, Tensor) else [part for part in made if part is not None]


def shrunk(recipe: Recipe) -> Recipe:
    match recipe:
        case FlowRecipe():
            return replace(recipe, flow_steps=1)
        case TranslationRecipe() if recipe.discriminator.startswith("patch"):
            return replace(recipe, discriminator="patch-16")
        case _:
            return recipe


def model_of(preset: str) -> nn.Module:
    recipe = shrunk(small(preset))
    torch.manual_seed(0)
    model = recipe.model(reading.spec_of(recipe, IMAGES))
    with torch.no_grad():
        for parameter in model.parameters():  # layers that start at 0 would hide what is before them
            parameter += 0.1 * torch.randn_like(parameter)
    return model


@SOME
def test_networks_export_for_a_batch_of_any_size(preset: str) -> None:
    model = model_of(preset)
    packed = getattr(PRESETS[preset], "pack", 1)
    names = [name for name in INPUTS if hasattr(model, name)]
    assert names

    def arguments(name: str, count: int) -> tuple[tuple[Tensor, ...], dict[str, Tensor]]:
        return INPUTS[name](model, count), fill(
            getattr(model, "conditions", {}), reading.drawn(model, count), count
        )

    any_size = {0: Dim.DYNAMIC}
    with inference_mode(model):
        for name in names:
            method, (inputs, condition) = Method(model, name), arguments(name, packed * TRACED)
            shapes = (tuple(any_size for _ in inputs), dict.fromkeys(condition, any_size))
            exported = torch.export.export(method, (inputs, condition), dynamic_shapes=shapes).module()
            for size in SIZES:
                given = arguments(name, packed * size)
                torch.testing.assert_close(exported(*given), method(*given), rtol=1e-5, atol=1e-5)
