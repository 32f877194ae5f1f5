"""Converts what earlier versions of genlab wrote, which had other names, while it is read."""

import re
from collections.abc import Mapping
from typing import Any

_OPTIONS = {
    "batch": "batch_size",
    "warm_up": "kl_warm_up",
    "cycles": "kl_cycles",
    "cycle_ratio": "kl_cycle_ratio",
    **{f"critic_{what}": f"discriminator_{what}" for what in ("steps", "lr", "norm", "dropout", "labels")},
}
_VALUES = {("spectral_norm", "critic"): "discriminator"}
_SIGNALS = {
    "quality": "criterion",
    "nearest": "nearest_neighbour_distance",
    "saturation": "saturated_pixels",
    "sample_detail": "sample_sharpness",
    "reconstruction_detail": "reconstruction_sharpness",
    "idle_latents": "inactive_latents",
    "waiting": "data_wait_fraction",
    "latent_size": "latent_rms",
    "latent_spread": "latent_std",
    "posterior_spread": "posterior_std",
    "loss_quiet": "loss_low_noise",
    "loss_noisy": "loss_high_noise",
    "mended": "denoised_error",
    "copied": "denoised_change",
    "explained": "r2",
    "explained_train": "r2_train",
    "explained_held_out": "r2_held_out",
    "r1": "r1_penalty",
    "dragan": "dragan_penalty",
    "wgan-gp": "wgan-gp_penalty",
}
_CRITIC = re.compile(r"(?:^|(?<=/))critic(?=[._])")
_POINT_SHAPE = [2, 1, 1]


def options(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return the options of a recipe.yaml of genlab 0.1 under their present names."""
    renamed = {_OPTIONS.get(name, name): value for name, value in values.items()}
    return {name: _VALUES.get((name, str(value)), value) for name, value in renamed.items()}


def settings(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return the settings of a YAML file under their present names."""
    return {"root" if name == "out" else name: value for name, value in values.items()}


def tensor(name: str) -> str:
    """Return the present name of a tensor of a checkpoint."""
    return _CRITIC.sub("discriminator", name)


def signals(line: Mapping[str, Any]) -> dict[str, Any]:
    """Return a line of history.jsonl with the present names of its signals."""
    return {_SIGNALS.get(name, _CRITIC.sub("discriminator", name)): value for name, value in line.items()}


def data(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return a data.yaml in its present form, without the fingerprints of points, whose shape has changed."""
    rest = {name: value for name, value in values.items() if name not in ("shape", "classes", "images")}
    shape = list(values["shape"])
    if shape == _POINT_SHAPE:
        target: dict[str, Any] = {"kind": "points", "dimensions": 2}
        rest.pop("fingerprints")
    else:
        sides = dict(zip(("channels", "height", "width"), shape, strict=True))
        target = {"kind": "images", **sides, "levels": 256}
    classes = [str(name) for name in values["classes"]]
    conditions = {"label": {"kind": "classes", "names": classes}} if classes else {}
    return {**rest, "target": target, "conditions": conditions, "counts": values["images"]}
