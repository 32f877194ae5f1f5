"""The recipe of diffusion models and flow matching."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, ClassVar, Literal, TypeAlias

from genlab.core.errors import UsageError
from genlab.recipes.fields import names_of, option
from genlab.recipes.recipe import Recipe

if TYPE_CHECKING:
    from torch import nn

    from genlab.core.contract import Training
    from genlab.core.modality import DataSpec
    from genlab.core.random import Randomness
    from genlab.core.reading import Reads
    from genlab.families.diffusion import Sampling

ClassesName = Literal["none", "embedding"]
if TYPE_CHECKING:
    DenoiserName: TypeAlias = str
    ScheduleName: TypeAlias = str
    PredictionName: TypeAlias = str
    SamplerName: TypeAlias = str
else:
    DenoiserName = names_of("architectures.denoiser", "DENOISERS")
    ScheduleName = names_of("objectives.diffusion", "SCHEDULES")
    PredictionName = names_of("objectives.diffusion", "PREDICTIONS")
    SamplerName = names_of("families.samplers", "SAMPLERS")

MOST_NOISE = 1000  # the largest σ/α from which an unbounded image can be recovered once the noise is known


@dataclass(frozen=True)
class DiffusionRecipe(Recipe):
    """A diffusion model: a noise schedule, a prediction and a sampler."""

    family: ClassVar[str] = "diffusion"
    regularized: ClassVar[tuple[str, ...]] = ("weights",)
    takes_sources: ClassVar[bool] = True

    architecture: DenoiserName = option(
        "unet", "denoising network; mlp is for points and small images", part="architecture"
    )
    width: int = option(
        128, "channels at full resolution; for mlp, units per hidden layer; lower it on a CPU", least=1
    )
    depth: int | None = option(None, "hidden layers of mlp; 3 by default", least=1, most=1000)
    attention: int | None = option(
        None,
        "side of the feature maps with self-attention, 0 for none; by default 16 or the next one below",
        least=0,
    )
    dropout: float = option(0.0, "dropout probability; raise it if the model overfits", least=0, most=0.9)
    schedule: ScheduleName = option(
        "linear", "noise schedule; cosine suits small images, straight is flow matching", part="noise-schedule"
    )
    timesteps: int = option(1000, "noise levels in training", least=2, most=100_000)
    prediction: PredictionName = option(
        "noise", "what the network predicts; velocity is more stable than noise at high noise levels"
    )
    sampler: SamplerName = option(
        "ancestral",
        "sampling method; ancestral needs all steps, dpm++2m the fewest",
        part="sampler",
        sampling=True,
    )
    sampling_steps: int | None = option(
        None,
        "steps of the sampler; fewer are faster; by default --timesteps",
        least=1,
        most=100_000,
        sampling=True,
    )
    eta: float = option(
        0.0,
        "noise that ddim adds in each step: 0 is deterministic, 1 is as much as ancestral",
        least=0,
        most=1,
        sampling=True,
    )
    translate: bool = option(
        False, "generate each image from a source image; the data are pairs of source and target"
    )
    labels: ClassesName = option(
        "none", "how the network is conditioned on the class; embedding allows sampling by class"
    )
    label_dropout: float = option(
        0.1, "share of the images trained without their label, which --guidance needs", above=0, most=0.9
    )
    guidance: float = option(
        1.0,
        "scale of classifier-free guidance, 1 for none; raise it for clearer classes and less variety",
        least=0,
        sampling=True,
    )
    guidance_interval: tuple[float, float] = option(
        (0.0, 1.0),
        "times from 0 (image) to 1 (noise) at which --guidance acts; narrow it for more variety",
        least=0,
        most=1,
        sampling=True,
    )
    batch_size: int = option(
        128,
        "images per step, over all processes together; lower it if memory runs out",
        least=2,
        aliases=("batch",),
    )
    lr: float = option(2e-4, "learning rate of Adam; lower it if the loss diverges", above=0)
    betas: tuple[float, float] = option(
        (0.9, 0.999), "β₁ and β₂ of Adam; lower β₁ if training oscillates", least=0, most=0.9999
    )
    clip_norm: float | None = option(
        1.0, "largest gradient norm; larger gradients are scaled down to it; lower it if they explode", above=0
    )
    ema: float = option(
        0.9999,
        "decay of the averaged weights, which are evaluated and sampled; 0 for no average",
        least=0,
        most=0.99999,
    )

    @property
    def reads(self) -> Reads:
        """Pairs to translate, or examples."""
        return "pairs" if self.translate else "examples"

    def model(self, spec: DataSpec) -> nn.Module:
        """Return a `Diffusion`; it is conditional if `labels` is set and the data have classes."""
        import torch

        from genlab.architectures.denoiser import denoiser
        from genlab.core.modality import DataSpec
        from genlab.families.diffusion import Diffusion
        from genlab.objectives.diffusion import SCHEDULES

        with torch.device("cpu"):  # a number is read from its tables below
            schedule = self.part(SCHEDULES, self.schedule)(self.timesteps)
        noise = (schedule.sigmas[-1] / schedule.alphas[-1]).item()
        if self.prediction == "noise" and noise == math.inf:
            raise UsageError(self._pure_noise())
        if not spec.target.bounded and self.prediction == "noise" and noise > MOST_NOISE:
            raise UsageError(
                f"--schedule {self.schedule} with --timesteps {self.timesteps} ends at {noise:,.0f} times as much "
                "noise as data, which multiplies the errors of --prediction noise by that number. Pixels are "
                "clamped to their range, points and rows are not. Set --prediction velocity, or --schedule "
                "linear, --timesteps 1000."
            )
        labels = {"label": spec.conditions["label"]} if self.labels != "none" and spec.classes else {}
        sources = self.sources(spec)
        used = DataSpec(spec.target, {**labels, **sources})
        network = denoiser(
            self.architecture,
            used.target,
            self.width,
            classes=used.classes,
            sources=sources,
            attention=self.attention,
            dropout=self.dropout,
            depth=self.depth,
            own=self.own,
        )
        return Diffusion(
            network,
            used,
            schedule,
            self.prediction,
            sampling=self._sampling(),
        )

    def _sampling(self) -> Sampling:
        from genlab.families.diffusion import Sampling
        from genlab.families.guidance import Guidance
        from genlab.families.samplers import SAMPLERS

        sampler = self.part(SAMPLERS, self.sampler)
        built_in = self.sampler in SAMPLERS.rows  # whose options have the same names here
        options = {f.name: getattr(self, f.name) for f in fields(sampler)} if built_in else {}  # type: ignore[arg-type]
        return Sampling(sampler(**options), self.sampling_steps, Guidance(self.guidance, self.guidance_interval))

    def training(self, model: nn.Module, randomness: Randomness) -> Training:
        """Return a `DiffusionTraining`."""
        from genlab.core.optimizer import adam
        from genlab.families.diffusion import Diffusion, DiffusionTraining

        assert isinstance(model, Diffusion)
        return DiffusionTraining(
            model,
            self.player("diffusion", model, adam(model, "diffusion", self.lr, self.betas)),
            randomness,
            label_dropout=self.label_dropout,
            accumulate=self.accumulate,
        )

    def refuse(self, spec: DataSpec | None = None, processes: int = 1) -> None:
        """Raise UsageError for options that cannot be combined."""
        super().refuse(spec, processes)
        for wrong, reason in self._wrong(spec):
            if wrong:
                raise UsageError(reason)

    def _pure_noise(self) -> str:
        return (
            f"--schedule {self.schedule} ends in pure noise, where --prediction noise contains no information "
            "about the image. Set --prediction flow, velocity or image, or --schedule cosine."
        )

    def _wrong(self, spec: DataSpec | None) -> Iterator[tuple[bool, str]]:
        steps = self.sampling_steps or 0
        yield (
            steps > self.timesteps,
            f"--sampling-steps {steps} exceeds the {self.timesteps} noise levels of the schedule. Choose 1 to "
            f"{self.timesteps}, or train with more --timesteps.",
        )
        yield (
            self.schedule == "straight" and self.prediction == "noise",
            self._pure_noise(),
        )
        yield (
            self.architecture == "mlp" and bool(self.attention or self.dropout),
            "--attention and --dropout are for --architecture unet. Set --dropout 0 and leave --attention out.",
        )
        yield (
            self.eta > 0 and self.sampler != "ddim",
            f"--eta {self.eta:g} is only for --sampler ddim, not {self.sampler}. Set --eta 0, or --sampler ddim.",
        )
        yield (
            self.guidance != 1 and self.labels == "none",
            f"--guidance {self.guidance:g} needs a model that is conditioned on the class. Train it with --labels "
            "embedding, or leave --guidance out.",
        )
        low, high = self.guidance_interval
        yield (
            low >= high,
            f"--guidance-interval {low:g} {high:g} is empty. Give the smaller number first, such as 0.2 0.8.",
        )
        yield (
            (low, high) != type(self).guidance_interval and self.guidance == 1,
            f"--guidance-interval {low:g} {high:g} has no effect with --guidance 1, which is no guidance. Set "
            "--guidance 2, or leave --guidance-interval out.",
        )
        yield (
            self.label_dropout != type(self).label_dropout and self.labels == "none",
            f"--label-dropout {self.label_dropout:g} has no effect without labels. Set --labels embedding, or "
            "leave --label-dropout out.",
        )
        yield (
            self.translate and spec is not None and "source" not in spec.conditions,
            "--translate generates each image from a source, but these data have no sources. Give a folder with "
            "the sub-folders A and B, or the targets by --data and the sources by --source, or leave --translate "
            "out.",
        )
        yield (
            self.translate and spec is not None and not spec.aligned,
            "--translate learns from pairs, but these sources and targets are unpaired. Use cyclegan or cut, or "
            "give each source the file name of its target.",
        )
        yield (
            self.labels != "none" and spec is not None and spec.classes == 0,
            f"--labels {self.labels} needs labelled data, but these have no labels. Put the images of each class "
            "into their own folder, or set --labels none.",
        )
