"""Data given in Python: a run knows them by their content, in this session and in a new one."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import genlab
from genlab.core import parts
from genlab.core.errors import CheckpointError, GenlabError, UsageError
from genlab.core.modality import Classes, DataSpec, Images
from genlab.data.dataset import Array
from genlab.data.objects import as_source
from genlab.recipes.resolve import from_values, resolve
from genlab.registration import name_of
from genlab.runs.data import check_unchanged, open_data
from genlab.runs.recorded import find_class
from genlab.training.run_folder import RunFolder

IMAGES = np.random.default_rng(0).integers(0, 256, (40, 16, 16), dtype=np.uint8)
LABELS = np.arange(40) % 2
TINY: dict[str, Any] = {"width": 8, "batch_size": 8, "steps": 2, "latent": 2, "quiet": True}
PIXELS: dict[str, Any] = {"extractor": "pixels", "samples": 8}


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("runs")


@pytest.fixture(scope="module")
def run(root: Path) -> genlab.Run:
    """A run that was trained in another session."""
    genlab.train("autoencoder", data=IMAGES, root=root, **TINY)
    made = genlab.train("autoencoder", data=255 - IMAGES, root=root, **TINY)
    forget()
    return made


def forget() -> None:
    for part in parts.registered("data").values():
        parts.forget(part)


def named(data: object) -> str:
    return name_of("data", data)


def test_the_same_data_have_the_same_name_in_every_process() -> None:
    name = named((IMAGES, LABELS))
    assert name.startswith("data-")
    assert named((IMAGES.copy(), LABELS.tolist())) == name
    assert named(IMAGES) == named(torch.from_numpy(IMAGES)) == "array-6a3f37d0"
    assert len({name, named(IMAGES), named(255 - IMAGES), named((IMAGES, 1 - LABELS))}) == 4
    assert named({"images": IMAGES, "test_images": IMAGES}) != named({"images": IMAGES, "test_images": IMAGES[:5]})


def test_an_array_that_was_changed_has_another_name() -> None:
    images = IMAGES.copy()
    before = named(images)
    images[0] = 0
    assert named(images) != before


def test_data_with_a_name_of_their_own_keep_it() -> None:
    genlab.part("data", "mine")(IMAGES)
    assert named(IMAGES) == "mine"


def test_without_its_data_a_run_says_how_to_give_them(run: genlab.Run) -> None:
    assert genlab.load(run)  # a model does not need its data
    for use in (genlab.resume, genlab.evaluate, genlab.interpolate):
        with pytest.raises(UsageError, match=r"given in Python .*genlab.resume\(run, data=…\)") as caught:
            use(run)
        assert "plugin" not in str(caught.value)


def test_every_use_takes_the_data_again_and_refuses_others(run: genlab.Run) -> None:
    for data in (255 - IMAGES, IMAGES):
        right = data is not IMAGES
        for use, options in (
            (genlab.evaluate, PIXELS),
            (genlab.interpolate, {}),
            (genlab.resume, {"quiet": True}),
        ):
            forget()
            if right:
                assert use(run, data=data, **options)
                continue
            with pytest.raises(CheckpointError, match="no longer what autoencoder-2 was trained on") as caught:
                use(run, data=data, **options)
            assert "augmented at random" in str(caught.value)
            assert max(map(len, str(caught.value).split("'"))) < 200


def test_a_stored_evaluation_does_not_excuse_other_data(run: genlab.Run) -> None:
    genlab.evaluate(run, data=255 - IMAGES, **PIXELS)
    with pytest.raises(CheckpointError):
        genlab.evaluate(run, data=IMAGES, **PIXELS)


def test_data_are_found_by_their_content_under_any_name(run: genlab.Run) -> None:
    genlab.part("data", "first")(IMAGES)
    genlab.part("data", "second")(255 - IMAGES)
    assert genlab.interpolate(run)
    assert genlab.resume(run, quiet=True).plan.settings.data == "second"


def test_changed_data_are_noticed(run: genlab.Run) -> None:
    images = 255 - IMAGES
    named(images)
    images[0] = 0
    with pytest.raises(GenlabError, match="autoencoder-2"):
        genlab.interpolate(run)


def test_runs_on_data_given_in_python_are_compared_in_one_list(root: Path, run: genlab.Run) -> None:
    vae = genlab.train("vae", data=IMAGES, root=root, **TINY)
    assert len(genlab.compare([vae, vae], **PIXELS).evaluations) == 2


def test_a_model_with_sources_samples_with_the_data_that_are_given(run: genlab.Run) -> None:
    with pytest.raises(CheckpointError, match="no longer what"):
        genlab.sample(run, data=IMAGES)


def test_a_size_that_was_chosen_is_noted(root: Path) -> None:
    def notes(images: Array, **options: Any) -> list[Any]:
        made = genlab.train("vae", data=images, root=root, **TINY, **options)
        told = [note.get("images resized") for note in RunFolder(made.folder).events("note")]
        return [note for note in told if note]

    assert notes(IMAGES) == notes(IMAGES[:, :12], size=16) == []
    (note,) = notes(IMAGES[:, :12])
    assert "native size 16x12; shorter side to 32 px" in note


def test_pictures_of_ones_own_are_reconstructed_and_interpolated(run: genlab.Run) -> None:
    made = genlab.reconstruct(run, IMAGES[:5])
    assert made.originals.shape == (5, 1, 16, 16)
    assert repr(made) == f"<Reconstructed (5, 1, 16, 16) {made.path}>"
    between = genlab.interpolate(run, between=IMAGES[:, None], stretches=2, frames=3)
    assert between.frames.shape == (2, 3, 1, 16, 16)
    with pytest.raises(UsageError, match=r"array-\w+ has 5 images"):
        genlab.interpolate(run, between=IMAGES[:5], stretches=5)
    assert genlab.interpolate(run, between=IMAGES[:5], frames=2).frames.shape == (4, 2, 1, 16, 16)


def test_labels_may_be_new_objects_in_every_call(root: Path) -> None:
    run = genlab.train("cgan", data=(IMAGES, LABELS), root=root, **TINY)
    assert genlab.resume(run, data=(IMAGES, list(LABELS)), steps=3, quiet=True).step == 3
    assert len(parts.registered("data")) == 1


def test_a_list_of_files_may_have_as_many_damaged_ones_as_the_run_allows(root: Path, tmp_path: Path) -> None:
    from PIL import Image

    for at, image in enumerate(IMAGES):
        Image.fromarray(image).save(tmp_path / f"{at:02}.png")
    (tmp_path / "00.png").write_text("no picture")
    files = sorted(tmp_path.glob("*.png"))
    run = genlab.train("vae", data=files, max_rejected=0.1, root=root, **TINY)
    assert RunFolder(run.folder).read_yaml("data.yaml")["rejected"] == 1


def labelled(path: Path, *classes: str) -> RunFolder:
    """A run folder that says which classes its data have."""
    folder = RunFolder(path)
    spec = DataSpec(Images(1, 8, 8), {"label": Classes(classes)})
    folder.write_yaml("data.yaml", spec.values())
    return folder


def test_a_class_is_found_exactly_before_in_any_case(tmp_path: Path) -> None:
    folder = labelled(tmp_path, "A", "B", "a", "1")
    assert [find_class(folder, name) for name in ("A", "a", "b", "B", "1", "2", "0")] == [0, 2, 1, 1, 3, 2, 0]
    folder = labelled(tmp_path, "Cat", "CAT", "dog")
    with pytest.raises(UsageError, match=r'"cat" may be Cat \(0\) or CAT \(1\)\. Write it exactly'):
        find_class(folder, "cat")
    assert find_class(folder, "DOG") == 2


def test_a_number_means_the_class_of_that_name_where_all_names_are_numbers(tmp_path: Path) -> None:
    folder = labelled(tmp_path, "1", "2", "4")
    assert [find_class(folder, name) for name in ("1", "2", "4")] == [0, 1, 2]
    with pytest.raises(UsageError, match=r'no class "0"\. Choices: 1, 2, 4\.'):
        find_class(folder, "0")


def test_a_training_says_that_pictures_are_cropped(root: Path) -> None:
    wide = np.random.default_rng(0).integers(0, 256, (20, 16, 24), dtype=np.uint8)
    run = genlab.train("vae", data=wide, size=16, root=root, **TINY)
    (note,) = RunFolder(run.folder).events("note")
    assert note["resize"].endswith("which crops the longer side")


def test_other_rules_for_folders_are_named_when_a_run_is_resumed(tmp_path: Path) -> None:
    before = as_source(np.zeros((8, 8, 8), np.uint8), size=8)
    folder = labelled(tmp_path, "training", "testing")
    folder.write_yaml("data.yaml", {**folder.read_yaml("data.yaml"), "notes": {"split": "by a hash"}})
    now = replace(before, notes={"split": "the source's own", "classes": "none"})
    with pytest.raises(CheckpointError) as caught:
        check_unchanged(folder, now)
    assert 'split was "by a hash" and is "the source\'s own"' in str(caught.value)
    assert "an earlier genlab found classes and splits by other rules" in str(caught.value)


def test_the_range_of_an_npz_is_an_option_of_the_run(tmp_path: Path) -> None:
    np.savez(tmp_path / "set.npz", images=IMAGES / 255 - 0.5)
    plan = resolve("vae", {"data": str(tmp_path / "set.npz"), "range": (-0.5, 0.5)})
    assert from_values(plan.values(), "recipe.yaml").settings.range == (-0.5, 0.5)
    source = open_data(plan.settings, quiet=True)
    assert source.notes["recognised"].endswith("-0.5 to 0.5, as given")
    with pytest.raises(GenlabError, match=r"--range -0\.5 0\.5"):
        open_data(replace(plan.settings, range=None), quiet=True)
