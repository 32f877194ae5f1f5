"""Layers that see the whole batch compute on two processes what they would on one."""

import os
import sys
from pathlib import Path

import pytest
import torch
import torch.distributed as dist
from torch import Tensor, nn

from forks import in_processes, prepare
from genlab.architectures import compose
from genlab.architectures.compose import MinibatchName
from genlab.architectures.dropout import Dropout
from genlab.architectures.minibatch import MinibatchDiscrimination, MinibatchStddev
from genlab.architectures.normalization import BatchNorm2d, ConditionalBatchNorm2d, NormName
from genlab.core.distributed import Shard, all_reduce_mean_, leave
from genlab.core.modality import Images

SIZE = 2
SHAPE = Images(2, 16, 16)
LABELS = torch.arange(8) % 3
pytestmark = pytest.mark.skipif(not dist.is_available() or sys.platform == "win32", reason="needs gloo")


def discriminator(norm: NormName, minibatch: MinibatchName) -> nn.Module:
    torch.manual_seed(0)
    return compose.discriminator(
        "dcgan", SHAPE, 4, norm=norm, dropout=0.3, minibatch=minibatch, pack=2, labels="concat", classes=3
    ).double()


def conditional(seed: int = 0) -> ConditionalBatchNorm2d:
    torch.manual_seed(seed)
    norm = ConditionalBatchNorm2d(2, 3)
    nn.init.normal_(norm.gain)
    nn.init.normal_(norm.bias)
    return norm.double()


def layers() -> dict[str, nn.Module]:
    torch.manual_seed(0)
    made = {
        "dropout": Dropout(0.4),
        "discrimination": MinibatchDiscrimination(6, 4, 3),
        "stddev": MinibatchStddev(6),
        "batch norm of vectors": BatchNorm2d(6),
    }
    return {name: layer.double() for name, layer in made.items()}


def judged(network: nn.Module, images: Tensor, labels: Tensor | None) -> tuple[Tensor, list[Tensor]]:
    """Return scores, and the parameters' gradients of a loss with a gradient penalty."""
    torch.manual_seed(1)
    images = images.clone().requires_grad_()
    scores = network(images) if labels is None else network(images, {"label": labels})
    scores = scores.scores if isinstance(scores, tuple) else scores
    (slope,) = torch.autograd.grad(scores.sin().sum(), images, create_graph=True)
    loss = scores.sin().mean() + slope.square().sum(tuple(range(1, slope.ndim))).mean()
    parameters = list(network.parameters())
    if not parameters:
        return scores.detach(), []
    gradients = torch.autograd.grad(loss, parameters, allow_unused=True)
    return scores.detach(), [
        torch.zeros_like(p) if g is None else g for p, g in zip(parameters, gradients, strict=True)
    ]


def cases() -> dict[str, tuple[nn.Module, Tensor, Tensor | None]]:
    draws = torch.Generator().manual_seed(2)
    vectors = torch.randn(8, 6, generator=draws, dtype=torch.float64)
    images = torch.randn(8, *SHAPE.shape, generator=draws, dtype=torch.float64)
    return {
        **{name: (layer, vectors, None) for name, layer in layers().items()},
        "conditional batch norm": (conditional(), images, LABELS),
        "discriminator, discrimination": (discriminator("batch", "discrimination"), images, LABELS),
        "discriminator, stddev": (discriminator("layer", "stddev"), images, LABELS),
    }


def _enter(rank: int, meeting: str, expected: dict[str, tuple[Tensor, list[Tensor]]]) -> None:
    prepare()
    os.environ["GLOO_SOCKET_IFNAME"] = "lo"
    dist.init_process_group("gloo", init_method=f"file://{meeting}", rank=rank, world_size=SIZE)
    shard = Shard(rank, SIZE)
    try:
        for name, (network, given, labels) in cases().items():
            scores, gradients = judged(network, shard.rows(given), None if labels is None else shard.rows(labels))
            whole_scores, whole_gradients = expected[name]
            torch.testing.assert_close(scores, shard.rows(whole_scores), msg=lambda m, name=name: f"{name}: {m}")
            for mine, whole in zip(gradients, whole_gradients, strict=True):
                torch.testing.assert_close(all_reduce_mean_(mine), whole, msg=lambda m, name=name: f"{name}: {m}")
    finally:
        leave()


def test_two_processes_judge_as_one_would(tmp_path: Path) -> None:
    expected = {name: judged(*case) for name, case in cases().items()}
    for name, (scores, _) in expected.items():
        assert not torch.allclose(*scores.chunk(2)), name  # else a wrong half would not show
    in_processes(SIZE, _enter, str(tmp_path / "meeting"), expected)
