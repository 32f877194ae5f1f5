"""Two processes train what one would: two that are forked, and runs under torchrun."""

import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
import weakref
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import pytest
import torch
import torch.distributed as dist
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

import genlab
import reading
from forks import FORKS, in_processes, prepare
from genlab.architectures.normalization import BatchNorm2d
from genlab.cli.main import run as command
from genlab.core.batch import Batch
from genlab.core.distributed import (
    WHOLE,
    Shard,
    all_reduce_max_,
    all_reduce_mean,
    all_reduce_mean_,
    barrier,
    broadcast_object,
    current_shard,
    leave,
    process_group,
    world_size,
)
from genlab.core.errors import NonFiniteError
from genlab.core.modality import DataSpec, Images, Points
from genlab.core.player import Player
from genlab.core.random import Randomness, derive_seed, restart_stream
from genlab.metrics.extractors.pixels import pixels
from genlab.metrics.feature_statistics import feature_statistics
from genlab.metrics.frechet import frechet_distance, gaussian, moments
from genlab.recipes.presets import PRESETS
from genlab.recipes.recipe import LatentRecipe, Phase, Recipe
from genlab.recipes.resolve import resolve
from genlab.recipes.vae import VAERecipe
from genlab.runs.phases import build
from genlab.training import checkpoint
from genlab.training.run_folder import RunFolder
from genlab.training.state import RAW

SIZE = 2
pytestmark = pytest.mark.skipif(not dist.is_available() or sys.platform == "win32", reason="needs gloo")


def together(works: Sequence[Callable[[Shard], None]], tmp_path: Path) -> None:
    """Run `works` in two processes that know each other; what one of them asserts fails the test."""
    in_processes(SIZE, _enter, works, str(tmp_path / "meeting"))


def _enter(rank: int, works: Sequence[Callable[[Shard], None]], meeting: str) -> None:
    prepare()
    os.environ["GLOO_SOCKET_IFNAME"] = "lo"
    dist.init_process_group("gloo", init_method=f"file://{meeting}", rank=rank, world_size=SIZE)
    group = weakref.ref(dist.group.WORLD)
    try:
        for work in works:
            work(Shard(rank, SIZE))
    finally:
        leave()
    # Whatever still holds the group keeps its threads, and they can abort the process at its end.
    assert group() is None


def _collectives(shard: Shard) -> None:
    assert world_size() == SIZE
    mine = torch.tensor([1.0, 10.0]) * (shard.rank + 1)
    assert all_reduce_mean_(mine.clone()).tolist() == [1.5, 15.0]
    assert all_reduce_max_(mine.clone()).tolist() == [2.0, 20.0]
    assert broadcast_object(f"from {shard.rank}") == "from 0"
    barrier()
    # f = m³ of m = (x₁ + x₂)/2; by the convention of `all_reduce_mean`, derivatives by x are those by m.
    x = torch.tensor(2.0 + 2 * shard.rank, dtype=torch.float64, requires_grad=True)  # m = 3
    (gradient,) = torch.autograd.grad(all_reduce_mean(x) ** 3, x, create_graph=True)
    assert gradient.item() == 27
    (second,) = torch.autograd.grad(gradient**2, x, create_graph=True)
    assert second.item() == 2 * 27 * 6 * 3
    (third,) = torch.autograd.grad(second, x)
    assert third.item() == 36 * 3 * 9
    # Where each process has a function of its own of m, its derivative is the mean of theirs.
    x.grad = None
    ((shard.rank + 1) * all_reduce_mean(x)).backward()
    assert x.grad.item() == 1.5


def _descent(shard: Shard) -> None:
    def net() -> nn.Linear:
        torch.manual_seed(0)
        return nn.Linear(3, 1).double()

    data = torch.randn(8, 3, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    whole, ours = net(), net()
    (whole(data) ** 2).mean().backward()
    optimizer = torch.optim.SGD(
        [(f"discriminator.{name}", parameter) for name, parameter in ours.named_parameters()], lr=1.0
    )
    player = Player("discriminator", ours, optimizer)
    with player.learning():
        player.backward((ours(shard.rows(data)) ** 2).mean())
        norm = player.update(0)["gradient_norm"]
    for expected, parameter in zip(whole.parameters(), ours.parameters(), strict=True):
        torch.testing.assert_close(parameter.grad, expected.grad)
        torch.testing.assert_close(parameter, expected - expected.grad)
    torch.testing.assert_close(norm, torch.cat([p.grad.flatten() for p in whole.parameters()]).norm())
    # A NaN on one process stops both in the same step, before either has moved.
    before = [p.detach().clone() for p in ours.parameters()]
    loss = (ours(shard.rows(data)) ** 2).mean() * (torch.nan if shard.rank == 1 else 1.0)
    with player.learning():
        player.backward(loss)
        with pytest.raises(NonFiniteError, match="NaN in the discriminator's loss"):
            player.update(1)
    assert all(torch.equal(p, b) for p, b in zip(ours.parameters(), before, strict=True))


def _normalisation(shard: Shard) -> None:
    torch.manual_seed(0)
    images = torch.randn(8, 3, 4, 4) * torch.tensor([0.5, 2.0, 5.0]).view(3, 1, 1) + torch.arange(3).view(3, 1, 1)
    ours, theirs = BatchNorm2d(3), nn.BatchNorm2d(3)
    nn.init.normal_(ours.weight)
    nn.init.normal_(ours.bias)
    theirs.load_state_dict(ours.state_dict())

    def run(normalise: nn.Module, given: Tensor) -> tuple[Tensor, Tensor, list[Tensor]]:
        """Return the output, the images' gradient and the weights', of a mean and of a gradient penalty."""
        given = given.clone().requires_grad_()
        output = normalise(given)
        (slope,) = torch.autograd.grad(output.sin().sum(), given, create_graph=True)
        loss = output.sin().mean() + slope.square().flatten(1).sum(1).mean()
        gradients = torch.autograd.grad(loss, [given, *normalise.parameters()])
        return output, gradients[0], list(gradients[1:])

    for _ in range(2):
        expected, of_images, of_weights = run(theirs, images)
        output, of_mine, of_ours = run(ours, shard.rows(images))
        torch.testing.assert_close(output, shard.rows(expected), rtol=1e-5, atol=1e-5)
        # A process's loss is a mean over its own rows: SIZE times their share of the whole mean.
        torch.testing.assert_close(of_mine, SIZE * shard.rows(of_images), rtol=1e-4, atol=1e-5)
        for mine, whole in zip(of_ours, of_weights, strict=True):
            torch.testing.assert_close(all_reduce_mean_(mine), whole, rtol=1e-4, atol=1e-5)
    for mine, whole in zip(ours.buffers(), theirs.buffers(), strict=True):
        torch.testing.assert_close(mine, whole, rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(ours.eval()(images), theirs.eval()(images))


def _normalisation_far_from_zero(shard: Shard) -> None:
    """The mean of squares less the square of the mean would lose all digits here, even its sign."""
    torch.manual_seed(0)
    for spread in (1.0, 0.01, 0.0):
        images = 300 + spread * torch.randn(8, 2, 4, 4)
        expected = nn.BatchNorm2d(2)(images)
        torch.testing.assert_close(BatchNorm2d(2)(shard.rows(images)), shard.rows(expected), rtol=1e-2, atol=1e-2)


def _statistics(shard: Shard) -> None:
    """Each sees every second batch; all of them know what one would have seen, in its order."""
    images = torch.rand(90, 1, 16, 16, generator=torch.Generator().manual_seed(0)) * 2 - 1
    made: list[int] = []

    def piece(place: int) -> Tensor:
        made.append(place)
        return images[20 * place : 20 * place + 20]

    extractor = pixels(torch.device("cpu"))
    statistics = feature_statistics(extractor, [partial(piece, place) for place in range(5)], keep=70)
    assert made == list(range(shard.rank, 5, 2))
    features = extractor(images).features
    assert torch.equal(statistics.features, features[:70])
    assert statistics.count == 90
    alone = gaussian(moments(features))
    assert frechet_distance(statistics.whole, alone) <= 1e-6 * alone.spread
    torch.testing.assert_close(statistics.whole.scatter, moments(features).scatter, rtol=1e-9, atol=1e-9)


def test_two_processes_compute_what_one_would(tmp_path: Path) -> None:
    """All in one meeting, because to start two processes takes longer than the rest."""
    together([_collectives, _descent, _normalisation, _normalisation_far_from_zero, _statistics], tmp_path)


OPTIONS = {"precision": "float32", "size": 16, "batch_size": 16, "latent": 4, "log_every": 1}
WIDTHS = {"vae": 16, "dcgan": 4}


def launched(work: Callable[[], object], folder: Path) -> list[str]:
    """Run `work` in two processes that are told what torchrun tells; return what each of them printed."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    in_processes(SIZE, _launch, work, folder, port)
    return [(folder / f"printed-{rank}").read_text() for rank in range(SIZE)]


def _launch(rank: int, work: Callable[[], object], folder: Path, port: int) -> None:
    prepare()
    told = {"RANK": rank, "LOCAL_RANK": rank, "WORLD_SIZE": SIZE, "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port}
    os.environ.update({"GLOO_SOCKET_IFNAME": "lo", **{name: str(value) for name, value in told.items()}})
    with (folder / f"printed-{rank}").open("w") as printed, redirect_stdout(printed):
        work()


def _ends(tokens: Sequence[object], errors: Path) -> None:
    """Run a command, end this process with its exit code, and let it write its errors to a file of its own."""
    with errors.with_name(f"errors-{os.environ['RANK']}").open("w") as file, redirect_stderr(file):
        code = command([str(token) for token in tokens])
    sys.exit(code)


def after_steps(folder: RunFolder, tokens: Sequence[object], rank: int, number: int) -> list[tuple[int, str]]:
    """Train in two processes, send a signal to one of them after some steps; return exit codes and errors."""
    here = folder.path.parent
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    work = partial(_ends, tokens, here / "errors")
    processes = [FORKS.Process(target=_launch, args=(each, work, here, port)) for each in range(SIZE)]
    for process in processes:
        process.start()
    deadline = time.monotonic() + 100
    while not folder.events("checkpoint"):
        assert all(process.is_alive() for process in processes), (here / "errors-0").read_text()
        assert time.monotonic() < deadline, "no step was taken"
        time.sleep(0.02)
    os.kill(processes[rank].pid or 0, number)
    for process in processes:
        process.join(60)
    return [
        (process.exitcode or 0, (here / f"errors-{each}").read_text()) for each, process in enumerate(processes)
    ]


def _succeeds(tokens: Sequence[object]) -> None:
    assert command([str(token) for token in tokens]) == 0


Torchrun = Callable[..., "subprocess.Popen[str]"]


@pytest.fixture
def torchrun() -> Iterator[Torchrun]:
    """Start `genlab` or a script in two processes; whatever still runs after the test is ended."""
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", str(SIZE)]
    surroundings = {**os.environ, "OMP_NUM_THREADS": "1", "GLOO_SOCKET_IFNAME": "lo"}
    started: list[subprocess.Popen[str]] = []

    def start(*tokens: object, script: Path | None = None) -> subprocess.Popen[str]:
        what = [str(script)] if script else ["-m", "genlab"]
        process = subprocess.Popen(
            [*command, *what, *map(str, tokens)],
            env=surroundings,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        started.append(process)
        return process

    yield start
    for process in started:
        with process:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)


def train(preset: str, steps: int, out: Path, **changes: object) -> list[object]:
    options = {**OPTIONS, "width": WIDTHS[preset], "steps": steps, "root": out, **changes}
    return ["train", preset, *(t for n, v in options.items() for t in (f"--{n.replace('_', '-')}", v))]


def finished(process: subprocess.Popen[str]) -> tuple[int, str, str]:
    out, err = process.communicate(timeout=120)
    return process.returncode, out, err


def trained_weights(folder: Path) -> dict[str, Tensor]:
    """Return the weights that are trained, not their average, of the last checkpoint."""
    saved = checkpoint.load(folder / "checkpoints" / "last")
    raw = {name.removeprefix(RAW): tensor for name, tensor in saved.training.items() if name.startswith(RAW)}
    return raw or dict(saved.model)


def assert_same_way(recipe: Recipe, spec: DataSpec, one: Path, two: Path) -> None:
    """Two runs moved every tensor alike: they differ by less than 1/1000 of the way from the start.

    Sums over processes round otherwise than sums over one batch, to about 1e-7. Adam divides a gradient by its
    size, so where one is nearly 0 that noise may decide its sign; the norm over a tensor is robust to a few such
    elements, and what a process normalises or draws wrongly shows as a share of the whole way.
    """
    start = build(recipe, spec, Randomness(0)).model.state_dict()
    expected, weights = trained_weights(one), trained_weights(two)
    assert expected.keys() == weights.keys() == start.keys()
    for name, tensor in expected.items():
        if tensor.is_floating_point():
            way = (tensor - start[name]).norm()
            assert way > 0, name
            assert (weights[name] - tensor).norm() < 1e-3 * way, name
        else:
            assert torch.equal(weights[name], tensor)


@pytest.mark.parametrize("preset", ["vae", "dcgan"])
def test_two_processes_train_the_weights_of_one_also_when_resumed(
    preset: str, tmp_path: Path, torchrun: Torchrun
) -> None:
    options = {**OPTIONS, "width": WIDTHS[preset]}
    one = genlab.train(preset, quiet=True, steps=10, root=tmp_path / "one", **options)
    if preset == "dcgan":
        code, out, err = finished(torchrun(*train(preset, 6, tmp_path / "two")))
        assert code == 0, err
        resume = ["resume", preset, "--steps", 10, "--root", tmp_path / "two"]
        assert launched(partial(_succeeds, resume), tmp_path)[1] == ""
    else:
        out, nothing = launched(partial(_succeeds, train(preset, 10, tmp_path / "two")), tmp_path)
        assert nothing == ""
    assert out.count("Try next:") == 1
    folder = RunFolder(tmp_path / "two" / preset)
    assert {path.name for path in (tmp_path / "two").iterdir()} == {"latest", preset}
    assert_same_way(resolve(preset, options).recipe, DataSpec(Images(1, 16, 16)), one.folder, folder.path)
    assert {event["processes"] for event in folder.events() if "processes" in event} == {SIZE}
    alone, shared = RunFolder(one.folder).history(), folder.history()
    assert [line["step"] for line in shared] == list(range(1, 11))
    for mine, theirs in zip(alone, shared, strict=True):
        for name in mine.keys() - {"seconds", "data_wait_fraction"}:
            if "accuracy" not in name and "spread" not in name:  # a step function; a statistic of each shard
                assert theirs[name] == pytest.approx(mine[name], rel=1e-3, abs=1e-4), name


def test_two_processes_train_on_sources_the_weights_of_one(tmp_path: Path) -> None:
    """Each point comes with a source, which both players get: those of the process's own rows."""
    options = {"data": "rotated-ring8", "precision": "float32", "width": 16, "latent": 4, "batch": 16, "steps": 10}
    one = genlab.train("gan", quiet=True, root=tmp_path / "one", **options)
    launched(partial(genlab.train, "gan", quiet=True, root=tmp_path / "two", **options), tmp_path)
    spec = DataSpec(Points(2), {"source": Points(2)})
    assert_same_way(resolve("gan", options).recipe, spec, one.folder, tmp_path / "two" / "gan")


@dataclass(frozen=True)
class Growing(VAERecipe):
    """8 px for five steps, then 16 px."""

    def phases(self, spec: DataSpec) -> Sequence[Phase]:
        small = replace(spec, target=Images(1, 8, 8))
        return [Phase(5, self, small), Phase(self.steps, self, spec)]


def _train_phases(out: Path) -> RunFolder:
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(PRESETS.rows, "growing", Growing(architecture="mlp"))
        run = genlab.train("growing", quiet=True, steps=10, ema=0.9, width=16, root=out, **OPTIONS)
    return RunFolder(run.folder)


def test_two_processes_train_the_phases_of_one(tmp_path: Path) -> None:
    """From 8 px to 16 px: every process carries over the same weights."""
    one, two = _train_phases(tmp_path / "one"), RunFolder(tmp_path / "two" / "growing")
    launched(partial(_train_phases, tmp_path / "two"), tmp_path)
    assert [event["step"] for event in two.events("phase")] == [5]
    expected, weights = trained_weights(one.path), trained_weights(two.path)
    assert expected.keys() == weights.keys()
    for name, tensor in expected.items():
        torch.testing.assert_close(weights[name], tensor, rtol=1e-3, atol=1e-4)


def _train_twice_and_measure(grouped: bool, out: Path) -> None:
    if grouped:
        dist.init_process_group("gloo")
    for _ in range(2):
        run = genlab.train("vae", quiet=True, steps=2, root=out, width=4, **OPTIONS)
        assert dist.is_initialized() == grouped
    figures = genlab.evaluate(run, extractor="pixels", samples=64).figures
    print(run.folder.name, figures[0].value)
    assert dist.is_initialized() == grouped
    if grouped:
        dist.destroy_process_group()


@pytest.mark.parametrize("grouped", [False, True])
def test_one_script_trains_again_and_measures(grouped: bool, tmp_path: Path) -> None:
    """Each meets anew under a name of its own; a group that the script has made is used and stays."""
    first, second = launched(partial(_train_twice_and_measure, grouped, tmp_path), tmp_path)
    assert first == second
    assert first.startswith("vae-2 ")


@pytest.mark.slow
def test_a_script_trains_again_under_torchrun(tmp_path: Path, torchrun: Torchrun) -> None:
    script = tmp_path / "twice.py"
    options = {"steps": 2, "width": 4, "root": str(tmp_path), **OPTIONS}
    script.write_text(f"import genlab\nfor _ in range(2): genlab.train('vae', quiet=True, **{options})\n")
    code, _, err = finished(torchrun(script=script))
    assert code == 0, err
    assert {path.name for path in tmp_path.iterdir()} == {"latest", "twice.py", "vae", "vae-2"}


def test_without_support_for_processes_there_is_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dist, "is_available", lambda: False)
    monkeypatch.delattr(dist, "is_initialized")
    with process_group(torch.device("cpu")) as shard:
        assert shard == current_shard() == WHOLE
        assert all_reduce_mean_(torch.ones(2)).tolist() == [1, 1]


def test_two_processes_measure_what_one_would(tmp_path: Path) -> None:
    """Also in one process after the other: the second finds what the first has kept."""
    run = genlab.train("dcgan", quiet=True, steps=3, root=tmp_path, width=4, **OPTIONS)
    alone = genlab.evaluate(run, extractor="pixels", samples=300)
    (kept,) = (run.folder / "evaluations").iterdir()
    kept.unlink()
    flags = ("--extractor", "pixels", "--samples", 300, "--root", tmp_path, "--json")
    out, nothing = launched(partial(_succeeds, ["evaluate", "dcgan", *flags]), tmp_path)
    assert nothing == ""
    figures = json.loads(out)["figures"]
    assert [figure["name"] for figure in figures] == [figure.name for figure in alone.figures]
    for mine, theirs in zip(alone.figures, figures, strict=True):
        assert theirs["value"] == pytest.approx(mine.value, rel=1e-6, abs=1e-9), mine.name
        assert theirs["protocol"] == mine.protocol
    assert kept.is_file()


@pytest.mark.parametrize("rank", [pytest.param(0, marks=pytest.mark.slow), 1])
def test_a_killed_process_is_named_by_the_others(rank: int, tmp_path: Path) -> None:
    folder = RunFolder(tmp_path / "vae")
    ends = after_steps(folder, train("vae", 10**6, tmp_path, checkpoint_every=2), rank, signal.SIGKILL)
    assert ends[rank][0] == -signal.SIGKILL
    code, errors = ends[1 - rank]
    assert code == 1, errors
    said, saved = [line for line in errors.splitlines() if line.startswith("genlab")]
    pattern = rf"genlab \(process {1 - rank}\): process {rank} \(pid \d+\) (was ended by SIGKILL|has ended), and"
    assert re.match(pattern, said), errors
    step = checkpoint.load(folder.last).state["step"]
    assert f"complete: last of step {step}. `genlab resume {folder.path}` continues from there." in saved
    assert "Traceback" not in errors


@pytest.mark.parametrize(
    ("rank", "number"), [pytest.param(0, signal.SIGINT, marks=pytest.mark.slow), (1, signal.SIGTERM)]
)
def test_a_signal_to_one_process_stops_all_in_the_same_step(
    rank: int, number: signal.Signals, tmp_path: Path
) -> None:
    folder = RunFolder(tmp_path / "vae")
    ends = after_steps(folder, train("vae", 10**6, tmp_path, checkpoint_every=2), rank, number)
    (interrupted,) = folder.events("interrupted")
    assert checkpoint.load(folder.last).state["step"] == interrupted["step"] == folder.history()[-1]["step"]
    for code, errors in ends:
        assert code == 128 + number, errors
        assert f"{number.name} at step {interrupted['step']}; a checkpoint was written." in errors
    assert (folder.path / "report.html").is_file()


def test_a_signal_to_all_leaves_one_whole_checkpoint(tmp_path: Path, torchrun: Torchrun) -> None:
    process = torchrun(*train("vae", 10**6, tmp_path))
    folder = RunFolder(tmp_path / "vae")
    deadline = time.monotonic() + 100
    while len(folder.history()) < 3:
        assert process.poll() is None, finished(process)
        assert time.monotonic() < deadline, "no step was taken"
        time.sleep(0.05)
    process.send_signal(signal.SIGTERM)
    code, _, err = finished(process)
    assert code != 0
    assert "SIGTERM at step" in err
    (interrupted,) = folder.events("interrupted")
    saved = checkpoint.load(folder.last)
    assert saved.state["step"] == interrupted["step"] == folder.history()[-1]["step"] >= 3


@pytest.mark.slow  # test_runs_train.py has the refusal; this, how torchrun shows it
def test_a_batch_that_does_not_divide_is_a_mistake_of_the_user(tmp_path: Path, torchrun: Torchrun) -> None:
    code, out, err = finished(torchrun(*train("vae", 3, tmp_path / "runs", batch_size=7)))
    assert code != 0
    assert out == ""
    assert "genlab (process 0): --batch-size 7 cannot be divided among 2 processes" in err
    assert "exitcode  : 2" in err
    assert "exitcode  : 1" not in err
    assert not (tmp_path / "runs").exists()


# Rows that together have every part that looks at a whole batch or draws for it.
PARTS: Mapping[str, tuple[str, Mapping[str, object]]] = {
    "dropout and named classes": ("acgan", {}),
    "minibatch discrimination, packs": ("minibatch-gan", {"pack": 2}),
    "minibatch deviation, flips, noise": (
        "dcgan",
        {"minibatch": "stddev", "flip_labels": 0.3, "instance_noise": 0.1, "historical_averaging": 0.1},
    ),
    "slopes between images, layer norm": ("wgan-gp", {"discriminator_steps": 2}),
    "slopes around images": ("dragan", {"r1": 1.0, "r2": 1.0, "penalty_every": 2}),
    "relativistic, augmented": ("relativistic-gan", {"diff_augment": "color-translation-cutout"}),
    "matched features": ("feature-matching-gan", {"clip_norm": 1.0}),
    "unrolled": ("unrolled-gan", {"unrolled_steps": 2, "gradient_penalty": 1.0, "discriminator_norm": "layer"}),
    "conditional batch norm and projection": ("projection-gan", {"discriminator_steps": 1}),
    "activation norm, dequantisation": ("glow", {"flow_steps": 1}),
    "patches of pairs, dropout": ("pix2pix", {"discriminator": "patch-16", "clip_norm": 1.0}),
    "pools of images": ("cyclegan", {"discriminator": "patch-16", "blocks": 1, "pool": 5}),
    "drawn positions, mirrored sources": (
        "fastcut",
        {"discriminator": "patch-16", "blocks": 1, "identity_weight": 0.5, "positions": 40},
    ),
    "domains, slopes of patches": ("stargan", {"discriminator_steps": 2, "blocks": 1}),
    "noise levels, dropout, hidden labels": ("conditional-diffusion", {"dropout": 0.2, "label_dropout": 0.4}),
}
ROWS = 8
IMAGES = Images(1, 16, 16)


def _small(preset: str, changes: Mapping[str, object]) -> tuple[Recipe, DataSpec]:
    latent = {"latent": 5} if isinstance(PRESETS[preset], LatentRecipe) else {}
    recipe = resolve(preset, {"width": 4, "batch": ROWS, **latent, **changes}).recipe
    return recipe, reading.spec_of(recipe, IMAGES)


@contextmanager
def _many_digits() -> Iterator[None]:
    """Compute in float64 within: Adam divides by small numbers, and would make rounding large."""
    torch.set_default_dtype(torch.float64)
    try:
        yield
    finally:
        torch.set_default_dtype(torch.float32)


def _steps_of(name: str, shard: Shard) -> dict[str, Tensor]:
    """Train a row of `PARTS` for three steps on this process's images; return the weights."""
    preset, changes = PARTS[name]
    rows = ROWS // shard.size
    recipe, spec = _small(preset, changes)
    training = build(recipe, spec, Randomness(0, shard))
    for step in range(3):
        restart_stream(derive_seed(0, "layers", step), torch.device("cpu"))
        draws = torch.randn(3, ROWS, 1, 16, 16, generator=torch.Generator().manual_seed(step)).clamp(-1, 1)
        *images, source = map(shard.rows, draws)
        label = shard.rows(torch.arange(ROWS) % 3)
        condition = {name: source if its == IMAGES else label for name, its in spec.conditions.items()}
        batches = [Batch(x, torch.arange(rows), condition) for x in images]
        training.step(step, iter(batches))
    return {name: tensor.detach().contiguous() for name, tensor in training.model.named_parameters()}


def _compare_parts(shard: Shard, folder: str) -> None:
    with _many_digits():
        for name in PARTS:
            expected = load_file(Path(folder) / f"{name}.safetensors")
            for key, tensor in _steps_of(name, shard).items():
                gap = (tensor - expected[key]).norm()
                way = (expected[key] - expected[f"start {key}"]).norm()
                assert gap <= 1e-7 * way + 1e-10, f"{name}: {key} is {gap:.2g} off, after a way of {way:.2g}"


def test_every_part_means_the_same_in_two_processes(tmp_path: Path) -> None:
    with _many_digits():
        for name, (preset, changes) in PARTS.items():
            start = build(*_small(preset, changes), Randomness(0)).model.named_parameters()
            tensors = {f"start {key}": tensor.detach().clone().contiguous() for key, tensor in start}
            save_file({**tensors, **_steps_of(name, Shard())}, tmp_path / f"{name}.safetensors")
    together([partial(_compare_parts, folder=str(tmp_path))], tmp_path)
