"""A user's own networks in place of genlab's: any module class that takes the shapes of its input and output.

    @genlab.part("architecture", "my-net")
    class MyNet(nn.Module):
        def __init__(self, input_shape, output_shape, *, width): ...

The class makes all networks of a model, each for its own shapes: a generator (latent,) -> (C, H, W), a
discriminator or an encoder (C, H, W) -> (features,), a denoiser, a translator or a restorer (C', H, W) ->
(C, H, W). Labels, sources, masks and packs are part of the input shape already, as further latents or channels. An
object with the attributes `encoder` and `decoder` has a class for each direction.
"""

import inspect
from collections.abc import Callable, Mapping
from math import prod
from typing import Any

import torch
from torch import Tensor, nn

from genlab.architectures.conditional import LABEL, ConditionalSequential, JoinSources
from genlab.architectures.mixed import Mixed
from genlab.architectures.normalization import BatchNorm2d, NormName
from genlab.architectures.parts import Architecture, Features
from genlab.architectures.unet import LabelOrNone
from genlab.core.condition import NONE, Condition
from genlab.core.errors import UsageError
from genlab.core.modality import Modality
from genlab.core.parts import Part

Shape = tuple[int, ...]
FEATURES = 8  # times the width: the size of the feature vectors of encoders and discriminators


def own_architecture(part: Part, own: Mapping[str, Any]) -> Architecture:
    """Return the architecture of an own part: an `Architecture`, a class, or an object with two classes.

    Raises:
        UsageError: it is none of these, or a module that is built already.
    """
    if isinstance(part.value, Architecture):
        return part.value
    _class_for(part, own, "decoder")

    def decoder(latent: int, modality: Modality, width: int, *, norm: object, attention: int | None) -> Any:  # noqa: ANN401
        network = build_own(part, own, "decoder", (latent,), modality.shape, width, attention=attention)
        return ConditionalSequential(network)

    def features(
        modality: Modality, width: int, *, norm: NormName, dropout: float, attention: int | None
    ) -> Features:
        size, told = FEATURES * width, {"norm": norm, "dropout": dropout, "attention": attention}
        return Features(build_own(part, own, "encoder", modality.shape, (size,), width, **told), size)

    return Architecture(decoder, features, _keep, "none")


def own_denoiser(part: Part, own: Mapping[str, Any]) -> Callable[..., Mixed]:
    """Return a function that builds an own architecture as the network of a diffusion model.

    Raises:
        UsageError: it is an `Architecture`, which has no network from pictures to pictures.
    """
    if isinstance(part.value, Architecture):
        raise UsageError(
            f'the architecture "{part.name}" has a decoder and features, but a diffusion model needs a network '
            "from pictures to pictures. Register a module class."
        )

    def build(modality: Modality, width: int, **rest: Any) -> Mixed:  # noqa: ANN401
        return OwnDenoiser(part, own, modality, width, **rest)

    return build


class OwnDenoiser(Mixed):
    """A user's module as the network of a diffusion model.

    Sources and the label are further channels of its input. The time t in [0, 1] is the second argument of its
    `forward` if that has two, else one more channel.
    """

    def __init__(
        self,
        part: Part,
        own: Mapping[str, Any],
        modality: Modality,
        width: int,
        *,
        classes: int,
        sources: Mapping[str, Modality],
        attention: int | None,
        dropout: float,
    ) -> None:
        super().__init__()
        self.sources = JoinSources(sources, flat=False) if sources else None
        self.rest = modality.shape[1:]
        self.label = LabelOrNone(classes, prod(self.rest)) if classes else None
        self.times_apart = _takes_times(part, "denoiser")
        further = (self.sources.channels if self.sources else 0) + (1 if classes else 0) + (not self.times_apart)
        seen = (modality.shape[0] + further, *self.rest)
        self.network = build_own(
            part, own, "denoiser", seen, modality.shape, width, attention=attention, dropout=dropout
        )

    def forward(self, noisy: Tensor, times: Tensor, condition: Condition = NONE) -> Tensor:
        """Return the prediction for examples (B, *shape) at times (B,) in [0, 1]."""
        seen = noisy if self.sources is None else self.sources(noisy, condition)
        if self.label is not None:
            vectors = self.label(condition.get(LABEL)).expand(noisy.shape[0], -1)
            seen = torch.cat([seen, vectors.reshape(-1, 1, *self.rest)], dim=1)
        if self.times_apart:
            return self.network(seen, times)  # type: ignore[no-any-return]
        planes = times.to(seen.dtype).view(-1, 1, *[1] * len(self.rest)).expand(-1, 1, *self.rest)
        return self.network(torch.cat([seen, planes], dim=1))  # type: ignore[no-any-return]


class OwnNetwork(nn.Module):
    """A user's module, whose output must have the shape that it was built for.

    Args:
        network: the module.
        name: of the architecture.
        output_shape: of its output, without the batch.
    """

    def __init__(self, network: nn.Module, name: str, output_shape: Shape) -> None:
        super().__init__()
        self.network, self.name, self.output_shape = network, name, output_shape

    def forward(self, x: Tensor, *times: Tensor) -> Tensor:
        """Return the module's output.

        Raises:
            UsageError: it has another shape, or is no tensor.
        """
        made = self.network(x.contiguous(), *times)
        if not isinstance(made, Tensor) or tuple(made.shape[1:]) != self.output_shape:
            got = f"shape {tuple(made.shape)}" if isinstance(made, Tensor) else type(made).__name__
            raise UsageError(
                f'a network of the architecture "{self.name}" was built for outputs of shape '
                f"(batch, {', '.join(map(str, self.output_shape))}), and returned {got} for an input of shape "
                f"{tuple(x.shape)}. Its class gets both shapes: __init__(self, input_shape, output_shape)."
            )
        return made


def build_own(
    part: Part, own: Mapping[str, Any], role: str, seen: Shape, made: Shape, width: int, **told: object
) -> OwnNetwork:
    """Build a network of an own part from `seen` to `made`; `told` are options of the recipe, if it takes them.

    Raises:
        UsageError: the class does not take what an option of the recipe sets, or does not return a module.
    """
    make, takes = _class_for(part, own, role)
    given = {name: value for name, value in {"width": width, **told}.items() if name in takes}
    for name, value in told.items():
        if name not in takes and value not in (None, 0, 0.0, "none"):
            option = f"--{'discriminator-' if role == 'encoder' and name != 'attention' else ''}{name}"
            raise UsageError(
                f'the architecture "{part.name}" has no parameter `{name}`, so that {option} {value} would have '
                f"no effect. Set it to {'none' if name == 'norm' else 0}, or add the parameter to its __init__."
            )
    try:
        network = make(seen, made, **given)
    except Exception as error:
        shown = "".join(f", {name}={value!r}" for name, value in given.items())
        raise UsageError(
            f'the architecture "{part.name}" cannot be built as {part.name}({seen}, {made}'
            f"{shown}): {type(error).__name__}: {error}. Its class takes (input_shape, output_shape) and, if it "
            "wants, the keywords width, norm, dropout and attention."
        ) from error
    if not isinstance(network, nn.Module):
        raise UsageError(f'the architecture "{part.name}" made a {type(network).__name__}, not a torch.nn.Module.')
    _refuse_squashing(network, part.name, role)
    return OwnNetwork(_with_global_batch_norm(network), part.name, made)


def parameters_of(part: Part, own: Mapping[str, Any], role: str) -> set[str]:
    """Return the keywords that the class of an own part takes in a role."""
    return _class_for(part, own, role)[1]


def _class_for(part: Part, own: Mapping[str, Any], role: str) -> tuple[Callable[..., Any], set[str]]:
    """Return the class for a role, with its options bound, and the keywords that it takes."""
    value = part.value
    if isinstance(value, nn.Module):
        raise UsageError(
            f'the architecture "{part.name}" is a module that is built already. Give its class, such as '
            f"{type(value).__name__}: genlab builds the networks, with the seed of the run."
        )
    its = getattr(value, role, value)
    if not callable(its):
        raise UsageError(
            f'the architecture "{part.name}" is a {type(value).__name__}. Give a torch.nn.Module class that takes '
            "(input_shape, output_shape), or an object with one as `encoder` and one as `decoder`."
        )
    takes = set(inspect.signature(its).parameters)
    options = {name: own.get(part.flag(name), option.default) for name, option in part.options.items()}
    given = {name: option for name, option in options.items() if name in takes}
    return (lambda *shapes, **told: its(*shapes, **told, **given)), takes


def _takes_times(part: Part, role: str) -> bool:
    its = getattr(part.value, role, part.value)
    forward = getattr(its, "forward", None)
    if forward is None:
        return False
    positional = [p for p in inspect.signature(forward).parameters.values() if p.default is p.empty]
    return len([p for p in positional if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]) > 2


def _refuse_squashing(network: nn.Module, name: str, role: str) -> None:
    """Refuse a generator that ends in tanh or sigmoid, which would be applied twice."""
    *_, last = network.modules()
    if role in ("decoder", "translator") and isinstance(last, nn.Tanh | nn.Sigmoid):
        raise UsageError(
            f'the architecture "{name}" ends in {type(last).__name__}, but genlab applies tanh to the output of a '
            "generator or decoder itself. Leave the last layer out."
        )


def _with_global_batch_norm(network: nn.Module) -> nn.Module:
    """Replace torch's batch normalisation by genlab's, which has the same result on several processes."""
    if type(network) in (nn.BatchNorm1d, nn.BatchNorm2d):
        assert isinstance(network, nn.BatchNorm1d | nn.BatchNorm2d)
        made = BatchNorm2d(
            network.num_features, network.eps, network.momentum, network.affine, network.track_running_stats
        )
        made.weight, made.bias = network.weight, network.bias
        return made
    for name, child in network.named_children():
        network.add_module(name, _with_global_batch_norm(child))
    return network


def _keep(network: nn.Module) -> None:
    """Keep the weights that the user's classes have initialised."""
