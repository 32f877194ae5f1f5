"""The recipe of style transfer."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Literal

from genlab.core.errors import UsageError
from genlab.recipes.fields import option
from genlab.recipes.recipe import Recipe

if TYPE_CHECKING:
    from torch import nn

    from genlab.core.contract import Training
    from genlab.core.modality import DataSpec
    from genlab.core.random import Randomness
    from genlab.core.reading import Reads
    from genlab.core.schedules import Schedule

LEAST = 16  # pixels of a side


@dataclass(frozen=True)
class StyleTransferRecipe(Recipe):
    """A decoder of features that have the means and deviations of another picture."""

    family: ClassVar[str] = "style-transfer"
    takes_sources: ClassVar[bool] = True
    regularized: ClassVar[tuple[str, ...]] = ("weights",)

    architecture: Literal["efficientnet-lite0", "vgg19"] = option(
        "efficientnet-lite0", "frozen network whose features are decoded; vgg19, as published, needs --vgg"
    )
    vgg: str | None = option(
        None, "file with the weights of VGG-19 that torchvision publishes, for --architecture vgg19"
    )
    stride: Literal[4, 8] = option(
        4,
        "pixels for each position of the decoded features; 8, as published, gives larger patterns and takes "
        "longer to learn",
    )
    width: int = option(64, "channels of the decoder next to the image; lower it on a CPU", least=1)
    content_weight: float = option(
        1.0, "weight of the content loss; raise it for pictures that keep more of the content", least=0
    )
    style_weight: float = option(10.0, "weight of the style loss; raise it for more of the style", least=0)
    identity_weight: float = option(
        10.0, "weight of the L1 distance of contents to themselves, decoded without a style", least=0
    )
    alpha: float = option(
        1.0,
        "strength of the style, from 0, which gives the content back, to 1",
        least=0,
        most=1,
        sampling=True,
    )
    batch_size: int = option(
        8,
        "images per step, over all processes together; lower it if memory runs out",
        least=2,
        aliases=("batch",),
    )
    lr: float = option(1e-4, "learning rate of Adam; lower it if the loss diverges", above=0)
    lr_decay: float = option(
        5e-5, "decay k of the learning rate, lr / (1 + k · step), besides --lr-schedule; 0 for none", least=0
    )
    betas: tuple[float, float] = option(
        (0.9, 0.999), "β₁ and β₂ of Adam; lower β₁ if training oscillates", least=0, most=0.9999
    )

    @property
    def reads(self) -> Reads:
        """Contents, and pictures whose style they take."""
        return "styles"

    def rate(self) -> Schedule:
        """Return the factor on the learning rate: that of --lr-schedule, divided by 1 + k · step."""
        schedule = super().rate()
        return lambda step: schedule(step) / (1 + self.lr_decay * step)

    def model(self, spec: DataSpec) -> nn.Module:
        """Return a `StyleTransfer`.

        Weights of its encoder that cannot be read are NaN: `refuse` says so before a training, and a checkpoint
        has them.
        """
        from genlab.architectures.mirror import mirror_decoder
        from genlab.families.style_transfer import StyleTransfer
        from genlab.metrics.extractors.taps import taps

        if spec.target.spatial != 2 or min(spec.target.shape[1:]) < LEAST:
            raise UsageError(
                f"style-transfer takes pictures of {LEAST} pixels or more, not {spec.target}. Set --size {LEAST} "
                "or more; for points use a preset such as gan."
            )
        encoder = taps(self.architecture, self.vgg, filled=False)
        level = encoder.strides.index(self.stride)
        given = {"source": spec.conditions.get("source", spec.target), "style": spec.target}
        decoder = mirror_decoder(encoder.channels[level], spec.target, self.width, self.stride)
        return StyleTransfer(spec.target, given, encoder, level, decoder, alpha=self.alpha)

    def training(self, model: nn.Module, randomness: Randomness) -> Training:
        """Return a `StyleTransferTraining`."""
        from genlab.core.optimizer import adam
        from genlab.families.style_transfer import StyleTransfer, StyleTransferTraining

        assert isinstance(model, StyleTransfer)
        return StyleTransferTraining(
            model,
            self.player("decoder", model, adam(model, "decoder", self.lr, self.betas)),
            randomness,
            self.accumulate,
            content_weight=self.content_weight,
            style_weight=self.style_weight,
            identity_weight=self.identity_weight,
        )

    def refuse(self, spec: DataSpec | None = None, processes: int = 1) -> None:
        """Raise UsageError for options that cannot be combined, unreadable weights, or data without styles."""
        super().refuse(spec, processes)
        if self.vgg is not None and self.architecture != "vgg19":
            raise UsageError(f"--vgg {self.vgg} is for --architecture vgg19. Set that, too, or leave --vgg out.")
        if not self.content_weight + self.style_weight + self.identity_weight:
            raise UsageError("with all weights at 0 there is nothing to learn. Set --style-weight 10.")
        if spec is None:
            return
        if not {"source", "style"} <= spec.conditions.keys():
            raise UsageError(
                "style-transfer learns from contents and styles, but these data have only one kind of picture. "
                "Give a folder with the sub-folders A, for contents, and B, for styles; or the styles by --data "
                "and the contents by --source."
            )
        from genlab.metrics.extractors.taps import taps

        taps(self.architecture, self.vgg)
