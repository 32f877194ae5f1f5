"""The overhead of the training loop: `fit` compared with a loop by hand, and its parts one by one."""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Literal

import torch
from torch import Tensor
from torch.nn.utils import get_total_norm

from genlab.bench.example import ABOUT, RECIPE, SETTINGS, Example, example
from genlab.bench.measure import Scope, Spread, interleaved, threads, time_calls, timed, wait
from genlab.bench.page import Row, Section
from genlab.core.player import freeze_except
from genlab.core.random import derive_seed, restart_stream

CHUNK, CHUNKS = 8, 5  # steps at a time; 40 steps are a multiple of the intervals of logging and averaging
MOST = 3.0
ABOUT_LOOP = (
    f"`fit` as users run it, with the loader, a line in the run folder every {SETTINGS.log_every} steps, the "
    "averaged weights and all checks, but without what happens between steps (below), is compared with a loop by "
    "hand that does forward passes, backward passes and optimizer steps of the same networks with a fixed batch "
    f"and fixed noise. They alternate every {CHUNK} steps and train the same weights; a repeat is "
    f"{CHUNK * CHUNKS} steps of each. Processor time is that of all threads, including the loader's, with one "
    "thread of torch; it hardly depends on other load. The parts are timed separately, per step; batches are made "
    "in the loader's thread, in parallel to the steps, and are not in the sum."
)
_IN_PARALLEL = "making a batch, in parallel to the step"


def measure(scope: Scope) -> Section:
    """Compare `fit` with a loop by hand, and time its parts separately."""
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
        Row("overhead of `fit`, of its step", _shares(fitted, by_hand), "%", most=MOST),
        Row("the same in processor time, one thread", processor, "%", most=MOST),
        Row("waiting for the loader, mean", 1000 * waiting, "ms"),
        *(Row(name, _scaled(spread), "ms") for name, spread in parts.items()),
        Row("sum of these parts, of a step", 100 * _total(waiting, parts) / step.median, "%"),
    ]
    return Section("The loop around a step", f"{ABOUT} {ABOUT_LOOP}", rows)


def _steps(run: Example, repeats: int, clock: Literal["wall", "processor"]) -> tuple[list[float], list[float]]:
    """Return the mean seconds of a step in each repeat, of `fit` and by hand."""
    loops = {"fit": partial(timed, partial(run.advance, CHUNK)), "by hand": partial(timed, _by_hand(run))}
    found: dict[str, list[float]] = {name: [] for name in loops}
    for _ in range(repeats):
        for name, chunks in interleaved(loops, CHUNKS).items():
            found[name].append(sum(getattr(chunk, clock) for chunk in chunks) / (CHUNK * CHUNKS))
    return found["fit"], found["by hand"]


def _shares(fitted: Sequence[float], by_hand: Sequence[float]) -> Spread:
    """Return (fit − by hand) / fit in percent."""
    return Spread.of(100 * (a - b) / a for a, b in zip(fitted, by_hand, strict=True))


def _by_hand(run: Example) -> Callable[[], None]:
    """Return a function that takes `CHUNK` steps as one would write them without genlab, on the run's weights."""
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
            _optimizer_step(discriminator_loss, discriminator_optimizer)
            model.discriminator.requires_grad_(False)
            _optimizer_step(training.loss.generator(model.discriminator(fake).scores), generator_optimizer)
            model.discriminator.requires_grad_(True)
        wait(run.device)

    return chunk


def _optimizer_step(loss: Tensor, optimizer: torch.optim.Optimizer) -> None:
    optimizer.zero_grad(set_to_none=True)
    loss.backward()  # type: ignore[no-untyped-call]
    optimizer.step()


def _parts(run: Example, repeats: int) -> dict[str, Spread]:
    """Return the seconds per step of each part of `fit` besides the networks, timed separately."""
    training, average, step = run.training, run.average, run.progress.step

    def restart() -> None:
        restart_stream(derive_seed(SETTINGS.seed, "layers", step), run.device)

    def noise() -> None:
        training.randomness.normal(RECIPE.batch_size, (training.model.latent,), "discriminator", step, 0)

    def freeze() -> None:
        for player in (training.model.discriminator, training.model.generator):
            with freeze_except(player, among=training.model):
                pass

    works: dict[str, tuple[Callable[[], object], int]] = {
        "seeding the layers that draw": (restart, 1),
        "noise": (noise, 1),
        "freezing the other network": (freeze, 1),
        "gradient norms and the check that they are finite": (_checks(run), 1),
        "signals": (_signals, 1),
        "averaging the weights": (partial(average.update, average.EVERY), average.EVERY),
        "a line of the history": (partial(_record, run), SETTINGS.log_every),
        _IN_PARALLEL: (partial(next, run.batches), 1),
    }
    return {name: _scaled(time_calls(work, repeats), 1 / every) for name, (work, every) in works.items()}


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


def _total(waiting: float, parts: dict[str, Spread]) -> float:
    return sum((spread.median for name, spread in parts.items() if name != _IN_PARALLEL), waiting)


def _scaled(spread: Spread, factor: float = 1000) -> Spread:
    return Spread(spread.median * factor, spread.low * factor, spread.high * factor)
