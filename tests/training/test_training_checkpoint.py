"""A checkpoint is whole or refused; at every instant of writing one there is one to go on from."""

import hashlib
import json
import os
import pickle
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import safetensors.torch
import torch
from safetensors import safe_open

import genlab
from genlab.core.errors import CheckpointError, StorageError
from genlab.core.modality import DataSpec, Points
from genlab.core.optimizer import adam
from genlab.core.player import Player
from genlab.core.random import Randomness
from genlab.recipes.presets import PRESETS
from genlab.runs.phases import build
from genlab.training import checkpoint
from genlab.training.average import Average
from genlab.training.checkpoint import Checkpoint, link, load, recover, save
from genlab.training.matching import require_optimizer_state
from genlab.training.state import carry_over, collect, named_parameters, restore
from genlab.version import __version__
from sabotage import Disk, full

FILES = ("model.safetensors", "training.safetensors", "state.json", "manifest.json")


def numbered(number: int) -> Checkpoint:
    """Return a checkpoint whose every part says its number."""
    weights = {"a": torch.full((3, 2), float(number)), "b": torch.tensor(number)}
    return Checkpoint(weights, {"m": torch.arange(4.0) + number}, {"step": number, "best_step": None})


def number_of(folder: Path) -> int:
    """Load the checkpoint; return its number, the same in all its parts."""
    loaded = load(folder)
    number: int = loaded.state["step"]
    expected = numbered(number)
    for mine, theirs in ((loaded.model, expected.model), (loaded.training, expected.training)):
        assert mine.keys() == theirs.keys()
        assert all(torch.equal(mine[name], theirs[name]) for name in mine)
    return number


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    save(numbered(1), tmp_path / "last")
    return tmp_path / "last"


def test_what_is_saved_is_loaded(tmp_path: Path) -> None:
    transposed = torch.arange(24.0).reshape(2, 3, 2, 2).to(memory_format=torch.channels_last)
    weights = {"w": transposed, "half": torch.tensor([1.5], dtype=torch.bfloat16), "n": torch.tensor(3)}
    state = {"step": 5, "seconds": 1.25, "best_value": None}
    save(Checkpoint(weights, {}, state), tmp_path / "last")
    loaded = load(tmp_path / "last")
    assert loaded.state == state
    assert loaded.training == {}
    assert loaded.model.keys() == weights.keys()
    for name, tensor in weights.items():
        assert loaded.model[name].dtype == tensor.dtype
        assert torch.equal(loaded.model[name], tensor)
    assert sorted(p.name for p in (tmp_path / "last").iterdir()) == sorted(FILES)
    assert [p.name for p in tmp_path.iterdir()] == ["last"]


def test_metadata_say_what_the_weights_are_and_change_no_other_bit(tmp_path: Path) -> None:
    about = {"preset": "dcgan", "output": "3 × 8 × 8", "load": "genlab.load(RUN)", "genlab": "0"}
    told = []
    for name, words in enumerate((about, about, about, {})):
        save(replace(numbered(1), about=words), tmp_path / str(name))
        told.append((tmp_path / str(name) / "model.safetensors").read_bytes())
    assert told[0] == told[1] == told[2] != told[3]
    with safe_open(tmp_path / "0" / "model.safetensors", "pt") as file:
        assert json.loads(file.metadata()["genlab"]) == about
    with safe_open(tmp_path / "3" / "model.safetensors", "pt") as file:
        assert not file.metadata()
    assert number_of(tmp_path / "0") == number_of(tmp_path / "3") == 1
    assert load(tmp_path / "0").about == about


def test_the_weights_of_a_run_say_how_pictures_are_made_of_them(tmp_path: Path) -> None:
    said = {}
    for preset, architecture in (("gan", "mlp"), ("flow-matching", "mlp")):
        options = {"data": "ring8", "architecture": architecture, "width": 8, "batch_size": 8, "steps": 1}
        run = genlab.train(preset, quiet=True, root=tmp_path, **options)
        with safe_open(run.folder / "checkpoints" / "last" / "model.safetensors", "pt") as file:
            said[preset] = json.loads(file.metadata()["genlab"])
    made = "points of shape 2, values in [-1, 1]"
    assert said["gan"]["output"] == f"{made}; points are tanh of the output of the last layer"
    assert said["flow-matching"]["output"] == made
    known = {"preset": "gan", "family": "gan", "architecture": "mlp", "genlab": __version__}
    assert said["gan"].items() >= known.items()
    assert "averaged" in said["gan"]["weights"]


def test_there_is_none(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match=r"no checkpoint at .*last.*--checkpoint-every"):
        load(tmp_path / "last")


def test_a_checkpoint_that_is_swapped_while_it_is_read_is_read_again(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Somebody samples from a run that trains: half of the old files, half of the new ones."""
    manifest = checkpoint._manifest
    swaps = iter((numbered(2), numbered(3)))

    def meanwhile(path: Path) -> dict[str, tuple[int, str]]:
        entries = manifest(path)
        if (new := next(swaps, None)) is not None:
            save(new, folder)
        return entries

    monkeypatch.setattr(checkpoint, "_manifest", meanwhile)
    assert number_of(folder) == 3


@pytest.mark.parametrize("name", FILES)
def test_a_missing_file_is_named(folder: Path, name: str) -> None:
    (folder / name).unlink()
    with pytest.raises(CheckpointError, match=name):
        load(folder)


@pytest.mark.parametrize("name", FILES)
def test_a_file_cut_short_by_a_byte_is_named(folder: Path, name: str) -> None:
    os.truncate(folder / name, (folder / name).stat().st_size - 1)
    with pytest.raises(CheckpointError, match=name):
        load(folder)


@pytest.mark.parametrize("name", FILES[:3])
def test_every_flipped_bit_is_found_and_its_file_named(folder: Path, name: str) -> None:
    whole = (folder / name).read_bytes()
    for bit in range(8 * len(whole)):
        altered = bytearray(whole)
        altered[bit // 8] ^= 1 << bit % 8
        (folder / name).write_bytes(altered)
        with pytest.raises(CheckpointError, match=name):
            load(folder)


def test_a_manifest_with_a_flipped_bit_is_refused_or_means_the_same(folder: Path) -> None:
    whole = (folder / "manifest.json").read_bytes()
    refused = []
    for bit in range(0, 8 * len(whole), 3):
        altered = bytearray(whole)
        altered[bit // 8] ^= 1 << bit % 8
        (folder / "manifest.json").write_bytes(altered)
        try:
            assert number_of(folder) == 1
        except CheckpointError as error:
            refused.append(str(error))
    assert all(str(folder) in message for message in refused)
    assert len(refused) > 0.85 * 8 / 3 * len(whole)  # not those in the version of the writer


@pytest.mark.parametrize(
    "manifest",
    [
        b"",
        b"[]",
        b"7",
        b"null",
        b'{"schema": 2}',
        b"[" * 100_000,
        b'{"schema": "2", "files": {}}',
        b'{"schema": 2, "files": []}',
        b'{"schema": 2, "files": {"model.safetensors": null, "training.safetensors": 1, "state.json": {}}}',
        b"\xff\xfe\x00",
    ],
)
def test_a_manifest_that_says_something_else_is_named(folder: Path, manifest: bytes) -> None:
    (folder / "manifest.json").write_bytes(manifest)
    with pytest.raises(CheckpointError, match=r"manifest\.json"):
        load(folder)


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("kind", ["endless", "fifo", "folder", "sparse"])
def test_a_file_that_does_not_end_or_is_none_is_named_at_once(folder: Path, name: str, kind: str) -> None:
    path = folder / name
    if kind == "sparse":
        os.truncate(path, 40 << 30)
    else:
        path.unlink()
        {"endless": lambda: path.symlink_to("/dev/zero"), "fifo": lambda: os.mkfifo(path), "folder": path.mkdir}[
            kind
        ]()
    for use in (load, checkpoint.load_state):
        if use is load or name in FILES[2:]:
            with pytest.raises(CheckpointError, match=rf"{name} (cannot be read|has \d+ bytes instead of)"):
                use(folder)


def _with_file(folder: Path, name: str, data: bytes) -> None:
    """Write a file of a checkpoint, with its length and hash in the manifest."""
    (folder / name).write_bytes(data)
    manifest = json.loads((folder / "manifest.json").read_text())
    manifest["files"][name] = {"bytes": len(data), "sha256": hashlib.sha256(data).hexdigest()}
    (folder / "manifest.json").write_text(json.dumps(manifest))


@pytest.mark.parametrize("data", [b"[" * 100_000, b"[1]", b"1", b"\xff", b" " * (checkpoint.MOST + 1)])
def test_a_state_of_another_shape_depth_or_length_is_named(folder: Path, data: bytes) -> None:
    _with_file(folder, "state.json", data)
    with pytest.raises(CheckpointError, match=r"state\.json"):
        load(folder)


@pytest.mark.parametrize("length", [1e30, -1, "70", None, True])
def test_a_length_that_is_none_is_refused(folder: Path, length: object) -> None:
    manifest = json.loads((folder / "manifest.json").read_text())
    manifest["files"]["model.safetensors"]["bytes"] = length
    (folder / "manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(CheckpointError, match=r"manifest\.json|model\.safetensors has"):
        load(folder)


def test_a_copy_in_place_of_a_link_is_whole(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise OSError("no links here")

    monkeypatch.setattr(os, "link", refuse)
    link(folder, folder.with_name("best"))
    assert number_of(folder.with_name("best")) == 1
    (folder / "model.safetensors").unlink()
    with pytest.raises(StorageError, match=r"model\.safetensors"):
        link(folder, folder.with_name("best"))
    assert number_of(folder.with_name("best")) == 1


def test_a_newer_schema_is_refused_with_both_versions(folder: Path) -> None:
    manifest = json.loads((folder / "manifest.json").read_text())
    manifest |= {"schema": checkpoint.SCHEMA + 1, "genlab": "99.1"}
    (folder / "manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(CheckpointError) as caught:
        load(folder)
    message = str(caught.value)
    assert f"schema {checkpoint.SCHEMA + 1}" in message
    assert "genlab 99.1" in message
    assert genlab.__version__ in message
    assert "pgrade" in message


def test_an_older_schema_is_refused_because_its_weights_mean_something_else(folder: Path) -> None:
    manifest = json.loads((folder / "manifest.json").read_text())
    (folder / "manifest.json").write_text(json.dumps(manifest | {"schema": checkpoint.OLDEST - 1}))
    with pytest.raises(CheckpointError, match=rf"schema {checkpoint.OLDEST - 1}.*differently"):
        load(folder)


def forge(folder: Path, name: str, data: bytes) -> None:
    """Put `data` in place of a file, and make the manifest agree."""
    (folder / name).write_bytes(data)
    manifest = json.loads((folder / "manifest.json").read_text())
    manifest["files"][name] = {"bytes": len(data), "sha256": hashlib.sha256(data).hexdigest()}
    (folder / "manifest.json").write_text(json.dumps(manifest))


class Trap:
    """Makes a folder when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Callable[..., Any], tuple[str]]:
        return os.mkdir, (str(self.path),)


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("pack", ["pickle", "torch"])
def test_a_pickle_is_not_executed(folder: Path, tmp_path: Path, name: str, pack: str) -> None:
    sprung = tmp_path / "sprung"
    foreign = tmp_path / "foreign"
    if pack == "pickle":
        foreign.write_bytes(pickle.dumps(Trap(sprung)))
    else:
        torch.save(Trap(sprung), foreign)
    if name == "manifest.json":
        shutil.copy(foreign, folder / name)
    else:
        forge(folder, name, foreign.read_bytes())
    with pytest.raises(CheckpointError, match=name):
        load(folder)
    assert not sprung.exists()
    foreign.write_bytes(pickle.dumps(Trap(sprung)))
    pickle.loads(foreign.read_bytes())
    assert sprung.exists()  # it was armed


class Killed(BaseException):
    """What no code but a test's catches, as a kill."""


def stopped(disk: Disk, action: Callable[[], object]) -> bool:
    """Do `action` on a disk that may kill or refuse, and tell whether it did."""
    with pytest.MonkeyPatch.context() as patch:
        disk.watch(patch, flush=False)
        try:
            action()
        except (Killed, StorageError):
            return True
    return False


def killing(root: Path, at: int) -> Disk:
    """Return a disk that kills before the `at`-th change."""

    def kill(number: int, kind: str) -> None:
        if number == at:
            raise Killed

    return Disk(root, kill)


def test_all_is_on_the_disk_before_anything_is_renamed(folder: Path) -> None:
    kinds: list[str] = []
    with pytest.MonkeyPatch.context() as patch:
        Disk(folder.parent, lambda number, kind: kinds.append(kind)).watch(patch)
        save(numbered(2), folder)
    first = kinds.index("rename")
    written = ["open", "write", "tear", "fsync"] * len(FILES)
    assert kinds[:first] == ["mkdir", *written, "fsync"]
    assert kinds[first : first + 4] == ["rename", "fsync"] * 2
    assert set(kinds[first + 4 :]) == {"unlink", "rmdir"}


def old_and_new(root: Path) -> Path:
    shutil.rmtree(root, ignore_errors=True)
    save(numbered(1), root / "last")
    return root / "last"


@pytest.mark.parametrize("disk", [killing, full])
def test_wherever_a_save_is_stopped_the_old_or_the_new_one_is_whole(
    tmp_path: Path, disk: Callable[[Path, int], Disk]
) -> None:
    root, at, loaded = tmp_path / "checkpoints", 0, []
    while True:
        at += 1
        folder = old_and_new(root)
        if not stopped(disk(root, at), lambda folder=folder: save(numbered(2), folder)):
            break
        before = number_of(folder)
        recover(folder)
        loaded.append(number_of(folder))
        assert loaded[-1] >= before
        assert [p.name for p in root.iterdir()] == ["last"]
        save(numbered(3), folder)
        assert number_of(folder) == 3
    assert at > 20
    assert loaded == sorted(loaded)
    assert set(loaded) == {1, 2}


def test_wherever_the_first_save_is_stopped_there_is_none_or_a_whole_one(tmp_path: Path) -> None:
    root, at, found = tmp_path / "checkpoints", 0, set()
    while True:
        at += 1
        shutil.rmtree(root, ignore_errors=True)
        root.mkdir()
        if not stopped(killing(root, at), lambda: save(numbered(2), root / "last")):
            break
        try:
            whole = number_of(root / "last") == 2
        except CheckpointError:
            whole = False
        recover(root / "last")
        assert (root / "last").exists() == whole
        if (root / "last").exists():
            assert number_of(root / "last") == 2
        else:
            assert list(root.iterdir()) == []
        found.add(whole)
    assert found == {True, False}


def test_wherever_a_recovery_is_stopped_another_one_finishes_it(tmp_path: Path) -> None:
    root, first, seconds = tmp_path / "checkpoints", 0, 0
    while True:
        first += 1
        folder = old_and_new(root)
        if not stopped(killing(root, first), lambda folder=folder: save(numbered(2), folder)):
            break
        left = tmp_path / "left"
        shutil.rmtree(left, ignore_errors=True)
        shutil.copytree(root, left)
        second = 0
        while True:
            second += 1
            shutil.rmtree(root)
            shutil.copytree(left, root)
            before = number_of(folder)
            done = not stopped(killing(root, second), lambda folder=folder: recover(folder))
            between = number_of(folder)
            recover(folder)
            assert before <= between <= number_of(folder)
            assert [p.name for p in root.iterdir()] == ["last"]
            if done:
                break
            seconds += 1
    assert seconds > 50


def test_wherever_a_save_after_a_stopped_one_is_stopped_too_there_is_a_whole_one(tmp_path: Path) -> None:
    root, first, seconds = tmp_path / "checkpoints", 0, 0
    while True:
        first += 1
        folder = old_and_new(root)
        if not stopped(killing(root, first), lambda folder=folder: save(numbered(2), folder)):
            break
        left = tmp_path / "left"
        shutil.rmtree(left, ignore_errors=True)
        shutil.copytree(root, left)
        for second in range(1, 12):
            shutil.rmtree(root)
            shutil.copytree(left, root)
            before = number_of(folder)
            assert stopped(killing(root, second), lambda folder=folder: save(numbered(3), folder))
            assert number_of(folder) >= before
            recover(folder)
            assert number_of(folder) >= before
            seconds += 1
    assert seconds > 100


@pytest.mark.parametrize("disk", [killing, full])
def test_wherever_a_link_is_stopped_both_are_whole(tmp_path: Path, disk: Callable[[Path, int], Disk]) -> None:
    root, at, found = tmp_path / "checkpoints", 0, set()
    while True:
        at += 1
        last = old_and_new(root)
        best = root / "best"
        save(numbered(2), best)
        if not stopped(disk(root, at), lambda last=last, best=best: link(last, best)):
            break
        found.add(number_of(best))
        assert number_of(last) == 1
        recover(best)
        assert number_of(best) in (1, 2)
        assert sorted(p.name for p in root.iterdir()) == ["best", "last"]
    assert found == {1, 2}


@pytest.mark.parametrize("links", [True, False])
def test_a_linked_checkpoint_stays_when_the_other_moves_on(
    folder: Path, links: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    best = folder.with_name("best")
    if not links:

        def refuse(*_: object) -> None:
            raise OSError(95, "Operation not supported")

        monkeypatch.setattr(os, "link", refuse)
    link(folder, best)
    shared = [(best / name).samefile(folder / name) for name in FILES]
    assert shared == [links] * 4
    save(numbered(2), folder)
    assert (number_of(folder), number_of(best)) == (2, 1)


class Toy:
    """Descends a plane: its weights move by Adam's moments alone."""

    def __init__(self) -> None:
        self.model = torch.nn.Linear(2, 1)
        self.player = Player("toy", self.model, adam(self.model, "toy", 0.1, (0.9, 0.99)))
        self.optimizers = {"toy": self.player.optimizer}

    def step(self, step: int, *_: object) -> dict[str, torch.Tensor]:
        with self.player.learning():
            self.player.backward((self.model(torch.ones(3, 2)) ** 3).sum())
            return self.player.update(step)


@pytest.mark.parametrize("ema", [0.0, 0.5])
def test_what_is_collected_and_restored_goes_on_to_the_same_bits(ema: float, tmp_path: Path) -> None:
    toy, other = Toy(), Toy()
    average, copied = (Average(t.model, ema) if ema else None for t in (toy, other))
    for step in range(8):
        toy.step(step)
        if average:
            average.update(step)
    model, training = collect(toy, average)
    save(Checkpoint(model, training, {"step": 8}), tmp_path / "last")
    restore(load(tmp_path / "last"), other, copied)
    for step in range(8, 17):
        for t, a in ((toy, average), (other, copied)):
            t.step(step)
            if a:
                a.update(step)
    (one, rest), (same, other_rest) = collect(toy, average), collect(other, copied)
    assert one.keys() == same.keys()
    assert rest.keys() == other_rest.keys()
    assert all(torch.equal(one[name], same[name]) for name in one)
    assert all(torch.equal(rest[name], other_rest[name]) for name in rest)


@pytest.mark.parametrize("ema", [0.0, 0.5])
def test_weights_that_do_not_fit_are_named(ema: float) -> None:
    toy = Toy()
    toy.step(0)
    average = Average(toy.model, ema) if ema else None
    model, training = collect(toy, average)
    for name in model:
        with pytest.raises(CheckpointError, match=f"does not fit.*(?s:.*){name}"):
            restore(Checkpoint({n: t for n, t in model.items() if n != name}, training, {}), toy, average)
        with pytest.raises(CheckpointError, match=f"does not fit.*(?s:.*){name}"):
            restore(Checkpoint({**model, name: torch.zeros(7)}, training, {}), toy, average)
    if average:
        with pytest.raises(CheckpointError, match="does not fit"):
            restore(Checkpoint(model, {}, {}), toy, average)


@pytest.mark.parametrize("saved", [True, False])
def test_an_average_that_only_one_side_has_does_not_fit(saved: bool) -> None:
    """Else averaged weights would be trained on as if they were the raw ones."""
    toy = Toy()
    toy.step(0)
    average = Average(toy.model, 0.9)
    model, rest = collect(toy, average if saved else None)
    with pytest.raises(CheckpointError, match="ema"):
        restore(Checkpoint(model, rest, {}), toy, None if saved else average)


def test_optimizer_state_of_another_network_does_not_fit() -> None:
    toy = Toy()
    toy.step(0)
    model, rest = collect(toy, None)
    renamed = {name.replace("weight", "w"): tensor for name, tensor in rest.items()}
    with pytest.raises(CheckpointError, match=r"does not fit.*toy\.w"):
        restore(Checkpoint(model, renamed, {}), toy, None)


MOMENT = "optimizer/toy.weight/exp_avg"  # like the weight, float32 1 × 2


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({MOMENT: torch.zeros(1)}, r"has toy\.weight/exp_avg as float32 1, which should be float32 1 × 2"),
        ({MOMENT: torch.zeros(1, 1)}, r"toy\.weight/exp_avg as float32 1 × 1, which"),
        ({MOMENT: torch.zeros(())}, r"toy\.weight/exp_avg as float32 a scalar, which"),
        ({MOMENT: torch.zeros(1, 2).double()}, r"toy\.weight/exp_avg as float64 1 × 2, which"),
        ({MOMENT: None}, r"lacks toy\.weight/exp_avg, which should be float32 1 × 2"),
        (
            {f"optimizer/toy.{name}/exp_avg": None for name in ("weight", "bias")},
            r"lacks toy\.weight/exp_avg, .*, and 1 more",
        ),
        ({"optimizer/toy.bias/step": None}, r"lacks toy\.bias/step, which should be float32 a scalar"),
        ({"optimizer/toy.bias/step": torch.ones(1)}, r"toy\.bias/step as float32 1, which"),
        ({"optimizer/toy.bias/mean": torch.zeros(1)}, r"lacks toy\.weight/mean"),
        ({"optimizer/toy.scale/exp_avg": torch.zeros(1)}, r"also has optimizer/toy\.scale/exp_avg"),
        ({"other": torch.zeros(1)}, "also has other"),
        ({"raw/weight": torch.zeros(1)}, "ema"),
    ],
)
def test_a_state_that_an_optimizer_cannot_use_is_named_before_anything_is_loaded(
    changes: dict[str, torch.Tensor | None], words: str
) -> None:
    """A fused kernel reads past the end of a moment that is too short."""
    toy, other = Toy(), Toy()
    toy.step(0)
    before = other.model.weight.detach().clone()
    model, rest = collect(toy, None)
    changed = {name: tensor for name, tensor in {**rest, **changes}.items() if tensor is not None}
    with pytest.raises(CheckpointError, match=f"does not fit its recipe.*{words}"):
        restore(Checkpoint(model, changed, {}), other, None)
    assert torch.equal(other.model.weight, before)
    assert not other.optimizers["toy"].state


@pytest.mark.parametrize("ema", [0.0, 0.5])
def test_weights_of_another_number_type_are_not_converted(ema: float) -> None:
    toy = Toy()
    toy.step(0)
    average = Average(toy.model, ema) if ema else None
    model, rest = collect(toy, average)
    with pytest.raises(CheckpointError, match=r"model.safetensors has weight as float64 1 × 2, which"):
        restore(Checkpoint({**model, "weight": model["weight"].double()}, rest, {}), toy, average)
    if average:
        rest["raw/weight"] = rest["raw/weight"].half()
        with pytest.raises(CheckpointError, match=r"training.safetensors has weight as float16 1 × 2, which"):
            restore(Checkpoint(model, rest, {}), toy, average)


def test_carrying_weights_over_needs_a_fitting_optimizer_state_too() -> None:
    toy = Toy()
    toy.step(0)
    model, rest = collect(toy, None)
    with pytest.raises(CheckpointError, match=r"toy\.weight/exp_avg as float32 1, which"):
        carry_over(Checkpoint(model, {**rest, MOMENT: torch.zeros(1)}, {}), Toy(), None)
    with pytest.raises(CheckpointError, match="has weight as float64"):
        carry_over(Checkpoint({**model, "weight": model["weight"].double()}, rest, {}), Toy(), None)


@pytest.mark.parametrize("kind", [torch.optim.SGD, torch.optim.AdamW, torch.optim.NAdam])
@pytest.mark.parametrize("momentum", [0.0, 0.9])
def test_other_optimizers_are_restored_too(
    kind: type[torch.optim.Optimizer], momentum: float, tmp_path: Path
) -> None:
    toy, other = Toy(), Toy()
    for each in (toy, other):
        named = [(f"toy.{name}", p) for name, p in each.model.named_parameters()]
        options = {"momentum": momentum} if kind is torch.optim.SGD else {}
        each.player.optimizer = kind(named, lr=0.1, **options)  # type: ignore[call-arg]
        each.optimizers = {"toy": each.player.optimizer}
    toy.step(0)
    save(Checkpoint(*collect(toy, None), {"step": 1}), tmp_path / "last")
    restore(load(tmp_path / "last"), other, None)
    for each in (toy, other):
        each.step(1)
    assert torch.equal(toy.model.weight, other.model.weight)


def test_a_historical_mean_that_is_missing_is_named() -> None:
    """Without it the run would go on, from another mean."""
    training = build(
        replace(PRESETS["gan"], historical_averaging=0.1, width=4), DataSpec(Points(2)), Randomness(0)
    )
    optimizer = training.optimizers["generator"]
    for parameter in optimizer.param_groups[0]["params"]:
        parameter.grad = torch.zeros_like(parameter)
    optimizer.step()
    states = {n: dict(optimizer.state[p]) for n, p in named_parameters(optimizer)}
    with pytest.raises(CheckpointError, match=r"lacks generator\.\S+/mean"):
        require_optimizer_state(optimizer, dict(named_parameters(optimizer)), states)


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
@pytest.mark.parametrize("file", FILES[:2])
def test_weights_that_are_no_numbers_are_refused_with_their_name(folder: Path, file: str, value: float) -> None:
    tensors = safetensors.torch.load((folder / file).read_bytes())
    name = next(name for name, tensor in tensors.items() if tensor.is_floating_point())
    tensors[name].flatten()[-1] = value
    forge(folder, file, safetensors.torch.save(tensors))
    word = "NaN" if value != value else "Inf"
    with pytest.raises(CheckpointError, match=rf"{file} has {word} in {name}, .*other one of the run"):
        load(folder)
