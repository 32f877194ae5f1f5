"""Trains the same seeded runs with two checkouts of genlab and compares their checkpoints bit by bit.

    python benchmarks/same_bits.py --before CHECKOUT [--after CHECKOUT] [--only PRESET …] [--previews]
        [--expect-different PRESET …]

Each checkout trains in its own process, on one core, and only through `genlab.train`, so that its internals may
differ. Renamed options, values and tensors are in the tables `OPTIONS`, `VALUES` and `RENAMES`; a tensor that is
found under neither name counts as different. It takes about a minute and a half of one core, and exits with 1 if
anything differs.
"""

import argparse
import dataclasses
import inspect
import os
import re
import subprocess
import sys
import tempfile
import traceback
import typing
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import safetensors.torch
import torch
from PIL import Image
from torch import Tensor

SHOWN = 5  # differing tensors of a run

# From the old name of an option to its possible new names, if the old one is unknown: the first that exists.
OPTIONS: Mapping[str, Sequence[str]] = {
    "warm_up": ["kl_warm_up"],
    "critic_steps": ["discriminator_steps"],
    "critic_lr": ["discriminator_lr"],
    "critic_norm": ["discriminator_norm"],
    "critic_dropout": ["discriminator_dropout"],
    "critic_labels": ["discriminator_labels"],
    "batch": ["batch_size"],
    "root": ["out", "output", "runs", "folder"],
}
VALUES: Mapping[tuple[str, Any], Any] = {("spectral_norm", "critic"): "discriminator"}  # by option and old value
RENAMES: Sequence[tuple[str, str]] = [  # in the names of tensors
    (r"\bcritic\b", "discriminator"),
    (r"\btold\b", "time_projection"),
]

PICTURES: Mapping[str, Any] = {"data": "digits", "size": 16, "batch": 16, "width": 8}
POINTS: Mapping[str, Any] = {"data": "ring8", "batch": 32, "width": 16}
RUNS: Mapping[str, Mapping[str, Any]] = {
    "denoising-autoencoder": {**PICTURES, "corruption": "salt-and-pepper", "flip": True},
    "sparse-autoencoder": {**PICTURES, "accumulate": 2, "ema": 0.9},
    "vae": {**PICTURES, "warm_up": 6, "free_bits": 0.1, "lr_schedule": "linear", "flip": True},
    "conditional-vae": {**PICTURES, "accumulate": 2, "ema": 0.9, "clip_norm": 1.0, "reconstruction": "gaussian"},
    "iwae": {**PICTURES, "importance_samples": 3},
    "dcgan": {
        **PICTURES,
        "channels": 3,
        "diff_augment": "color-translation-cutout",
        "historical_averaging": 0.1,
        "instance_noise": 0.1,
        "flip_labels": 0.1,
        "real_label": 0.9,
    },
    "dcgan-upsample": {**PICTURES, "minibatch": "stddev", "generator_steps": 2},
    "wgan": {**PICTURES, "critic_steps": 2, "flip": True},
    "wgan-gp": {**PICTURES, "critic_steps": 2, "penalty_every": 2, "accumulate": 2, "clip_norm": 1.0},
    "r1-gan": {**PICTURES, "r2": 1.0, "critic_lr": 2e-4},
    "sngan": {**PICTURES, "critic_steps": 2, "spectral_norm": "critic", "instance_noise": 0.1},
    "sagan": {**PICTURES, "attention": 8, "accumulate": 2, "diff_augment": "translation"},
    "acgan": {**PICTURES, "critic_dropout": 0.3, "flip": True},
    "projection-gan": {**PICTURES, "critic_steps": 2},
    "cgan": {**PICTURES, "critic_norm": "instance", "dragan": 1.0},
    "relativistic-gan": PICTURES,
    "minibatch-gan": PICTURES,
    "feature-matching-gan": PICTURES,
    "pacgan": {**POINTS, "architecture": "mlp"},
    "unrolled-gan": {**POINTS, "architecture": "mlp", "unrolled_steps": 3},
    "realnvp": {**PICTURES, "flow_steps": 2},
    "glow": {**PICTURES, "flow_steps": 2, "accumulate": 2, "flip": True},
    "spline-flow": {**POINTS, "flow_steps": 2},
    "ddpm": {**PICTURES, "width": 16, "sampler": "ddim", "sampling_steps": 2, "flip": True},
    "conditional-diffusion": {**PICTURES, "width": 16, "sampling_steps": 2, "accumulate": 2},
    "flow-matching": {**POINTS, "architecture": "mlp", "sampling_steps": 2},
}
ALWAYS: Mapping[str, Any] = {
    "steps": 12,
    "quiet": True,
    "device": "cpu",
    "precision": "float32",
    "extractor": "pixels",
    "evaluate_every": 1000,
    "preview_every": 1000,
}


def spelled(preset: str, options: Mapping[str, Any]) -> dict[str, Any]:
    """Return options with their names in the imported checkout.

    An option without any known name is left as it is; genlab then refuses it and lists the choices.
    """
    import genlab
    from genlab.recipes.presets import PRESETS
    from genlab.recipes.settings import Settings

    recipe = PRESETS[preset]
    known = {field.name for part in (recipe, Settings) for field in dataclasses.fields(part)}
    known |= inspect.signature(genlab.train).parameters.keys()
    hints = typing.get_type_hints(type(recipe))
    result = {}
    for old, value in options.items():
        name = next((name for name in (old, *OPTIONS.get(old, ())) if name in known), old)
        renamed = VALUES.get((old, value), value)
        result[name] = renamed if renamed in typing.get_args(hints.get(name)) else value
    return result


def environment(checkout: Path, threads: int = 1) -> dict[str, str]:
    """Return the environment of a process that imports genlab from a checkout.

    Raises:
        SystemExit: the folder is no checkout of genlab.
    """
    source = checkout.resolve() / "src"
    if not (source / "genlab").is_dir():
        raise SystemExit(f"{checkout} is no checkout of genlab: it has no src/genlab")
    return {**os.environ, "PYTHONPATH": str(source), "OMP_NUM_THREADS": str(threads)}


def check_import() -> None:
    """Make sure that this process imports genlab from the checkout, not an installed one."""
    import genlab

    wanted = Path(os.environ["PYTHONPATH"]) / "genlab"
    if not genlab.__file__ or Path(genlab.__file__).parent != wanted:
        raise SystemExit(f"{genlab.__file__} was imported instead of {wanted}")


def train(presets: Sequence[str], place: Path) -> None:
    """Train in this process; a failing run prints its error and leaves no checkpoint."""
    import genlab

    check_import()
    torch.set_num_threads(1)
    for preset in presets:
        try:
            genlab.train(preset, **spelled(preset, {**ALWAYS, **RUNS[preset], "root": str(place / preset)}))
        except Exception:
            print(f"{preset} in {os.environ['PYTHONPATH']}:", file=sys.stderr)
            traceback.print_exc()


def tensors(place: Path, previews: bool) -> dict[str, Tensor]:
    """Return the tensors of a run's last checkpoint, and its previews if requested; {} without a checkpoint."""
    last = next((path.parent for path in sorted(place.rglob("checkpoints/last/model.safetensors"))), None)
    if last is None:
        return {}
    found = {
        f"{part}: {name}": tensor
        for part in ("model", "training")
        for name, tensor in safetensors.torch.load_file(last / f"{part}.safetensors").items()
    }
    pictures = sorted(last.parents[1].glob("previews/*.png")) if previews else []
    return found | {f"preview: {path.stem}": torch.from_numpy(np.array(Image.open(path))) for path in pictures}


def differences(before: Mapping[str, Tensor], after: Mapping[str, Tensor]) -> list[str]:
    """Return a line for each tensor that differs in any bit or exists only once."""
    lines, unseen = [], set(after)
    for old, tensor in before.items():
        name = old if old in after else _renamed(old)
        if name not in unseen:
            lines.append(f"{old}: only before")
            continue
        unseen.remove(name)
        other = after[name]
        if (tensor.shape, tensor.dtype) != (other.shape, other.dtype):
            lines.append(f"{name}: {_kind(tensor)} before, {_kind(other)} after")
        elif not torch.equal(_bytes(tensor), _bytes(other)):
            most = (tensor.double() - other.double()).abs().max().item()
            lines.append(f"{name}: {_kind(tensor)} differs by up to {most:.3g}")
    return lines + [f"{name}: only after" for name in sorted(unseen)]


def _renamed(name: str) -> str:
    for old, new in RENAMES:
        name = re.sub(old, new, name)
    return name


def _bytes(tensor: Tensor) -> Tensor:
    return tensor.contiguous().reshape(-1).view(torch.uint8)


def _kind(tensor: Tensor) -> str:
    return f"{str(tensor.dtype).removeprefix('torch.')}{list(tensor.shape)}"


def main(arguments: Sequence[str]) -> int:
    """Train with both checkouts, compare, and return 1 if there are unexpected differences."""
    parser = argparse.ArgumentParser(prog="python benchmarks/same_bits.py", description=__doc__.partition("\n")[0])
    parser.add_argument("--before", type=Path, metavar="CHECKOUT", help="the earlier checkout")
    parser.add_argument(
        "--after", type=Path, metavar="CHECKOUT", default=Path(), help="the later one; by default ."
    )
    parser.add_argument("--only", nargs="+", choices=RUNS, default=list(RUNS), metavar="PRESET", help="presets")
    parser.add_argument("--previews", action="store_true", help="also compare the last preview of samples")
    parser.add_argument(
        "--expect-different",
        nargs="+",
        choices=RUNS,
        default=[],
        metavar="PRESET",
        help="presets that may differ: reported, but not counted",
    )
    parser.add_argument("--train", type=Path, help=argparse.SUPPRESS)  # how the script calls itself
    options = parser.parse_args(arguments)
    if options.train:
        train(options.only, options.train)
        return 0
    if options.before is None:
        parser.error("--before is needed")
    failed = 0
    with tempfile.TemporaryDirectory() as place:
        for name, checkout in {"before": options.before, "after": options.after}.items():
            command = [sys.executable, __file__, "--train", str(Path(place, name)), "--only", *options.only]
            subprocess.run(command, env=environment(checkout), check=True)
        for preset in options.only:
            before, after = (tensors(Path(place, name, preset), options.previews) for name in ("before", "after"))
            if not before or not after:
                print(f"{preset:24} NO CHECKPOINT {'after' if before else 'before'}; see above")
                failed += 1
                continue
            lines, expected = differences(before, after), preset in options.expect_different
            print(f"{preset:24} {_verdict(len(before), len(lines), expected)}")
            for line in lines[:SHOWN]:
                print(f"    {line}")
            failed += bool(lines) and not expected
    print(f"{failed} of {len(options.only)} presets differ or fail" if failed else "no unexpected differences")
    return int(failed > 0)


def _verdict(count: int, different: int, expected: bool) -> str:
    if not different:
        return f"{count} tensors, equal" + (", though a difference was expected" if expected else "")
    return f"{count} tensors, DIFFERENT: {different}" + (", as expected" if expected else "")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
