"""What is said of the families of generative models, and what a measurement says under each."""

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
    """Rank values by how many times they are off 1."""
    return abs(log(value))


@dataclass(frozen=True)
class Claim:
    """One family is said to come first in something."""

    text: str
    family: str
    column: str
    order: Callable[[float], float]  # what comes first has the least of it


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
    "unsteadiness": "deviation of the distance over seeds, to its mean",
    "images_per_second": "images a second in training",
    "seconds_per_1000": "seconds for 1,000 samples",
    "megabytes": "MB",
    "bits": "bits a number",
}


@dataclass(frozen=True)
class _Measured:
    """What was measured of a preset for a claim."""

    value: float
    place: float  # in the order of the claim
    spread: float  # of the place: its deviation over seeds
    runs: int


def compared(rows: Rows) -> str:
    """Return a table of claims, what was measured, and whether the family that is named comes first.

    A claim is left open where the first of the family and the first of the others differ by less than the sum of
    their deviations over seeds. What one run alone says has none, and is said to be by one run.
    """
    lines = ["| said | measured, in the order of what is said | so here |\n|---|---|---|"]
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
    """Return what the rows of all seeds say of a column, or None."""
    if claim.column == "unsteadiness":
        distances = [row["distance"] for row in rows if "distance" in row]
        if len(distances) < 2:
            return None
        value = deviation(distances) / mean(distances)
        # The deviation of n normal draws itself deviates by its 1/√(2(n − 1)).
        return _Measured(value, claim.order(value), value / sqrt(2 * (len(distances) - 1)), len(distances))
    values = [row[claim.column] for row in rows if claim.column in row]
    if not values:
        return None
    places = [claim.order(value) for value in values]
    return _Measured(mean(values), mean(places), deviation(places), len(values))


def deviation(values: Sequence[float]) -> float:
    """Return the standard deviation; 0 of a single value."""
    return stdev(values) if len(values) > 1 else 0.0


def table(rows: Rows, columns: Sequence[tuple[str, str]], heads: Mapping[str, str]) -> str:
    """Return a line for each preset, the mean of each column over seeds and its deviation where it has one."""
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
