"""The generator of BigGAN: the residual network of SN-GAN, each of whose blocks gets its own part of the latent.

The latent is cut into equal chunks, one for the first layer and one for each block. A block's chunk and the
vector of the class, which all blocks share, set the gains and biases of its batch normalisation. Channels are
those of `resnet`; the discriminator is its, too.

References:
    Brock, Donahue and Simonyan, 2018. Large Scale GAN Training for High Fidelity Natural Image Synthesis,
    section 3 and appendix B. arXiv:1809.11096.
"""

from functools import partial
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn.functional import embedding

from genlab.architectures.attention import SelfAttention
from genlab.architectures.conditional import Conditional, ConditionalSequential, required
from genlab.architectures.mixed import Mixed
from genlab.architectures.normalization import BatchNorm2d
from genlab.architectures.parts import MakeNorm
from genlab.architectures.resnet import Up, layout
from genlab.core.condition import NONE, Condition
from genlab.core.errors import UsageError
from genlab.core.modality import Modality

SHARED = 128  # dimensions of the vector of a class
CODE = "code"  # the condition of a block: its chunk of the latent, and the vector of the class


def decoder(
    latent: int,
    modality: Modality,
    width: int,
    *,
    norm: MakeNorm = BatchNorm2d,
    attention: int | None = None,
    classes: int = 0,
) -> ConditionalSequential:
    """Return a network from latents (B, latent) to pre-activations (B, C, H, W) of an image.

    Args:
        latent: dimensions of the latent.
        modality: of the output.
        width: as of `resnet`.
        norm: of the last map; those of the blocks are conditional.
        attention: side of the feature maps that get self-attention, after the block that reaches it.
        classes: number of classes; 0 for a network without labels.

    Raises:
        UsageError: a size that the architecture does not support, attention at a side that no map has, or a latent
            with fewer dimensions than chunks.
    """
    return ConditionalSequential(_Generator(latent, modality, width, norm, attention, classes))


def initialise(network: nn.Module) -> None:
    """Initialise weights with orthogonal matrices, and biases to 0."""
    for module in network.modules():
        if isinstance(module, nn.Conv2d | nn.Linear):
            nn.init.orthogonal_(module.weight)
            if module.bias is not None:
                nn.init.zeros_(module.bias)


class _Generator(Conditional, Mixed):
    def __init__(
        self, latent: int, modality: Modality, width: int, norm: MakeNorm, attention: int | None, classes: int
    ) -> None:
        super().__init__()
        base, sides, widths = layout(modality, width, attention, "biggan")
        chunk = latent // len(widths)
        if not chunk:
            raise UsageError(
                f"--latent {latent} has too few dimensions: the biggan architecture cuts it into {len(widths)} "
                f"chunks. Choose {len(widths)} or more."
            )
        self.chunks = [latent - chunk * len(sides), *[chunk] * len(sides)]
        # No nn.Embedding: spectral normalisation applies to embeddings, too, and the published one has none.
        self.vectors = nn.Parameter(nn.init.orthogonal_(torch.empty(classes, SHARED))) if classes else None
        size = chunk + (SHARED if classes else 0)
        self.first = nn.Linear(self.chunks[0], widths[0] * base**2)
        self.unflatten = nn.Unflatten(1, (widths[0], base, base))
        make = partial(CodeBatchNorm2d, size=size)
        self.blocks = nn.ModuleList(Up(*channels, make) for channels in pairwise(widths))
        reached = dict(zip(sides, widths[1:], strict=True))
        self.attended = sides.index(attention) if attention else None
        self.attention = SelfAttention(reached[attention]) if attention else None
        self.last = ConditionalSequential(
            norm(widths[-1]), nn.ReLU(), nn.Conv2d(widths[-1], modality.shape[0], 3, padding=1)
        )

    def forward(self, latents: Tensor, condition: Condition = NONE) -> Tensor:
        """Return the pre-activations of an image, in float32."""
        first, *chunks = torch.split(latents, self.chunks, dim=1)
        shared = [] if self.vectors is None else [embedding(required(condition), self.vectors)]
        with self.shortened(latents.device):
            maps = self.unflatten(self.first(first))
            for number, (block, chunk) in enumerate(zip(self.blocks, chunks, strict=True)):
                maps = block(maps, {CODE: torch.cat([chunk, *shared], dim=1)})
                if self.attention is not None and number == self.attended:
                    maps = self.attention(maps)
            maps = self.last(maps, condition)
        return self.restored(maps)


class CodeBatchNorm2d(Conditional):
    """Batch normalisation whose gains and biases are linear in a code c: (1 + W_γ c) · (x − μ)/σ + W_β c.

    Args:
        channels: of the maps.
        size: of the code.
    """

    def __init__(self, channels: int, size: int) -> None:
        super().__init__()
        self.normalise = BatchNorm2d(channels, affine=False)
        self.gain = nn.Linear(size, channels, bias=False)
        self.bias = nn.Linear(size, channels, bias=False)

    def forward(self, maps: Tensor, condition: Condition = NONE) -> Tensor:
        """Normalise (B, C, H, W) for the codes (B, size) in `condition`."""
        code = required(condition, CODE)
        gain, bias = (layer(code)[:, :, None, None] for layer in (self.gain, self.bias))
        result: Tensor = self.normalise(maps) * (1 + gain) + bias
        return result
