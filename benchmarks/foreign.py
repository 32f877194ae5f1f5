"""Logs of textbook training loops, some of which fail, diagnosed with `genlab doctor`.

The loops are plain PyTorch without genlab. They log what such loops usually log (losses, D(x) and D(G(z)), terms
of the bound, a held-out loss), each with its own names and in its own format.
"""

import csv
import itertools
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from sklearn.datasets import load_digits
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy_with_logits as bce
from torch.nn.functional import mse_loss

from genlab.core.errors import GenlabError
from genlab.runs.diagnose import diagnose_log

STEPS, EVERY, BATCH = 2000, 10, 64
Row = dict[str, float]


def digits() -> tuple[Tensor, Tensor]:
    """Return 1,500 training images of 64 pixels in [-1, 1], and the other images."""
    images = torch.from_numpy(load_digits().data).float() / 8 - 1
    images = images[torch.randperm(len(images), generator=torch.Generator().manual_seed(0))]
    return images[:1500], images[1500:]


def network(*widths: int) -> nn.Sequential:
    """Return a multilayer perceptron."""
    layers: list[nn.Module] = []
    for entering, leaving in itertools.pairwise(widths):
        layers += [nn.Linear(entering, leaving), nn.LeakyReLU(0.2)]
    return nn.Sequential(*layers[:-1])


def gan(lr_g: float = 2e-4, lr_d: float = 2e-4, d_steps: int = 1, saturating: bool = False) -> Iterator[Row]:
    """Train a GAN as in tutorials; yield a line of the log every `EVERY` steps."""
    images, _ = digits()
    generator, discriminator = network(32, 256, 256, 64), network(64, 256, 256, 1)
    optimizer_g = torch.optim.Adam(generator.parameters(), lr_g, (0.5, 0.999))
    optimizer_d = torch.optim.Adam(discriminator.parameters(), lr_d, (0.5, 0.999))
    for step in range(STEPS):
        for _ in range(d_steps):
            real = images[torch.randint(len(images), (BATCH,))]
            fake = torch.tanh(generator(torch.randn(BATCH, 32))).detach()
            of_real, of_fake = discriminator(real), discriminator(fake)
            loss_d = bce(of_real, torch.ones_like(of_real)) + bce(of_fake, torch.zeros_like(of_fake))
            optimizer_d.zero_grad()
            loss_d.backward()  # type: ignore[no-untyped-call]
            optimizer_d.step()
        scores = discriminator(torch.tanh(generator(torch.randn(BATCH, 32))))
        loss_g = -bce(scores, torch.zeros_like(scores)) if saturating else bce(scores, torch.ones_like(scores))
        optimizer_g.zero_grad()
        loss_g.backward()  # type: ignore[no-untyped-call]
        optimizer_g.step()
        if step % EVERY == 0:
            yield {
                "step": step,
                "loss_d": loss_d.item(),
                "loss_g": loss_g.item(),
                "dx": of_real.sigmoid().mean().item(),
                "dgz": scores.sigmoid().mean().item(),
            }


def wgan(lr: float = 1e-3) -> Iterator[Row]:
    """Train with the Wasserstein loss, without a Lipschitz constraint."""
    images, _ = digits()
    generator, discriminator = network(32, 256, 64), network(64, 256, 1)
    optimizer_g, optimizer_d = (torch.optim.Adam(m.parameters(), lr) for m in (generator, discriminator))
    for step in range(STEPS):
        real = images[torch.randint(len(images), (BATCH,))]
        fake = torch.tanh(generator(torch.randn(BATCH, 32)))
        loss_d = discriminator(fake.detach()).mean() - discriminator(real).mean()
        optimizer_d.zero_grad()
        loss_d.backward()
        optimizer_d.step()
        loss_g = -discriminator(fake).mean()
        optimizer_g.zero_grad()
        loss_g.backward()
        optimizer_g.step()
        if step % EVERY == 0:
            yield {"step": step, "loss_d": loss_d.item(), "loss_g": loss_g.item()}


def vae(lr: float = 1e-3, beta: float = 1.0) -> Iterator[Row]:
    """Train a VAE as in tutorials."""
    images, other = digits()
    encoder, decoder = network(64, 256, 32), network(16, 256, 64)
    optimizer = torch.optim.Adam([*encoder.parameters(), *decoder.parameters()], lr)

    def parts(x: Tensor) -> tuple[Tensor, Tensor]:
        mean, log_variance = encoder(x).chunk(2, 1)
        z = mean + (log_variance / 2).exp() * torch.randn_like(mean)
        kld = -0.5 * (1 + log_variance - mean**2 - log_variance.exp()).sum(1).mean()
        return bce(decoder(z), (x + 1) / 2, reduction="sum") / len(x), kld

    for step in range(STEPS):
        recon, kld = parts(images[torch.randint(len(images), (BATCH,))])
        loss = recon + beta * kld
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        if step % EVERY == 0:
            with torch.no_grad():
                held_out = torch.stack(parts(other)).sum().item()
            yield {"step": step, "loss": loss.item(), "recon": recon.item(), "kld": kld.item(), "val": held_out}


def autoencoder(lr: float = 1e-3, images_seen: int = 1500) -> Iterator[Row]:
    """Train an autoencoder, and log its loss on held-out images."""
    images, other = digits()
    images = images[:images_seen]
    model = network(64, 512, 32, 512, 64)
    optimizer = torch.optim.Adam(model.parameters(), lr)
    for step in range(STEPS):
        x = images[torch.randint(len(images), (BATCH,))]
        loss = mse_loss(model(x), x)
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        if step % EVERY == 0:
            with torch.no_grad():
                yield {"step": step, "loss": loss.item(), "val": mse_loss(model(other), other).item()}


def as_csv(names: Mapping[str, str]) -> Callable[[Path, Sequence[Row]], None]:
    """Return a function that writes comma-separated values with these names."""

    def write(path: Path, rows: Sequence[Row]) -> None:
        with path.open("w", newline="") as file:
            writer = csv.writer(file)
            writer.writerow(names.values())
            writer.writerows([row[name] for name in names] for row in rows)

    return write


def as_jsonl(names: Mapping[str, str]) -> Callable[[Path, Sequence[Row]], None]:
    """Return a function that writes JSON lines with these names."""

    def write(path: Path, rows: Sequence[Row]) -> None:
        lines = [json.dumps({theirs: row[name] for name, theirs in names.items()}) for row in rows]
        path.write_text("\n".join(lines))

    return write


def printed(path: Path, rows: Sequence[Row]) -> None:
    """Write lines as printed by the DCGAN tutorial."""
    line = "[{}/5][{}/1583]\tLoss_D: {:.4f}\tLoss_G: {:.4f}\tD(x): {:.4f}\tD(G(z)): {:.4f} / {:.4f}"
    path.write_text(
        "\n".join(
            line.format(
                int(r["step"]) // 1583, int(r["step"]) % 1583, r["loss_d"], r["loss_g"], r["dx"], *[r["dgz"]] * 2
            )
            for r in rows
        )
    )


def events(path: Path, rows: Sequence[Row]) -> None:
    """Write TensorBoard's events."""
    from torch.utils.tensorboard import SummaryWriter

    with SummaryWriter(str(path)) as writer:
        for row in rows:
            writer.add_scalar("Loss/D", row["loss_d"], int(row["step"]))
            writer.add_scalar("Loss/G", row["loss_g"], int(row["step"]))


GAN_NAMES = {"step": "iter", "loss_d": "d_loss", "loss_g": "g_loss"}
FULL_NAMES = {"step": "batches_done", "loss_d": "errD", "loss_g": "errG", "dx": "D_x", "dgz": "D_G_z1"}
VAE_NAMES = {
    "step": "global_step",
    "loss": "train_loss",
    "recon": "recon_loss",
    "kld": "kld_loss",
    "val": "val_loss",
}
AE_NAMES = {"step": "it", "loss": "loss", "val": "val_loss"}


@dataclass(frozen=True)
class Log:
    """A loop with its settings and log format, and the right findings; none for a healthy loop."""

    title: str
    loop: Callable[..., Iterator[Row]]
    write: Callable[[Path, Sequence[Row]], None]
    right: Sequence[str] = ()
    settings: Mapping[str, Any] = field(default_factory=dict)


LOGS: Sequence[Log] = (
    Log("GAN, printed", gan, printed),
    Log("GAN, only losses", gan, as_csv(GAN_NAMES)),
    Log("GAN, two discriminator steps, TensorBoard", gan, events, (), {"d_steps": 2}),
    Log("VAE", vae, as_csv(VAE_NAMES)),
    Log("VAE, β = 2", vae, as_jsonl(VAE_NAMES), (), {"beta": 2.0}),
    Log("autoencoder", autoencoder, as_jsonl(AE_NAMES)),
    Log(
        "GAN, discriminator 50 times faster, printed",
        gan,
        printed,
        ("discriminator-too-strong",),
        {"lr_d": 5e-3, "lr_g": 2e-5, "d_steps": 3},
    ),
    Log(
        "GAN, discriminator 50 times faster, only losses",
        gan,
        events,
        ("discriminator-too-strong",),
        {"lr_d": 5e-3, "lr_g": 2e-5, "d_steps": 3},
    ),
    Log(
        "GAN, saturating loss",
        gan,
        as_csv(FULL_NAMES),
        ("discriminator-too-strong",),
        {"saturating": True, "lr_d": 2e-3, "d_steps": 3},
    ),
    Log("GAN, learning rates 1e-9", gan, as_csv(GAN_NAMES), ("flat-losses",), {"lr_g": 1e-9, "lr_d": 1e-9}),
    Log("WGAN without constraint", wgan, as_csv(GAN_NAMES), ("divergence",), {"lr": 5e-3}),
    Log("VAE, β = 50", vae, as_csv(VAE_NAMES), ("posterior-collapse",), {"beta": 50.0}),
    Log("VAE, learning rate 1e-8", vae, as_jsonl(VAE_NAMES), ("no-learning",), {"lr": 1e-8}),
    Log("VAE, learning rate 10", vae, as_csv(VAE_NAMES), ("not-finite",), {"lr": 10.0}),
    Log("autoencoder, 50 pictures", autoencoder, as_csv(AE_NAMES), ("overfitting",), {"images_seen": 50}),
)


def section(place: Path) -> str:
    """Train every loop, diagnose its log, and return the table."""
    lines, good = [], 0
    for number, log in enumerate(LOGS):
        torch.manual_seed(number)
        path = place / f"log-{number}"
        log.write(path, list(log.loop(**log.settings)))
        try:
            found = [finding.rule for finding in diagnose_log(path, {}).findings]
        except GenlabError as error:
            found = [str(error)]
        right = bool(set(found) & set(log.right)) if log.right else not found
        good += right
        lines.append(
            f"| {log.title} | {', '.join(log.right)} | {', '.join(found)} | {'yes' if right else '**no**'} |\n"
        )
    return (
        f"{(__doc__ or '').strip()}\n\n{good} of {len(LOGS)} diagnoses are right.\n\n"
        "| log | failure | found | right |\n|---|---|---|---|\n" + "".join(lines)
    )
