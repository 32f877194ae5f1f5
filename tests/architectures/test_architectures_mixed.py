"""Networks that multiply in bf16: nearly the same answers, and float32 wherever digits count."""

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn.functional import cosine_similarity, interpolate

import genlab
from genlab.architectures import compose
from genlab.architectures.denoiser import denoiser
from genlab.architectures.mixed import MixedSequential, compute_in
from genlab.core import device
from genlab.core.device import precision
from genlab.core.errors import UsageError
from genlab.core.modality import Images, Points
from genlab.core.random import Draws, generator
from genlab.recipes.resolve import resolve
from genlab.regularizers.gradient import wgan_gp
from genlab.regularizers.spectral import spectral_norm_
from genlab.training import checkpoint
from genlab.training.run_folder import RunFolder

SHAPE = Images(3, 32, 32)
ARCHITECTURES = ("mlp", "dcgan", "dcgan-upsample", "resnet")


def discriminator(architecture: str, *, spectral: bool = False) -> nn.Module:
    torch.manual_seed(0)
    network = compose.discriminator(architecture, SHAPE, 8, minibatch="stddev", labels="projection", classes=3)
    if spectral:
        spectral_norm_(network)
    return network


def images(count: int = 12) -> Tensor:
    """Return smooth images: those of white noise have slopes that nearly cancel, which no pictures have."""
    noise = torch.rand(count, SHAPE.channels, 4, 4, generator=torch.Generator().manual_seed(1)) * 2 - 1
    return interpolate(noise, SHAPE.shape[1:], mode="bicubic").clamp(-1, 1)


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_answers_are_nearly_the_same_and_float32(architecture: str) -> None:
    torch.manual_seed(0)
    decoder, judge = compose.decoder(architecture, 16, SHAPE, 8), discriminator(architecture)
    labelled = {"label": torch.arange(12) % 3}
    latents = torch.randn(12, 16)
    made, scores = [], []
    for dtype in (torch.float32, torch.bfloat16):
        for network in (decoder, judge):
            compute_in(dtype, network)
        made.append(decoder(latents))
        scores.append(judge(images(), labelled).scores)
    assert made[1].dtype == scores[1].dtype == torch.float32
    for whole, short in (made, scores):
        assert not torch.equal(whole, short)
        assert (whole - short).norm() < 0.03 * whole.norm()


def test_weights_gradients_and_statistics_stay_float32() -> None:
    judge = discriminator("dcgan")
    compute_in(torch.bfloat16, judge)
    judge(images(), {"label": torch.zeros(12, dtype=torch.long)}).scores.sum().backward()
    tensors = [*judge.state_dict().values(), *(p.grad for p in judge.parameters() if p.grad is not None)]
    assert {t.dtype for t in tensors if t.is_floating_point()} == {torch.float32}


def test_a_spectral_norm_keeps_its_digits() -> None:
    """In bf16 σ would be off by up to half a percent, and the power method with it."""
    whole, short = discriminator("dcgan", spectral=True), discriminator("dcgan", spectral=True)
    compute_in(torch.bfloat16, short)
    for network in (whole, short):
        network(images(), {"label": torch.zeros(12, dtype=torch.long)})
    vectors = {name: vector for name, vector in whole.named_buffers() if name.endswith(".v")}
    assert len(vectors) > 3
    for name, vector in short.named_buffers():
        if name in vectors:
            assert torch.equal(vector, vectors[name])


def test_a_penalty_is_nearly_the_same_and_its_gradient_too() -> None:
    torch.manual_seed(0)
    judge, found = compose.discriminator("dcgan", SHAPE, 16, norm="layer"), []
    for dtype in (torch.float32, torch.bfloat16):
        compute_in(dtype, judge)
        judge.zero_grad()
        penalty = wgan_gp(lambda x: judge(x).scores, images(), -images(), Draws(generator(0, "u"), 12))
        penalty.backward()
        slopes = [p.grad.flatten() for p in judge.parameters() if p.grad is not None]
        found.append((penalty.item(), torch.cat(slopes)))
    (whole, slope), (short, other) = found
    assert short == pytest.approx(whole, rel=0.02)
    assert cosine_similarity(slope, other, dim=0) > 0.999


def test_points_keep_all_their_digits() -> None:
    point = Points(2)
    decoder = compose.decoder("mlp", 2, point, 8)
    assert not any(isinstance(module, MixedSequential) for module in decoder.modules())
    assert not any(isinstance(m, MixedSequential) for m in compose.discriminator("mlp", point, 8).modules())
    for shape, dtype in ((point, torch.float32), (Images(1, 8, 8), torch.bfloat16)):
        network = denoiser("mlp", shape, 8)
        compute_in(torch.bfloat16, network)
        assert network.multiplies_in == dtype


@pytest.mark.parametrize(
    ("preset", "options", "used"),
    [
        ("glow", {"data": "digits", "size": 8, "flow_steps": 1}, "bfloat16"),
        ("spline-flow", {"data": "ring8", "flow_steps": 1}, "float32"),
        ("flow-matching", {"data": "ring8", "architecture": "mlp", "sampling_steps": 2}, "float32"),
    ],
)
def test_a_run_says_what_its_networks_multiply_in(
    preset: str, options: dict[str, Any], used: str, tmp_path: Path
) -> None:
    tiny = {"width": 4, "batch_size": 8, "steps": 2, "quiet": True, "precision": "bf16", "root": tmp_path}
    run = genlab.train(preset, **tiny, **options)
    assert RunFolder(run.folder).events("started")[0]["precision"] == used


def test_a_run_in_bf16_goes_on_to_the_same_bits(tmp_path: Path) -> None:
    tiny = {"width": 4, "batch_size": 8, "size": 16, "quiet": True, "precision": "bf16", "root": tmp_path}
    whole = genlab.train("dcgan", steps=6, name="whole", **tiny)
    part = genlab.train("dcgan", steps=3, name="part", **tiny)
    genlab.resume(part, steps=6, quiet=True)
    one, two = (checkpoint.load(RunFolder(Path(run)).last) for run in (whole, part))
    assert all(torch.equal(tensor, two.model[name]) for name, tensor in one.model.items())
    assert RunFolder(whole.folder).events("started")[0]["precision"] == "bfloat16"
    other = genlab.train("dcgan", steps=6, name="float32", **{**tiny, "precision": "float32"})
    exact = checkpoint.load(RunFolder(other.folder).last)
    assert not all(torch.equal(tensor, exact.model[name]) for name, tensor in one.model.items())


def test_a_loaded_model_computes_as_it_was_trained(tmp_path: Path) -> None:
    tiny = {"width": 4, "batch_size": 8, "size": 16, "quiet": True, "steps": 1, "root": tmp_path}
    for name, dtype in (("bf16", torch.bfloat16), ("float32", torch.float32)):
        model = genlab.load(genlab.train("dcgan", precision=name, **tiny))
        assert {m.dtype for m in model.modules() if isinstance(m, MixedSequential)} == {dtype}


def test_perceptrons_stay_in_float32_unless_bf16_is_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(device, "bf16_units", lambda _: ["units"])
    cpu = torch.device("cpu")
    assert [resolve(preset).dtype(cpu) for preset in ("vae", "conv-vae")] == [torch.float32, torch.bfloat16]
    assert resolve("vae", {"precision": "bf16"}).dtype(cpu) == torch.bfloat16
    assert resolve("conv-vae", {"precision": "float32"}).dtype(cpu) == torch.float32


def test_an_unknown_precision_is_refused_with_the_choices() -> None:
    with pytest.raises(UsageError, match=r"float16.*bf16.*float32"):
        precision("float16", torch.device("cpu"))


def test_a_u_net_in_bf16_sees_the_least_noise_beside_a_bright_pixel() -> None:
    """In bf16 1 − 0.001 is 1; what the first layer makes of it may be rounded, but not what it is given."""
    network = denoiser("unet", Images(1, 8, 8), 8)
    compute_in(torch.bfloat16, network)
    seen: list[Tensor] = []
    network.first.register_forward_hook(lambda layer, given, made: seen.append(made))
    noise = -0.001 * torch.rand(1, 1, 8, 8)
    for pixels in (torch.ones(1, 1, 8, 8) + noise, torch.ones(1, 1, 8, 8)):
        network(pixels, torch.zeros(1))
    with torch.no_grad():
        expected = network.first(torch.ones(1, 1, 8, 8) + noise) - network.first(torch.ones(1, 1, 8, 8))
    torch.testing.assert_close(seen[0] - seen[1], expected)
