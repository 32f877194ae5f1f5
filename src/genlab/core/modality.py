"""Kinds of data (images, points, class labels), and everything that depends on the kind.

A model generates a *target* under *conditions*, and each of these has a modality. Networks, losses, training,
metrics and commands ask a modality for what they need, never which one it is.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from math import prod
from typing import Any, ClassVar, Protocol, Self

import torch
from torch import Tensor

from genlab.core.dequantisation import dequantise_pixels, quantise_pixels
from genlab.core.errors import CheckpointError, UsageError
from genlab.core.pictures import Picture, image_grid, label_tiles, scatter_plot
from genlab.core.real_numbers import RealNumbers
from genlab.core.table import Table

BYTES = 256
LARGEST = 1 << 28  # numbers of an example


class Modality(Protocol):
    """One kind of data."""

    kind: ClassVar[str]
    """Its name in data.yaml, and the key of `MODALITIES`."""
    noun: ClassVar[str]
    """What messages call the examples: "pictures"."""
    spatial: ClassVar[int]
    """Number of spatial dimensions, which come last: 2 for images, 0 for points."""
    bounded: ClassVar[bool]
    """Whether every value lies in [-1, 1]."""
    fine: ClassVar[bool]
    """Whether details are too fine for untrained layers: networks scale inputs up."""
    exact: ClassVar[bool]
    """Whether rounding to bf16 would lose details: networks keep float32."""
    shown: ClassVar[int]
    """Number of examples in a preview."""

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of one example, without the batch."""
        ...

    @property
    def levels(self) -> int | None:
        """Number of values of each entry, 256 for bytes; None for real numbers, which have a density."""
        ...

    def squash(self, x: Tensor) -> Tensor:
        """Map the raw output of a network to the range of the data."""
        ...

    def dequantise(self, x: Tensor, draws: Tensor | float) -> tuple[Tensor, Tensor]:
        """Return unbounded numbers of the same shape that have a density, and log |det| of the map to them, (B,).

        `draws` are uniform in [0, 1), (B, *shape), or ½ for the middle of each value's interval.
        """
        ...

    def quantise(self, numbers: Tensor) -> Tensor:
        """Return the examples whose `dequantise` with draws of ½ are `numbers`."""
        ...

    def widened(self, channels: int) -> Self:
        """Return the modality with `channels` more channels (dimension 0), for inputs that are concatenated."""
        ...

    def default(self, count: int) -> Tensor | None:
        """Return `count` values for a condition that is not given; None if it must be given."""
        ...

    def check(self, given: Tensor, count: int, name: str) -> None:
        """Raise UsageError unless `given`, the condition called `name`, holds `count` valid examples."""
        ...

    def draw(self, x: Tensor, columns: int | None = None) -> Picture:
        """Draw examples (B, *shape) as a picture; `columns` of tiles, where there are tiles."""
        ...


@dataclass(frozen=True)
class Images(RealNumbers):
    """Images (C, H, W) in [-1, 1], of bytes (`levels` 256) or of real numbers (`levels` None)."""

    kind: ClassVar[str] = "images"
    noun: ClassVar[str] = "pictures"
    spatial: ClassVar[int] = 2
    bounded: ClassVar[bool] = True
    fine: ClassVar[bool] = False
    exact: ClassVar[bool] = False
    shown: ClassVar[int] = 64

    channels: int
    height: int
    width: int
    levels: int | None = BYTES

    @property
    def shape(self) -> tuple[int, int, int]:  # type: ignore[override]
        """(C, H, W)."""
        return self.channels, self.height, self.width

    def squash(self, x: Tensor) -> Tensor:
        """Return tanh(x)."""
        return torch.tanh(x)

    def dequantise(self, x: Tensor, draws: Tensor | float) -> tuple[Tensor, Tensor]:
        """Return the logits of dequantised bytes."""
        return dequantise_pixels(x, self.levels, draws) if self.levels else super().dequantise(x, draws)

    def quantise(self, numbers: Tensor) -> Tensor:
        """Return the pixels of logits."""
        return quantise_pixels(numbers, self.levels) if self.levels else numbers

    def widened(self, channels: int) -> "Images":
        """Return images with `channels` more channels."""
        return replace(self, channels=self.channels + channels)

    def draw(self, x: Tensor, columns: int | None = None) -> Picture:
        """Draw images in a grid."""
        return image_grid(x, columns)


@dataclass(frozen=True)
class Points(RealNumbers):
    """Points (D,) of real numbers."""

    kind: ClassVar[str] = "points"
    noun: ClassVar[str] = "points"
    spatial: ClassVar[int] = 0
    bounded: ClassVar[bool] = False
    fine: ClassVar[bool] = True
    exact: ClassVar[bool] = True
    shown: ClassVar[int] = 1024

    dimensions: int

    @property
    def shape(self) -> tuple[int]:  # type: ignore[override]
        """(D,)."""
        return (self.dimensions,)

    @property
    def levels(self) -> None:
        """None: points have a density."""
        return None

    def squash(self, x: Tensor) -> Tensor:
        """Return tanh(x): sources scale points into [-1, 1]."""
        return torch.tanh(x)

    def widened(self, channels: int) -> "Points":
        """Return points with `channels` more dimensions."""
        return Points(self.dimensions + channels)

    def draw(self, x: Tensor, columns: int | None = None) -> Picture:
        """Draw the first two numbers of each point as a dot in [-1, 1]²."""
        return scatter_plot(x)


@dataclass(frozen=True)
class Classes:
    """Class labels, () int64: positions in `names`."""

    kind: ClassVar[str] = "classes"
    noun: ClassVar[str] = "labels"
    spatial: ClassVar[int] = 0
    bounded: ClassVar[bool] = False
    fine: ClassVar[bool] = False
    exact: ClassVar[bool] = False
    shown: ClassVar[int] = 64

    names: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.names)

    @property
    def shape(self) -> tuple[()]:
        """()."""
        return ()

    @property
    def levels(self) -> int:
        """Number of classes."""
        return len(self.names)

    def squash(self, x: Tensor) -> Tensor:
        """Return the most likely class of logits (B, K)."""
        return x.argmax(-1)

    def dequantise(self, x: Tensor, draws: Tensor | float) -> tuple[Tensor, Tensor]:
        """Labels are generated by no flow."""
        raise TypeError("labels have no density")

    def quantise(self, numbers: Tensor) -> Tensor:
        """Labels are generated by no flow."""
        raise TypeError("labels have no density")

    def widened(self, channels: int) -> "Classes":
        """Labels have no channels."""
        raise TypeError("labels have no channels to add to")

    def default(self, count: int) -> Tensor:
        """Return i % K for each row i, (count,): labels that cycle through the classes."""
        return torch.arange(count) % len(self.names)

    def check(self, given: Tensor, count: int, name: str) -> None:
        """Raise UsageError unless `given` holds `count` labels of these classes."""
        if tuple(given.shape) != (count,):
            raise UsageError(f"labels of shape {tuple(given.shape)} for {count} samples, which take ({count},).")
        if given.is_floating_point():
            raise UsageError(f"labels are whole numbers, not {given.dtype}.")
        if count and not 0 <= int(given.min()) <= int(given.max()) < len(self.names):
            raise UsageError(
                f"labels {given.min()} to {given.max()} were given; the model knows 0 to {len(self.names) - 1}."
            )

    def draw(self, x: Tensor, columns: int | None = None) -> Picture:
        """Write the name of each label on a tile."""
        return label_tiles([self.names[label] for label in x.tolist()], columns)


MODALITIES: Mapping[str, type[Images] | type[Points] | type[Classes] | type[Table]] = {
    "images": Images,
    "points": Points,
    "classes": Classes,
    "table": Table,
}


@dataclass(frozen=True)
class DataSpec:
    """The target and the conditions that networks are built for.

    Args:
        target: the modality that a model generates.
        conditions: the modality of each condition, by name: "label", "source", …
        aligned: whether an example is what its source should become; False for two sets of unpaired examples.
    """

    target: Modality
    conditions: Mapping[str, Modality] = field(default_factory=dict)
    aligned: bool = True

    @property
    def classes(self) -> int:
        """Number of classes; 0 for data without labels."""
        return len(self.class_names)

    @property
    def class_names(self) -> tuple[str, ...]:
        """The names of the classes; () for data without labels."""
        label = self.conditions.get("label")
        return label.names if isinstance(label, Classes) else ()

    def values(self) -> dict[str, Any]:
        """Return the spec as plain values for YAML."""
        given = {name: _values(modality) for name, modality in self.conditions.items()}
        unaligned = {} if self.aligned else {"aligned": False}
        return {"target": _values(self.target), "conditions": given, **unaligned}

    @classmethod
    def of(cls, values: Mapping[str, Any]) -> "DataSpec":
        """Return the spec that `values` describe, as `values()` returns them.

        Raises:
            CheckpointError: a kind of data that this version of genlab does not know.
            KeyError, TypeError, ValueError: they describe no data.
        """
        given = {name: _modality(plain) for name, plain in values["conditions"].items()}
        return cls(_modality(values["target"]), given, bool(values.get("aligned", True)))


def _values(modality: Modality) -> dict[str, Any]:
    fields = asdict(modality)  # type: ignore[call-overload]
    return {"kind": modality.kind, **{name: _plain(value) for name, value in fields.items()}}


def _plain(value: Any) -> Any:  # noqa: ANN401
    """Return a value with lists instead of tuples, as YAML and JSON have them."""
    if isinstance(value, dict):
        return {name: _plain(each) for name, each in value.items()}
    return [_plain(each) for each in value] if isinstance(value, tuple | list) else value


def _modality(values: Mapping[str, Any]) -> Modality:
    kind = values["kind"]
    fields: dict[str, Any] = {
        name: tuple(value) if isinstance(value, list) else value
        for name, value in values.items()
        if name != "kind"
    }
    if kind not in MODALITIES:
        raise CheckpointError(
            f'this version of genlab knows no data of kind "{kind}". Choices: {", ".join(MODALITIES)}.'
        )
    modality: Modality = MODALITIES[kind](**fields)
    sizes = [fields[name] for name in ("channels", "height", "width", "dimensions") if name in fields]
    if not all(type(size) is int and size > 0 for size in sizes) or prod(sizes) > LARGEST:
        raise ValueError(f"{' × '.join(map(str, sizes))} is not a size of an example")
    if not all(isinstance(name, str) for name in fields.get("names", ())):
        raise ValueError("a name of a class is not text")
    return modality
