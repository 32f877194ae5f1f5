"""Two processes compute what one would: losses, penalties, draws and unrolling."""

import os
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest
import torch
import torch.distributed as dist
from torch import Tensor, nn

from forks import in_processes, prepare
from genlab.core.condition import NONE, Condition
from genlab.core.contract import DiscriminatorOutput
from genlab.core.distributed import WHOLE, Shard, all_reduce_mean_, leave
from genlab.core.optimizer import adam
from genlab.core.random import Draws, Randomness
from genlab.objectives.adversarial import ADVERSARIAL
from genlab.objectives.divergence import free_bits
from genlab.objectives.sparsity import kl_sparsity
from genlab.regularizers.augmentation import POLICIES, diff_augment
from genlab.regularizers.corruption import CORRUPTIONS
from genlab.regularizers.gradient import PENALTIES
from genlab.regularizers.noise import flip_labels, instance_noise
from genlab.regularizers.unrolling import unrolled

RELATIVISTIC = ADVERSARIAL["relativistic-average"]
SIZE = 2
ROWS = 8
REAL = torch.randn(ROWS, 2, 8, 8, generator=torch.Generator().manual_seed(1)).double()
FAKE = torch.randn(ROWS, 2, 8, 8, generator=torch.Generator().manual_seed(2)).double()
SCORES = REAL[:, 0, 0, 0], FAKE[:, 0, 0, 0]


class Discriminator(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.net = nn.Sequential(nn.Flatten(), nn.Linear(128, 4), nn.Softplus(), nn.Linear(4, 1)).double()

    def forward(self, images: Tensor, condition: Condition = NONE) -> DiscriminatorOutput:
        scores = self.net(images)[:, 0]
        return DiscriminatorOutput(scores, scores[:, None])


def draws(shard: Shard) -> Draws:
    return Randomness(0, shard).draws(ROWS // shard.size, "draws")


def scalars(shard: Shard) -> dict[str, tuple[Tensor, Tensor]]:
    """Return losses by name, each with its gradient by what all processes share, from this shard's rows."""
    real, fake = shard.rows(REAL), shard.rows(FAKE)
    shared = torch.tensor(1.3, dtype=torch.float64, requires_grad=True)
    made: dict[str, Tensor] = {
        "free bits": free_bits(shared * shard.rows(REAL[:, :, 0, 0]), 0.01),
        "sparsity": kl_sparsity(torch.sigmoid(shared * real.flatten(1)), 0.1),
    }
    outputs = shard.rows(SCORES[0]), shared * shard.rows(SCORES[1])
    made["discriminator"], made["generator"] = (
        RELATIVISTIC.discriminator(*outputs),
        RELATIVISTIC.generator(*outputs),
    )
    discriminator = Discriminator()
    for name, penalty in PENALTIES.items():
        made[name] = penalty(lambda x: discriminator(shared * x).scores, real, fake, draws(shard))
    made["unrolled"] = _against_the_unrolled(shard, shared)
    return {
        name: (loss.detach(), torch.autograd.grad(loss, shared, retain_graph=True)[0])
        for name, loss in made.items()
    }


def _against_the_unrolled(shard: Shard, shared: Tensor) -> Tensor:
    discriminator, real, fake = Discriminator(), shard.rows(REAL), shared * shard.rows(FAKE)

    def loss(judge: Callable[..., DiscriminatorOutput]) -> Tensor:
        return RELATIVISTIC.discriminator(judge(real).scores, judge(fake).scores)

    ahead = unrolled(discriminator, adam(discriminator, "discriminator", 0.05, (0.5, 0.9)), loss, 2)
    return RELATIVISTIC.generator(ahead(real).scores, ahead(fake).scores)


def rows(shard: Shard) -> dict[str, Tensor]:
    """Return what is done row by row."""
    images = shard.rows(REAL)
    made = {name: corrupt(images, draws(shard), 0.4) for name, corrupt in CORRUPTIONS.items()}
    made["noise"] = instance_noise(images, draws(shard), 0.4)
    made["augmentation"] = diff_augment(images, draws(shard), POLICIES["color-translation-cutout"])
    packs = shard.rows(SCORES[0][::2]), shard.rows(SCORES[1][::2])  # two images to a score
    made["packs"] = torch.stack(flip_labels(*packs, draws(shard), 0.5), 1)
    return made


def _compare(shard: Shard, expected: dict[str, tuple[Tensor, Tensor]], whole: dict[str, Tensor]) -> None:
    for name, (loss, gradient) in scalars(shard).items():
        close = partial(torch.testing.assert_close, msg=lambda text, name=name: f"{name}: {text}")
        close(all_reduce_mean_(loss), expected[name][0])
        close(all_reduce_mean_(gradient), expected[name][1])
    for name, mine in rows(shard).items():
        torch.testing.assert_close(mine, shard.rows(whole[name]), msg=name)


def _enter(rank: int, meeting: str, *expected: dict[str, object]) -> None:
    prepare()
    os.environ["GLOO_SOCKET_IFNAME"] = "lo"
    dist.init_process_group("gloo", init_method=f"file://{meeting}", rank=rank, world_size=SIZE)
    try:
        _compare(Shard(rank, SIZE), *expected)
    finally:
        leave()


@pytest.mark.skipif(not dist.is_available() or sys.platform == "win32", reason="needs gloo")
def test_two_processes_compute_what_one_would(tmp_path: Path) -> None:
    in_processes(SIZE, _enter, str(tmp_path / "meeting"), scalars(WHOLE), rows(WHOLE))
