"""What the loop costs besides the networks: `fit` against a loop by hand, and its parts one by one."""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Literal

import torch
from torch import Tensor
from torch.nn.utils import get_total_norm

from genlab.bench.example import ABOUT, RECIPE, SETTINGS, Example, example
from genlab.bench.measure import Scope, Spread, alone, in_turns, threads, timed, wait
from genlab.bench.page import Row, Section
from genlab.core.player import freeze_except
from genlab.core.random import derive, restart_stream

CHUNK, CHUNKS = 8, 5  # steps at a time, in turns; 40 steps hold whole numbers of logged lines and averages
MOST = 3.0
ABOUT_LOOP = (
    f"`fit` as users get it, with the loader, a line in the run folder every {SETTINGS.log_every} steps, the "
    "average and every check, but without what happens between steps (below), against a loop by hand that does "
    "forward, backward and optimizer steps of the same networks with one batch and noise kept in memory. They "
    f"take turns every {CHUNK} steps and train the same weights; a repeat is {CHUNK * CHUNKS} steps of each. "
    "Processor time is that of all threads, the loader's included, where torch has one; it hardly depends on what "
    "else the machine does. The parts are timed alone, per step; a batch is made in the loader's thread, beside "
    "the step, and is not in their sum."
)
_BESIDE = "making a batch, beside the step"


def measure(scope: Scope) -> Section:
    """Time `fit` against a loop by hand, and its parts alone."""
    with example(scope.device) as run:
        fitted, by_hand = _steps(run, scope.repeats, "wall")
        waiting = run.batches.waited / run.batches.position
        parts = _parts(run, scope.repeats)
    with threads(1), example(scope.device) as run:
        processor = _shares(*_steps(run, scope.repeats, "processor"))
    step = Spread.of(fitted)
    rows = [
        Row("a step of `fit`", _scaled(step), "ms"),
        Row("a step by hand", _scaled(Spread.of(by_hand)), "ms"),
        Row("what `fit` adds, of its step", _shares(fitted, by_hand), "%", most=MOST),
        Row("the same in processor time, one thread", processor, "%", most=MOST),
        Row("waiting for the loader, mean", 1000 * waiting, "ms"),
        *(Row(name, _scaled(spread), "ms") for name, spread in parts.items()),
        Row("these parts together, of a step", 100 * _together(waiting, parts) / step.median, "%"),
    ]
    return Section("The loop around a step", f"{ABOUT} {ABOUT_LOOP}", rows)


def _steps(run: Example, repeats: int, clock: Literal["wall", "processor"]) -> tuple[list[float], list[float]]:
    """Return the mean seconds of a step in each repeat, of `fit` and by hand."""
    ways = {"fit": partial(timed, partial(run.advance, CHUNK)), "by hand": partial(timed, _by_hand(run))}
    found: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(repeats):
        for name, chunks in in_turns(ways, CHUNKS).items():
            found[name].append(sum(getattr(chunk, clock) for chunk in chunks) / (CHUNK * CHUNKS))
    return found["fit"], found["by hand"]


def _shares(fitted: Sequence[float], bare: Sequence[float]) -> Spread:
    """Return (fit − by hand) / fit in percent."""
    return Spread.of(100 * (a - b) / a for a, b in zip(fitted, bare, strict=True))


def _by_hand(run: Example) -> Callable[[], None]:
    """Return `CHUNK` steps of the algorithm as one would write them without genlab, on weights of the run."""
    training, model = run.training, run.training.model
    discriminator_optimizer, generator_optimizer = (
        training.optimizers["discriminator"],
        training.optimizers["generator"],
    )
    real = next(run.batches).x
    noise = torch.randn(len(real), model.latent, device=run.device)

    def chunk() -> None:
        for _ in range(CHUNK):
            fake = model.decode(noise)
            real_scores = model.discriminator(real).scores
            discriminator_loss = training.loss.discriminator(
                real_scores, model.discriminator(fake.detach()).scores
            )
            _descend(discriminator_loss, discriminator_optimizer)
            model.discriminator.requires_grad_(False)
            _descend(training.loss.generator(model.discriminator(fake).scores), generator_optimizer)
            model.discriminator.requires_grad_(True)
        wait(run.device)

    return chunk


def _descend(loss: Tensor, optimizer: torch.optim.Optimizer) -> None:
    optimizer.zero_grad(set_to_none=True)
    loss.backward()  # type: ignore[no-untyped-call]
    optimizer.step()


def _parts(run: Example, repeats: int) -> dict[str, Spread]:
    """Time what `fit` does besides the networks, each part alone, in seconds per step."""
    training, average, step = run.training, run.average, run.progress.step

    def restart() -> None:
        restart_stream(derive(SETTINGS.seed, "layers", step), run.device)

    def noise() -> None:
        training.randomness.normal(RECIPE.batch_size, (training.model.latent,), "discriminator", step, 0)

    def freeze() -> None:
        for player in (training.model.discriminator, training.model.generator):
            with freeze_except(player, among=training.model):
                pass

    works: dict[str, tuple[Callable[[], object], int]] = {
        "starting the stream of layers that draw": (restart, 1),
        "noise": (noise, 1),
        "freezing the opponent": (freeze, 1),
        "gradient norms and the check that they are finite": (_checks(run), 1),
        "signals": (_signals, 1),
        "the average of the weights": (partial(average.update, average.EVERY), average.EVERY),
        "a line of the history": (partial(_record, run), SETTINGS.log_every),
        _BESIDE: (partial(next, run.batches), 1),
    }
    return {name: _scaled(alone(work, repeats), 1 / every) for name, (work, every) in works.items()}


def _checks(run: Example) -> Callable[[], None]:
    players = [
        [p.grad for group in optimizer.param_groups for p in group["params"] if p.grad is not None]
        for optimizer in run.training.optimizers.values()
    ]
    loss = torch.zeros(())

    def check() -> None:
        for gradients in players:
            bool(torch.isfinite(get_total_norm(gradients) + loss))

    return check


def _signals() -> None:
    logits = torch.zeros(RECIPE.batch_size)
    for _ in range(2):
        logits.sigmoid().mean()
        (logits > 0).float().mean()


def _record(run: Example) -> None:
    signals = {f"signal {number}": torch.zeros(()) for number in range(8)}
    values = torch.stack([tensor.detach().float().reshape(()) for tensor in signals.values()]).tolist()
    run.folder.scalars(run.progress.step, dict(zip(signals, values, strict=True)))


def _together(waiting: float, parts: dict[str, Spread]) -> float:
    return sum((spread.median for name, spread in parts.items() if name != _BESIDE), waiting)


def _scaled(spread: Spread, factor: float = 1000) -> Spread:
    return Spread(spread.median * factor, spread.low * factor, spread.high * factor)
