"""A recipe.yaml that was changed after training is noticed by the options that the weights keep."""

from pathlib import Path
from typing import Any

import pytest

import genlab
from genlab.runs.load import load_model
from genlab.training.run_folder import RunFolder

TINY: dict[str, Any] = {"data": "digits", "size": 16, "width": 4, "latent": 3, "batch_size": 8, "device": "cpu"}


@pytest.fixture
def folder(tmp_path: Path) -> RunFolder:
    run = genlab.train("vae", quiet=True, root=tmp_path, steps=2, beta=0.5, betas=(0.5, 0.9), seed=3, **TINY)
    return RunFolder(run.folder)


def change(folder: RunFolder, before: str, after: str) -> None:
    text = (folder.path / "recipe.yaml").read_text()
    assert before in text
    (folder.path / "recipe.yaml").write_text(text.replace(before, after))


@pytest.mark.parametrize(
    ("before", "after", "words"),
    [
        ("beta: 0.5\n", "beta: 4.5\n", "--beta is 4.5 and was 0.5"),
        ("seed: 3\n", "seed: 7\n", "--seed is 7 and was 3"),
        ("- 0.9\n", "- 0.99\n", "--betas is 0.5, 0.99 and was 0.5, 0.9"),
    ],
)
def test_a_recipe_that_was_changed_after_training_is_noticed(
    folder: RunFolder, before: str, after: str, words: str, caplog: pytest.LogCaptureFixture
) -> None:
    change(folder, before, after)
    load_model(folder)
    (said,) = [record.message for record in caplog.records if record.levelname == "WARNING"]
    assert said.startswith(
        f"{folder.path / 'recipe.yaml'} was changed since the checkpoint last was saved: {words}."
    )
    genlab.resume(folder.path, steps=4, quiet=True)
    assert [e["recipe"] for e in folder.events("note") if "recipe" in e] == [
        f"recipe.yaml was changed since the checkpoint was saved: {words}"
    ]


def test_what_may_change_is_no_change(folder: RunFolder, caplog: pytest.LogCaptureFixture) -> None:
    genlab.resume(folder.path, steps=4, quiet=True)
    change(folder, "steps: 4\n", "steps: 6\n")
    load_model(folder)
    assert [record for record in caplog.records if record.levelname == "WARNING"] == []
    assert [e for e in folder.events("note") if "recipe" in e] == []
