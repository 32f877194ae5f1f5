"""The recipe of diffusion models and flow matching."""

from __future__ import annotations

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

MOST_NOISE = 1000  # times the image, from which an unbounded image can be told when the noise is known


@dataclass(frozen=True)
class DiffusionRecipe(Recipe):
    """A diffusion model: a schedule, a prediction and a sampler."""

    family: ClassVar[str] = "diffusion"
    takes_sources: ClassVar[bool] = True
    of_sampling: ClassVar[tuple[str, ...]] = ("sampler", "sampling_steps", "eta", "guidance", "guidance_interval")

    architecture: DenoiserName = option("unet", "the network that tells the image from the noise")
    width: int = option(128, "channels of the maps at the image; of mlp, hidden units", least=1)
    depth: int | None = option(None, "hidden layers of mlp; by default 3", least=1)
    attention: int | None = option(
        None, "side of the maps that get self-attention, 0 for none; by default 16 or the next below", least=0
    )
    dropout: float = option(0.0, "share of the activations that is dropped in training", least=0, most=0.9)
    schedule: ScheduleName = option("linear", "how images become noise")
    timesteps: int = option(1000, "levels of noise", least=2)
    prediction: PredictionName = option("noise", "what the network is asked for")
    sampler: SamplerName = option("ancestral", "how noise becomes images")
    sampling_steps: int | None = option(None, "levels that a sampler goes through; by default all", least=1)
    eta: float = option(
        0.0, "of ddim: how much noise each step draws anew; 1 for as much as ancestral", least=0, most=1
    )
    labels: ClassesName = option("none", "how the network is told the class of each picture")
    label_dropout: float = option(0.1, "share of the pictures whose class is kept from it", above=0, most=0.9)
    guidance: float = option(
        1.0, "how far pictures of a class are driven from all others; 1 for not at all", least=0
    )
    guidance_interval: tuple[float, float] = option(
        (0.0, 1.0), "times between the image (0) and noise (1) at which --guidance acts", least=0, most=1
    )
    batch_size: int = option(128, "images per step, over all processes together", least=2, aliases=("batch",))
    lr: float = option(2e-4, "Adam's learning rate", above=0)
    betas: tuple[float, float] = option((0.9, 0.999), "Adam's moment decays", least=0, most=0.9999)
    clip_norm: float | None = option(1.0, "largest norm of the gradient; longer ones are cut to it", above=0)
    ema: float = option(
        0.9999, "decay of the average of the weights that is published; 0 for none", least=0, most=0.99999
    )

    def model(self, spec: DataSpec) -> nn.Module:
        """Return a `Diffusion`; it knows classes where there are labels to be told and classes of the data."""
        import torch

        from genlab.architectures.denoiser import denoiser
        from genlab.core.modality import DataSpec
        from genlab.families.diffusion import Diffusion
        from genlab.objectives.diffusion import SCHEDULES

        with torch.device("cpu"):  # where its tables are, and their numbers are looked at
            schedule = SCHEDULES[self.schedule](self.timesteps)
        noise = (schedule.sigmas[-1] / schedule.alphas[-1]).item()
        if not spec.target.bounded and self.prediction == "noise" and noise > MOST_NOISE:
            raise UsageError(
                f"--schedule {self.schedule} with {self.timesteps} --timesteps ends in {noise:,.0f} times as much "
                "noise as image, which enlarges the errors of --prediction noise as much: pixels are held in "
                "their range, points are not. Set --prediction velocity, or --schedule linear, --timesteps 1000."
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

        sampler = SAMPLERS[self.sampler]
        options = {f.name: getattr(self, f.name) for f in fields(sampler)}  # of the same names as those here
        return Sampling(sampler(**options), self.sampling_steps, Guidance(self.guidance, self.guidance_interval))

    def training(self, model: nn.Module, randomness: Randomness) -> Training:
        """Return a `DiffusionTraining`."""
        from genlab.core.optimizer import adam
        from genlab.core.player import Player
        from genlab.families.diffusion import Diffusion, DiffusionTraining

        assert isinstance(model, Diffusion)
        return DiffusionTraining(
            model,
            Player("diffusion", model, adam(model, "diffusion", self.lr, self.betas), clip_norm=self.clip_norm),
            randomness,
            label_dropout=self.label_dropout,
            accumulate=self.accumulate,
        )

    def refuse(self, spec: DataSpec | None = None, processes: int = 1) -> None:
        """Raise UsageError for parts that do not go together."""
        super().refuse(spec, processes)
        for wrong, reason in self._wrong(spec):
            if wrong:
                raise UsageError(reason)

    def _wrong(self, spec: DataSpec | None) -> Iterator[tuple[bool, str]]:
        steps = self.sampling_steps or 0
        yield (
            steps > self.timesteps,
            f"--sampling-steps {steps} are more than the {self.timesteps} levels of the schedule. Choose 1 to "
            f"{self.timesteps}, or more --timesteps.",
        )
        yield (
            self.schedule == "straight" and self.prediction == "noise",
            "--schedule straight ends in pure noise, in which the noise says nothing about the image. Set "
            "--prediction flow, velocity or image, or --schedule cosine.",
        )
        yield (
            self.architecture == "mlp" and bool(self.attention or self.dropout),
            "attention and dropout are for --architecture unet. Set --dropout 0 and no --attention.",
        )
        yield (
            self.eta > 0 and self.sampler != "ddim",
            f"--eta {self.eta:g} is of --sampler ddim; {self.sampler} has none. Set --eta 0, or --sampler ddim.",
        )
        yield (
            self.guidance != 1 and self.labels == "none",
            f"--guidance {self.guidance:g} is towards a class, and this network is told none. Train it with "
            "--labels embedding, or leave --guidance out.",
        )
        low, high = self.guidance_interval
        yield (
            low >= high,
            f"--guidance-interval {low:g} {high:g} holds no time. Set the smaller number first, such as 0.2 0.8.",
        )
        yield (
            (low, high) != type(self).guidance_interval and self.guidance == 1,
            f"--guidance-interval {low:g} {high:g} limits --guidance, which is 1 and changes nothing. Set "
            "--guidance 2, or leave --guidance-interval out.",
        )
        yield (
            self.label_dropout != type(self).label_dropout and self.labels == "none",
            f"--label-dropout {self.label_dropout:g} keeps classes from a network that is told none. Train it "
            "with --labels embedding, or leave --label-dropout out.",
        )
        yield (
            self.labels != "none" and spec is not None and spec.classes == 0,
            f"--labels {self.labels} needs labelled data, and these have none. Put the pictures of each class "
            "into a folder of its own, or set --labels none.",
        )
