"""From a plan to a run folder and back."""

import os
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

import genlab
from genlab.core.distributed import Shard
from genlab.core.errors import CheckpointError, GenlabError, UsageError
from genlab.core.modality import DataSpec, Images
from genlab.core.random import Randomness
from genlab.data.source import open_source
from genlab.data.wrappers import Paired
from genlab.recipes.presets import PRESETS
from genlab.runs import callbacks, train
from genlab.runs.load import loaded_from
from genlab.runs.phases import build
from genlab.runs.result import Result
from genlab.runs.validation import validate
from genlab.training.evaluation import Evaluation
from genlab.training.report import verdict
from genlab.training.run_folder import RunFolder

TINY = {"width": 8, "latent": 3, "batch_size": 8, "size": 16, "quiet": True}


@pytest.fixture(autouse=True)
def _no_reports(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(train, "write_report", lambda folder: None)  # half a second each, tested elsewhere


def test_what_could_not_train_is_refused_before_a_folder_is_made(tmp_path: Path) -> None:
    for preset, options in (("dcgan", {"data": "ring8"}), ("vae", {"data": "nonsense"}), ("vae", {"size": 5})):
        with pytest.raises(UsageError):
            genlab.train(preset, quiet=True, root=tmp_path / "runs", **options)
    assert not (tmp_path / "runs").exists()


def test_balancing_needs_labels_and_satisfies_the_doctor(tmp_path: Path) -> None:
    images = np.random.default_rng(0).integers(0, 256, (330, 16, 16), np.uint8)
    np.savez(tmp_path / "plain.npz", images=images)
    np.savez(tmp_path / "rare.npz", images=images, labels=np.repeat(["common", "rare"], [320, 10]))
    with pytest.raises(UsageError, match="has no labels"):
        genlab.train("dcgan", data=tmp_path / "plain.npz", balance=True, root=tmp_path, **TINY)
    assert [path.name for path in tmp_path.iterdir() if path.is_dir()] == []
    found = {}
    for balance in (False, True):
        run = genlab.train("cgan", data=tmp_path / "rare.npz", balance=balance, steps=2, root=tmp_path, **TINY)
        found[balance] = {finding.rule for finding in genlab.doctor(run).findings}
    assert found[False] - found[True] == {"data-imbalance"}


def test_a_batch_that_the_processes_do_not_divide_is_refused() -> None:
    recipe, source = replace(PRESETS["vae"], batch_size=7, width=8), open_source("digits", size=16)
    validate(recipe, source, Shard())
    validate(replace(recipe, batch_size=8), source, Shard(1, 2))
    with pytest.raises(UsageError, match="--batch-size 7 cannot be divided among 2 processes"):
        validate(recipe, source, Shard(1, 2))


def test_a_translation_takes_batches_and_parts_of_one_image() -> None:
    digits = open_source("digits", size=16)
    train = replace(digits.train, labels=None, classes=())
    source = replace(digits, train=Paired(train, train))
    recipe = replace(PRESETS["cyclegan"], width=2, discriminator="patch-16", batch_size=1)
    validate(recipe, source, Shard())
    validate(replace(recipe, batch_size=4, accumulate=2), source, Shard(1, 2))
    with pytest.raises(UsageError, match=r"--accumulate 2 does not .* equal parts of 1 or more\. Choices: 1\."):
        validate(replace(recipe, accumulate=2), source, Shard())


def test_building_leaves_the_global_stream_alone() -> None:
    torch.manual_seed(0)
    state = torch.get_rng_state()
    build(replace(PRESETS["vae"], width=8), DataSpec(Images(1, 16, 16)), Randomness(3))
    assert torch.equal(torch.get_rng_state(), state)


def test_a_result_stands_for_its_folder(tmp_path: Path) -> None:
    result = genlab.train("autoencoder", steps=2, root=tmp_path, name="mine", **TINY)
    assert isinstance(result, Result)
    assert os.fspath(result) == str(tmp_path / "mine")
    assert result.progress.step == 2
    assert genlab.load(result) is not None
    assert genlab.resume(result, quiet=True, steps=3).progress.step == 3
    assert genlab.resume("mine", quiet=True, root=tmp_path, steps=4).progress.step == 4


def test_a_saved_recipe_trains_the_same_weights(tmp_path: Path) -> None:
    first = genlab.train("vae", steps=3, root=tmp_path / "a", seed=5, **TINY)
    again = genlab.train(str(first.folder / "recipe.yaml"), quiet=True, root=tmp_path / "b")
    for name, tensor in genlab.load(first).state_dict().items():
        assert torch.equal(tensor, genlab.load(again).state_dict()[name])
    assert RunFolder(first.folder).read_yaml("data.yaml") == RunFolder(again.folder).read_yaml("data.yaml")


def test_resume_changes_the_budget_only(tmp_path: Path) -> None:
    result = genlab.train("autoencoder", steps=1, root=tmp_path, **TINY)
    with pytest.raises(UsageError, match=r'resume can change steps, .* and data, not "lr"'):
        genlab.resume(result, quiet=True, lr=0.1)
    with pytest.raises(UsageError, match="--steps must be at least 1, not 0"):
        genlab.resume(result, quiet=True, steps=0)


def test_other_pictures_under_the_same_name_are_refused(tmp_path: Path) -> None:
    def write(seed: int) -> None:
        images = np.random.default_rng(seed).integers(0, 256, (40, 16, 16, 1), dtype=np.uint8)
        np.savez(tmp_path / "set.npz", images=images)

    write(0)
    result = genlab.train("autoencoder", data=tmp_path / "set.npz", steps=1, root=tmp_path / "runs", **TINY)
    assert genlab.resume(result, quiet=True, steps=2).progress.step == 2
    write(1)
    with pytest.raises(CheckpointError, match=r"is no longer what autoencoder was trained on: fingerprints was"):
        genlab.resume(result, quiet=True, steps=3)


def test_a_run_that_is_not_there_is_answered_with_its_neighbour(tmp_path: Path) -> None:
    genlab.train("autoencoder", steps=1, root=tmp_path, **TINY)
    with pytest.raises(UsageError, match=r'no run "autoencodr"\. Did you mean "autoencoder"\? Runs in .*: '):
        genlab.load("autoencodr", root=tmp_path)
    with pytest.raises(UsageError, match=r"There is no run in .* yet"):
        genlab.load("latest", root=tmp_path / "empty")


def test_two_processes_do_not_train_in_one_folder(tmp_path: Path) -> None:
    result = genlab.train("autoencoder", steps=1, root=tmp_path, **TINY)
    with RunFolder(result.folder).lock(), pytest.raises(GenlabError, match="another process is training in"):
        genlab.resume(result, quiet=True, steps=2)


def test_the_better_of_best_and_last_is_what_is_loaded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Here the evaluation at the end, which a longer run would not have, is better than the best one, or worse."""
    values = iter([1.0, 2.0, 3.0, 0.5])
    monkeypatch.setattr(
        callbacks,
        "evaluate_on",
        lambda *_, **__: Evaluation({"fd[pixels]": next(values)}, "fd[pixels]", 1),
    )
    result = genlab.train("vae", steps=3, evaluate_every=2, root=tmp_path, **TINY)
    folder = RunFolder(result.folder)
    assert result.progress.best_step == 2
    best, last, default = (genlab.load(result, checkpoint=which) for which in ("best", "last", None))
    name = "decoder.0.weight"
    assert not torch.equal(best.state_dict()[name], last.state_dict()[name])
    assert torch.equal(default.state_dict()[name], best.state_dict()[name])
    assert result.best == ("fd[pixels]", 1.0, 2)
    assert "checkpoints/best/" in str(result)

    longer = genlab.resume(result, steps=5, quiet=True)  # evaluates after steps 4 (worse) and 5
    assert longer.progress.best_step == 2
    with caplog.at_level("INFO", "genlab"):
        loaded = genlab.load(longer)
    line = "checkpoint last, step 5: fd[pixels] 0.5 (best, step 2: 1)"
    assert str(loaded_from(loaded)) == line
    assert caplog.messages == [f"vae: {line}"]
    assert longer.best == ("fd[pixels]", 0.5, 5)
    assert "checkpoints/last/" in str(longer)
    assert "Best fd[pixels] 0.5 at step 5." in verdict(folder)

    last = genlab.load(longer, checkpoint="last")
    shutil.rmtree(folder.best)
    assert torch.equal(genlab.load(result).state_dict()[name], last.state_dict()[name])
    with pytest.raises(CheckpointError, match="has no best checkpoint"):
        genlab.load(result, checkpoint="best")
