"""Common claims about the families of generative models, compared with measurements."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from math import log, sqrt
from statistics import mean, stdev
from typing import Any, TypeAlias

Rows: TypeAlias = Mapping[str, Sequence[Mapping[str, Any]]]  # preset -> a row for each seed

FAMILIES: Mapping[str, str] = {
    "conv-vae": "VAE",
    "dcgan": "GAN",
    "sngan": "GAN",
    "glow": "flow",
    "ddpm": "diffusion",
    "flow-matching": "diffusion",
}


def lowest(value: float) -> float:
    """Rank small values first."""
    return value


def highest(value: float) -> float:
    """Rank large values first."""
    return -value


def nearest_to_one(value: float) -> float:
    """Rank values by their ratio to 1."""
    return abs(log(value))


@dataclass(frozen=True)
class Claim:
    """A claim that one family comes first in a column."""

    text: str
    family: str
    column: str
    order: Callable[[float], float]  # the lowest comes first


CLAIMS = (
    Claim("GANs draw the sharpest pictures", "GAN", "sharpness", nearest_to_one),
    Claim("VAEs blur", "VAE", "sharpness", lowest),
    Claim("Diffusion models draw the best pictures", "diffusion", "distance", lowest),
    Claim("Diffusion models cover more of the data than others", "diffusion", "recall", highest),
    Claim("GANs train unstably", "GAN", "unsteadiness", highest),
    Claim("VAEs train stably", "VAE", "unsteadiness", lowest),
    Claim("VAEs train fastest", "VAE", "images_per_second", highest),
    Claim("Flows train slowest", "flow", "images_per_second", lowest),
    Claim("Flows take the most memory", "flow", "megabytes", highest),
    Claim("GANs sample in one pass and so fastest", "GAN", "seconds_per_1000", lowest),
    Claim("Diffusion models sample slowest", "diffusion", "seconds_per_1000", highest),
    Claim("Flows give the best likelihood", "flow", "bits", lowest),
)
MEANINGS: Mapping[str, str] = {
    "unsteadiness": "standard deviation of the distance over seeds, divided by its mean",
    "images_per_second": "images per second in training",
    "seconds_per_1000": "seconds for 1,000 samples",
    "megabytes": "MB",
    "bits": "bits per dimension",
}


@dataclass(frozen=True)
class _Measured:
    """The measurement of a preset for a claim."""

    value: float
    place: float  # value of the claim's order
    spread: float  # standard deviation of the place over seeds
    runs: int


def compared(rows: Rows) -> str:
    """Return a table of claims, with the measurements and whether the claimed family comes first.

    A claim is open if the best preset of the family and the best of the others differ by less than the sum of
    their standard deviations over seeds. A single run has no deviation; then the answer says "by one run".
    """
    lines = ["| claim | measured, in the order of the claim | true here |\n|---|---|---|"]
    for claim in CLAIMS:
        measured = {preset: _measured(claim, rows.get(preset, [])) for preset in FAMILIES}
        found = {preset: one for preset, one in measured.items() if one}
        if len({FAMILIES[preset] for preset in found}) < 2:
            continue
        ranking = sorted(found, key=lambda preset: found[preset].place)
        shown = ", ".join(f"{preset} {found[preset].value:.3g}" for preset in ranking)
        meaning = MEANINGS.get(claim.column, claim.column)
        lines.append(f"| {claim.text} | {meaning}: {shown} | {_verdict(claim, ranking, found)} |")
    return "\n".join(lines) + "\n"


def _verdict(claim: Claim, ranking: Sequence[str], found: Mapping[str, _Measured]) -> str:
    of_family = next((preset for preset in ranking if FAMILIES[preset] == claim.family), None)
    other = next(preset for preset in ranking if FAMILIES[preset] != claim.family)
    if of_family is None:
        return "not measured"
    ours, theirs = found[of_family], found[other]
    if abs(ours.place - theirs.place) < ours.spread + theirs.spread:
        return "open: within the deviation over seeds"
    said = "yes" if ranking[0] == of_family else "no"
    return said if min(ours.runs, theirs.runs) > 1 else f"{said}, by one run"


def _measured(claim: Claim, rows: Sequence[Mapping[str, Any]]) -> _Measured | None:
    """Return the measurement of a column over all seeds, or None."""
    if claim.column == "unsteadiness":
        distances = [row["distance"] for row in rows if "distance" in row]
        if len(distances) < 2:
            return None
        value = deviation(distances) / mean(distances)
        # The standard error of the standard deviation of n normal draws is about its 1/√(2(n − 1)).
        return _Measured(value, claim.order(value), value / sqrt(2 * (len(distances) - 1)), len(distances))
    values = [row[claim.column] for row in rows if claim.column in row]
    if not values:
        return None
    places = [claim.order(value) for value in values]
    return _Measured(mean(values), mean(places), deviation(places), len(values))


def deviation(values: Sequence[float]) -> float:
    """Return the standard deviation; 0 for a single value."""
    return stdev(values) if len(values) > 1 else 0.0


def table(rows: Rows, columns: Sequence[tuple[str, str]], heads: Mapping[str, str]) -> str:
    """Return a table with a line for each preset: mean of each column over seeds, and standard deviation."""
    lines = [
        f"| | {' | '.join(heads.get(name, name) for name, _ in columns)} |",
        "|---|" + "--:|" * len(columns),
    ]
    for preset, some in rows.items():
        cells = [_cell([row[name] for row in some if name in row], how) for name, how in columns]
        lines.append(f"| `{preset}` | {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def _cell(values: Sequence[float], how: str) -> str:
    if not values:
        return ""
    spread = deviation(values)
    return f"{mean(values):{how}}" + (f" ± {spread:{how}}" if spread else "")
