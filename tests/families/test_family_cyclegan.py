import os
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.distributed as dist
from torch import Tensor, nn

from forks import in_processes, prepare
from genlab.core.batch import Batch
from genlab.core.condition import NONE, Condition
from genlab.core.contract import DiscriminatorOutput, HasState, Samples, TranslatesBack
from genlab.core.distributed import WHOLE, Shard, leave
from genlab.core.errors import UsageError
from genlab.core.modality import DataSpec, Images
from genlab.core.player import Player
from genlab.core.random import Draws, Randomness
from genlab.families.cyclegan import BothWays, CycleGANTraining, CycleTranslator
from genlab.recipes.cyclegan import CycleGANRecipe
from genlab.recipes.presets import PRESETS
from genlab.runs.phases import build
from genlab.training.checkpoint import Checkpoint
from genlab.training.state import collect, restore

SIDE, PROCESSES, ROWS = Images(1, 8, 8), 2, 4
SPEC = DataSpec(SIDE, {"source": SIDE}, aligned=False)
SMALL = CycleGANRecipe(width=2, blocks=1, discriminator="patch-16", batch_size=ROWS, pool=6)


def batch(step: int, spec: DataSpec = SPEC) -> Batch:
    draws, sides = torch.Generator().manual_seed(step), (spec.target, spec.conditions["source"])
    x, source = (torch.rand(ROWS, *side.shape, generator=draws) * 1.8 - 0.9 for side in sides)
    return Batch(x, torch.arange(ROWS), {"source": source})


def built(recipe: CycleGANRecipe = SMALL, shard: Shard = WHOLE, spec: DataSpec = SPEC) -> CycleGANTraining:
    training = build(recipe, spec, Randomness(0, shard))
    assert isinstance(training, CycleGANTraining)
    return training


def trained(training: CycleGANTraining, start: int, stop: int) -> CycleGANTraining:
    """Take the steps from `start` to `stop`, each on this process's rows of its batch."""
    shard = training.randomness.shard
    each = ROWS // shard.size
    for step in range(start, stop):
        training.step(step, iter([batch(step)[shard.rank * each : (shard.rank + 1) * each]]))
    return training


def tensors(training: CycleGANTraining) -> dict[str, Tensor]:
    return {name: value.clone() for part in collect(training, None) for name, value in part.items()}


class Scaled(nn.Module):
    """Raw outputs w·x."""

    def __init__(self, weight: float) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.tensor(weight))

    def forward(self, x: Tensor, condition: Condition = NONE) -> Any:
        return self.weight * x


class Unchanged(Scaled):
    """What `squash` turns into the input again."""

    def forward(self, x: Tensor, condition: Condition = NONE) -> Tensor:
        return x.atanh()


class Scores(Scaled):
    """A score w·x for each pixel."""

    def forward(self, x: Tensor, condition: Condition = NONE) -> DiscriminatorOutput:
        return DiscriminatorOutput((self.weight * x).flatten(1), x.flatten(1))


def tiny(kind: type[Scaled] = Scaled, lr: float = 0.0, **options: Any) -> CycleGANTraining:
    """Return a training of four networks with one weight each."""
    model = CycleTranslator(SIDE, SIDE, BothWays(kind(0.5), kind(-0.8)), BothWays(Scores(0.3), Scores(0.7)))
    players = {}
    for name in ("discriminator", "generator"):
        network = getattr(model, name)
        named = [(f"{name}.{key}", parameter) for key, parameter in network.named_parameters()]
        players[name] = Player(name, network, torch.optim.SGD(named, lr=lr), among=model)
    return CycleGANTraining(
        model,
        **players,
        loss=SMALL.adversarial(),
        randomness=Randomness(0),
        **{"cycle": 10.0, "identity": 0.5, "pool": 0, **options},
    )


def test_generators_that_change_nothing_have_no_cycle_and_no_identity_loss() -> None:
    training, given = tiny(Unchanged), batch(0)
    losses, target, source = training.generator_losses(given, drawn(given))
    torch.testing.assert_close(target, given.condition["source"])
    torch.testing.assert_close(source, given.x)
    assert losses["generator_loss"] > 0.1
    for name in ("cycle_loss", "identity_loss"):
        assert losses[name].item() == pytest.approx(0, abs=1e-5)


def drawn(given: Batch, step: int = 0) -> Draws:
    return Randomness(0).draws(len(given), "cycle noise", step)


def test_noise_on_the_way_back_costs_a_cycle_that_needs_what_is_fainter_than_it() -> None:
    training, whole = tiny(Unchanged, cycle_noise=0.02), batch(0)
    given = replace(whole, x=whole.x / 2, condition={"source": whole.condition["source"] / 2})
    losses, target, _ = training.generator_losses(given, drawn(given))
    torch.testing.assert_close(target, given.condition["source"])
    expected = 2 * 10 * 0.02 * (2 / torch.pi) ** 0.5  # λ · 2 sides · σ · E|n|
    assert losses["cycle_loss"].item() == pytest.approx(expected, rel=0.2)
    again, other = (training.generator_losses(given, drawn(given, step))[0]["cycle_loss"] for step in (0, 1))
    assert torch.equal(again, losses["cycle_loss"])
    assert not torch.equal(other, losses["cycle_loss"])


def test_the_gradients_are_those_of_the_paper() -> None:
    """E[(D(G(x)) − 1)²] and λ‖·‖₁ for the generators, ½ E[(D(y) − 1)²] + ½ E[D(G(x))²] for the discriminators."""
    training, given = tiny(lr=0.1), batch(0)
    x, y = given.condition["source"], given.x
    g, f = (torch.tensor(weight, requires_grad=True) for weight in (0.5, -0.8))
    d, e = (torch.tensor(weight, requires_grad=True) for weight in (0.3, 0.7))
    target, source = (g * x).tanh(), (f * y).tanh()
    adversarial = (d * target - 1).square().mean() + (e * source - 1).square().mean()
    cycle = ((f * target).tanh() - x).abs().mean() + ((g * source).tanh() - y).abs().mean()
    identity = ((g * y).tanh() - y).abs().mean() + ((f * x).tanh() - x).abs().mean()
    of_generators = torch.autograd.grad(adversarial + 10 * cycle + 5 * identity, (g, f), retain_graph=True)
    fooled = (d * target.detach()).square().mean() + (e * source.detach()).square().mean()
    told = 0.5 * ((d * y - 1).square().mean() + (e * x - 1).square().mean() + fooled)
    of_discriminators = torch.autograd.grad(told, (d, e))

    signals = training.step(0, iter([given]))
    model = training.model
    for both, before, expected in (
        (model.generator, (0.5, -0.8), of_generators),
        (model.discriminator, (0.3, 0.7), of_discriminators),
    ):
        for network, weight, gradient in zip((both.there, both.back), before, expected, strict=True):
            (parameter,) = network.parameters()
            torch.testing.assert_close(parameter.grad, gradient)
            torch.testing.assert_close(parameter.detach(), weight - 0.1 * gradient)
    wanted = {"generator_loss": adversarial, "cycle_loss": 10 * cycle, "identity_loss": 5 * identity}
    for name, value in {**wanted, "discriminator_loss": told}.items():
        torch.testing.assert_close(signals[name], value.detach())
    real = torch.cat([(0.3 * y).flatten(), (0.7 * x).flatten()]).mean()
    torch.testing.assert_close(signals["score_real"], real)


def test_discriminators_are_shown_earlier_translations_once_the_pool_is_full(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    training = built()
    shown: list[Tensor] = []
    losses = training.discriminator_losses

    def watched(real: Batch, fake: Batch) -> Any:
        shown.append(fake.x)
        return losses(real, fake)

    monkeypatch.setattr(training, "discriminator_losses", watched)
    now = []
    for step in range(12):
        now.append(training.model.there(batch(step).condition["source"]).detach())
        trained(training, step, step + 1)
    assert torch.equal(shown[0], now[0])
    assert not torch.equal(torch.cat(shown[2:]), torch.cat(now[2:]))
    assert all(any(torch.equal(image, other) for other in torch.cat(now)) for image in torch.cat(shown))


def test_without_a_pool_nothing_but_weights_and_moments_is_kept() -> None:
    with_pool, without = built(), built(replace(SMALL, pool=0))
    assert isinstance(with_pool, HasState)
    assert {name.partition("/")[2] for name in with_pool.state} == {"images", "count"}
    assert len(with_pool.state) == 4
    assert without.state == {}


@pytest.mark.parametrize("stop", [1, 2, 5])
def test_a_training_that_is_restored_goes_on_to_the_same_bits(stop: int) -> None:
    expected = tensors(trained(built(), 0, 6))
    saved = Checkpoint(*collect(trained(built(), 0, stop), None), {"step": stop})
    again = built()
    restore(saved, again, None)
    ours = tensors(trained(again, stop, 6))
    assert ours.keys() == expected.keys()
    assert all(torch.equal(ours[name], value) for name, value in expected.items())


@pytest.mark.parametrize("count", [2, 4])
def test_parts_of_a_batch_add_up_to_the_whole(count: int, double: None) -> None:
    expected = tensors(trained(built(), 0, 4))
    ours = tensors(trained(built(replace(SMALL, accumulate=count)), 0, 4))
    for name, value in expected.items():
        torch.testing.assert_close(ours[name], value, rtol=1e-6, atol=1e-8, msg=name)


@pytest.fixture
def double() -> Any:
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(torch.float32)


def _of_one_process(rank: int, folder: str) -> None:
    prepare()
    torch.set_default_dtype(torch.float64)
    os.environ["GLOO_SOCKET_IFNAME"] = "lo"
    dist.init_process_group("gloo", init_method=f"file://{folder}/meeting", rank=rank, world_size=PROCESSES)
    try:
        torch.save(tensors(trained(built(shard=Shard(rank, PROCESSES)), 0, 5)), Path(folder) / f"{rank}.pt")
    finally:
        leave()


@pytest.mark.skipif(not dist.is_available() or sys.platform == "win32", reason="needs gloo")
def test_two_processes_train_the_weights_of_one_and_keep_the_same_pools(tmp_path: Path, double: None) -> None:
    in_processes(PROCESSES, _of_one_process, str(tmp_path))
    alone = tensors(trained(built(), 0, 5))
    one, two = (torch.load(tmp_path / f"{rank}.pt") for rank in range(PROCESSES))
    assert alone.keys() == one.keys() == two.keys()
    for name, value in alone.items():
        assert torch.equal(one[name], two[name]), name
        torch.testing.assert_close(one[name], value, rtol=1e-6, atol=1e-8, msg=name)


def test_several_batches_in_one_pass_give_what_each_gives_alone(double: None) -> None:
    training = built()
    assert training.one_pass
    for options in ({"norm": "batch"}, {"architecture": "unet", "blocks": None, "dropout": 0.5}):
        assert not built(replace(SMALL, **options)).one_pass
    expected = tensors(trained(training, 0, 3))
    alone = built()
    alone.one_pass = False
    for name, value in tensors(trained(alone, 0, 3)).items():
        torch.testing.assert_close(value, expected[name], rtol=1e-6, atol=1e-8, msg=name)


def test_sides_of_different_channels_need_no_identity_loss() -> None:
    spec = DataSpec(Images(3, 8, 8), {"source": SIDE}, aligned=False)
    with pytest.raises(UsageError, match="sources and targets of one shape; these are 1×8×8 and 3×8×8"):
        SMALL.refuse(spec)
    recipe = replace(SMALL, identity_weight=0.0)
    recipe.refuse(spec)
    training = built(recipe, spec=spec)
    signals = training.step(0, iter([batch(0, spec)]))
    assert "identity_loss" not in signals
    model, source = training.model, batch(1, spec).condition["source"]
    assert isinstance(model, Samples)
    assert isinstance(model, TranslatesBack)
    target = model.sample(ROWS, {"source": source})
    assert target.shape == (ROWS, 3, 8, 8)
    assert model.translate_back(target).shape == source.shape


def test_each_direction_has_networks_of_its_own() -> None:
    model = built().model
    for both in (model.generator, model.discriminator):
        there, back = ({id(p) for p in network.parameters()} for network in (both.there, both.back))
        assert there
        assert back
        assert not there & back


def test_the_preset_has_the_values_of_the_paper() -> None:
    recipe = PRESETS["cyclegan"]
    assert isinstance(recipe, CycleGANRecipe)
    assert (recipe.cycle_weight, recipe.identity_weight, recipe.pool, recipe.batch_size) == (10, 0.5, 50, 1)
    assert (recipe.architecture, recipe.discriminator, recipe.norm) == ("resnet", "patch-70", "instance")
    assert (recipe.generator_lr, recipe.discriminator_lr, recipe.betas) == (2e-4, 2e-4, (0.5, 0.999))
    half = recipe.steps // 2
    assert [recipe.rate()(step) for step in (0, half, half + half // 2)] == pytest.approx([1, 1, 0.5])
    assert recipe.reads == "sides"
