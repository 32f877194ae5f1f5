"""Run folders that are damaged or of somebody else: no traceback, no wrong picture, nothing outside changed."""

import random
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest
import safetensors.torch
import torch
from attempts import Ended, attempt
from mutations import contents, copy, make_manifest_agree, mutate

SETTINGS = {"data": "digits", "size": 16, "width": 4, "latent": 3, "batch-size": 8, "device": "cpu", "seed": 1}
RHYTHM = {"steps": 4, "log-every": 1, "preview-every": 2, "evaluate-every": 2, "checkpoint-every": 2}


@dataclass(frozen=True)
class Whole:
    """A run that nobody has touched, and what comes of it."""

    folder: Path
    pictures: frozenset[bytes]  # that a sample of it may be: of the best or the last checkpoint
    resumed: Mapping[str, torch.Tensor]


def options(**values: object) -> list[str]:
    return [text for name, value in values.items() for text in (f"--{name}", str(value))]


def uses(run: Path) -> list[list[str]]:
    """Return what is done with a run: it is looked at, used, measured and continued."""
    root = str(run.parent)
    sampling = ["sample", str(run), "-n", "2", "--device", "cpu"]
    return [
        ["runs", "--root", root],
        ["info", str(run)],
        ["doctor", str(run)],
        [*sampling, "--out", f"{root}/default.png"],
        [*sampling, "--out", f"{root}/last.png", "--checkpoint", "last"],
        ["report", str(run)],
        ["resume", str(run), "--steps", "6", "--quiet"],
    ]


@pytest.fixture(scope="module", params=["vae", "dcgan"])
def whole(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Whole:
    root = tmp_path_factory.mktemp(request.param)
    trained = attempt(
        ["train", request.param, "--quiet", *options(**SETTINGS, **RHYTHM, root=root / "a", name="run")]
    )
    assert (trained.codes, trained.fault) == ([0], "")
    run = copy(root / "a" / "run", root / "b" / "run")
    used = attempt(*uses(run))
    assert (used.codes, used.fault) == ([0] * len(used.codes), ""), used.said
    pictures = {path.read_bytes() for path in (root / "b").glob("*.png")}
    more = attempt(
        ["sample", str(root / "a" / "run"), "-n", "2", *options(checkpoint="best", out=root / "b" / "x.png")]
    )
    assert more.codes == [0]
    pictures.add((root / "b" / "x.png").read_bytes())
    return Whole(root / "a" / "run", frozenset(pictures), weights(run))


def weights(run: Path) -> Mapping[str, torch.Tensor]:
    return safetensors.torch.load_file(run / "checkpoints" / "last" / "model.safetensors")


def attack(whole: Whole, place: Path, seed: int) -> str:
    """Damage a copy of a run in a way that `seed` draws, use it, and return what went wrong, "" if nothing did."""
    rng = random.Random(seed)
    (place / "outside").mkdir(parents=True)
    (place / "outside" / "precious.txt").write_text("precious")
    before = contents(place / "outside")
    run = copy(whole.folder, place / "runs" / "run")
    path = rng.choice(sorted(path for path in run.rglob("*") if path.is_file()))
    way = mutate(path, rng)
    in_checkpoint = path.parent.parent.name == "checkpoints" and path.name != "manifest.json"
    crafted = in_checkpoint and way in ("edit", "swap", "flip")
    if crafted:
        make_manifest_agree(path.parent)
    what = f"seed {seed}: {way} {path.relative_to(run)}"
    ended = attempt(*uses(run))
    if ended.fault:
        return f"{what}: {ended.fault}"
    if contents(place / "outside") != before:
        return f"{what}: changed files outside"
    said = any("recipe.yaml was changed since" in text for text in ended.said)
    if crafted or (said and path.name == "recipe.yaml"):  # other weights, or another recipe and a word on it
        return ""
    wrong = wrong_result(whole, run, ended)
    return wrong and f"{what}: {wrong}"


def wrong_result(whole: Whole, run: Path, ended: Ended) -> str:
    """Return which result is not that of the whole run although the command says that it went well."""
    for code, name in zip(ended.codes[3:5], ("default", "last"), strict=True):
        if code == 0 and (run.parent / f"{name}.png").read_bytes() not in whole.pictures:
            return f"another picture from the {name} checkpoint"
    if ended.codes[-1] == 0:
        resumed = weights(run)
        same = resumed.keys() == whole.resumed.keys() and all(
            torch.equal(value, whole.resumed[name]) for name, value in resumed.items()
        )
        if not same:
            return "other weights after it was resumed"
    return ""


def attacks(whole: Whole, place: Path, seeds: range) -> list[str]:
    failures = []
    for seed in seeds:
        failures.append(attack(whole, place / str(seed), seed))
        shutil.rmtree(place / str(seed), ignore_errors=True)
    return [failure for failure in failures if failure]


def test_damaged_run_folders_give_clear_errors(whole: Whole, tmp_path: Path) -> None:
    assert attacks(whole, tmp_path, range(5)) == []


@pytest.mark.slow
def test_five_hundred_damaged_run_folders_give_clear_errors(whole: Whole, tmp_path: Path) -> None:
    assert attacks(whole, tmp_path, range(100, 600)) == []
