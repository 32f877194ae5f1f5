"""`genlab translate`: what is translated, where it is written, what is said."""

import importlib
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor, nn

import genlab as package
from genlab.applications import translate_files
from genlab.core.condition import NONE, Condition
from genlab.core.errors import GenlabError, UsageError
from genlab.core.modality import Classes, DataSpec, Images
from genlab.core.pictures import gif
from genlab.verbs.using import Opened

Genlab = Callable[..., tuple[int, str, str]]
COLOUR = Images(3, 16, 16)


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> package.Run:
    """A run of pix2pix of two steps."""
    root = tmp_path_factory.mktemp("translations")
    small = {"steps": 2, "width": 4, "batch_size": 4, "discriminator": "patch-16", "precision": "float32"}
    run: package.Run = package.train("pix2pix", data="paired-digits", size=16, **small, root=root, quiet=True)
    return run


class Fake(nn.Module):
    """Darkens pictures to half, or by as much as their label says; brightens them on the way back."""

    def __init__(self, **conditions: Any) -> None:
        super().__init__()
        self.conditions = {"source": COLOUR, **conditions}
        self.weight = nn.Parameter(torch.ones(()))

    def sample(self, count: int, condition: Condition = NONE, generator: torch.Generator | None = None) -> Tensor:
        by = condition["label"].view(-1, 1, 1, 1) if "label" in condition else 0.5
        return (condition["source"] + 1) * by - 1


class Both(Fake):
    def translate_back(self, x: Tensor, condition: Condition = NONE) -> Tensor:
        return (x + 1) * 2 - 1


@pytest.fixture
def opened(trained: package.Run, monkeypatch: pytest.MonkeyPatch) -> Callable[[nn.Module, DataSpec], None]:
    """Makes the verb open another model in place of that of the run."""
    verb = importlib.import_module("genlab.verbs.translate")
    folder = verb.open_run(str(trained.folder), "", None, "cpu").folder

    def use(model: nn.Module, spec: DataSpec) -> None:
        monkeypatch.setattr(verb, "open_run", lambda *_: Opened(folder, model, 2, spec))
        monkeypatch.setattr("genlab.runs.recorded.domains_of", lambda _: ("night", "day"))
        monkeypatch.setattr("genlab.runs.recorded.spec_of", lambda *_: spec)

    return use


def test_a_run_that_translates_says_so(trained: package.Run, genlab: Genlab) -> None:
    assert f"\n  genlab translate {trained.folder} PICTURES\n" in str(trained)
    assert "genlab sample" not in str(trained)
    code, out, _ = genlab("info", trained.folder)
    assert code == 0
    assert f"it translates turned negatives to digits\n  genlab translate {trained.folder} PICTURES" in out
    assert package.info(trained).translates == ["turned negatives to digits"]


def test_what_is_printed_is_the_result(
    trained: package.Run, pictures: Path, tmp_path: Path, genlab: Genlab
) -> None:
    result = package.translate(trained, pictures, out=tmp_path / "a.png")
    code, out, _ = genlab("translate", trained.folder, pictures, "--out", tmp_path / "a.png")
    assert (code, out) == (0, f"{result}\n")
    size = "the model's 16x16 pixels"
    assert out.splitlines()[1:] == [
        "3 pictures translated to digits",
        f"2 pictures larger than {size}: translated in tiles; --large resize shrinks them instead",
        str(tmp_path / "a.png"),
    ]
    assert out.startswith("rejected  broken.png: ")
    assert result._repr_png_() == result.path.read_bytes()
    _, out, _ = genlab("translate", trained.folder, pictures, "--out", tmp_path / "a.png", "--json")
    values = json.loads(out)
    assert values == json.loads(json.dumps(result.values()))
    assert (values["pictures"], values["larger"], values["smaller"]) == (3, 2, 0)


def test_the_default_is_a_sheet_in_the_run_folder(trained: package.Run, pictures: Path) -> None:
    assert package.translate(trained, pictures).path == trained.folder / "translations/000002-pictures.png"
    other = package.translate(trained, pictures, to="digits", large="resize", seed=3)
    assert other.path.name == "000002-pictures-to-digits-seed-3-large-resize.png"
    assert "2 pictures larger than the model's 16x16 pixels: shrunk to it" in str(other)


def test_no_picture_is_written_over_its_source(trained: package.Run, pictures: Path) -> None:
    source = next(path for path in sorted(pictures.rglob("*.png")) if path.name != "broken.png")
    before = source.read_bytes()
    for given in (source, pictures):
        with pytest.raises(UsageError, match="is one of the files that are read"):
            package.translate(trained, given, out=source)
    for verb in (package.stylize, package.reconstruct):
        style = {"style": source, "iterations": 1} if verb is package.stylize else {"run": trained}
        with pytest.raises(UsageError, match="is one of the files that are read"):
            verb(**{"content" if verb is package.stylize else "path": source}, **style, out=source)
    assert source.read_bytes() == before


def test_sources_that_are_sampled_repeatedly_are_counted(
    trained: package.Run, tmp_path: Path, genlab: Genlab, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("genlab.runs.data.sampling_turns", lambda *_: {"source": torch.zeros(2, 1, 16, 16)})
    said = [genlab("sample", trained.folder, "-n", n, "--out", tmp_path / f"{n}.png")[2] for n in (2, 3)]
    assert ["2 held-out sources for 3 samples" in words for words in said] == [False, True]


def test_a_squashed_picture_is_counted_in_words() -> None:
    one = package.verbs.translate.Translated(["a"], ["day"], [], Path("a.png"), (16, 16), squashed=1)
    assert "1 picture squashed for this: not of the model's aspect ratio\n" in str(one)


def test_a_folder_is_written_under_the_names_of_the_sources(
    trained: package.Run, pictures: Path, tmp_path: Path
) -> None:
    result = package.translate(trained, pictures, out=tmp_path / "new")
    assert str(result).endswith(f"\n{tmp_path / 'new'}")
    shapes = {path.name: np.asarray(Image.open(path)).shape for path in (tmp_path / "new").iterdir()}
    assert shapes == {"a.png": (20, 30), "b.png": (16, 16), "c.png": (40, 24)}
    with pytest.raises(UsageError, match="is not empty"):
        package.translate(trained, pictures, out=tmp_path / "new")


def test_a_killed_command_completes_its_folder_to_the_same_bytes(
    trained: package.Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(translate_files, "GROUP", 2)
    (folder := tmp_path / "in").mkdir()
    random = np.random.default_rng(0)
    for name, size in (("a", (20, 30)), ("c", (16, 16)), ("d", (9, 40)), ("e", (33, 16)), ("f", (8, 8))):
        Image.fromarray(random.integers(0, 256, size, dtype=np.uint8)).save(folder / f"{name}.png")
    frames = [random.integers(0, 256, (20, 20, 1), dtype=np.uint8) for _ in range(3)]
    (folder / "b.gif").write_bytes(gif(frames, [50, 60, 70]))
    (folder / "bad.png").write_text("none")
    whole = package.translate(trained, folder, out=tmp_path / "whole")

    def killing(name: str) -> Callable[[Path, bytes], None]:
        def killed(path: Path, data: bytes) -> None:
            path.write_bytes(data[:9])
            if path.name == name:
                raise KeyboardInterrupt
            put(path, data)

        return killed

    put = translate_files.put
    for name in ("b.gif", "f.png"):
        with monkeypatch.context() as patch:
            patch.setattr(translate_files, "put", killing(name))
            with pytest.raises(KeyboardInterrupt):
                package.translate(trained, folder, out=tmp_path / "part")
        with pytest.raises(UsageError, match="of another command that was interrupted"):
            package.translate(trained, folder, out=tmp_path / "part", large="resize")
    written = list[str]()
    monkeypatch.setattr(translate_files, "put", lambda path, data: (written.append(path.name), put(path, data)))
    done = package.translate(trained, folder, out=tmp_path / "part")
    assert written == ["f.png"]
    assert str(done) == str(whole).replace("whole", "part")
    assert np.array_equal(done.picture, whole.picture)
    for path in whole.path.iterdir():
        assert path.read_bytes() == (tmp_path / "part" / path.name).read_bytes()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["in", "part", "whole"]


def test_a_picture_of_the_models_size_is_translated_as_samples_are(trained: package.Run) -> None:
    x = torch.randint(0, 256, (3, 1, 16, 16)) / 127.5 - 1
    result = package.translate(trained, x)
    made = package.load(trained).sample(3, {"source": x})
    assert torch.stack(list(result.sources)).allclose(x, atol=1e-6)
    assert (torch.stack(list(result.translations["digits"])) - made).abs().max() <= 0.5 / 127.5 + 1e-5


def test_a_way_back_is_shown_and_taken(
    opened: Callable[[nn.Module, DataSpec], None], trained: package.Run, tmp_path: Path
) -> None:
    opened(Both(), DataSpec(COLOUR, {"source": COLOUR}))
    grey = np.full((1, 3, 16, 40), 100, np.uint8)
    there = package.translate(trained, grey)
    assert [int(each[0, 0, 0]) for each in there.rows[0]] == [100, 50, 100]
    back = package.translate(trained, grey, to="Night")
    assert back.domains == ["night"]
    assert [int(each[0, 0, 0]) for each in back.rows[0]] == [100, 200, 100]
    assert back.path.name.endswith("-to-night.png")
    with pytest.raises(UsageError, match="give one domain, not day, night"):
        package.translate(trained, grey, to=["day", "night"])


def test_labelled_domains_are_columns_or_folders(
    opened: Callable[[nn.Module, DataSpec], None], trained: package.Run, pictures: Path, tmp_path: Path
) -> None:
    labels = Classes(("none", "a/b", "all"))
    opened(Fake(label=labels), DataSpec(COLOUR, {"source": COLOUR, "label": labels}))
    sheet = package.translate(trained, np.full((1, 3, 16, 16), 100, np.uint8))
    assert [int(each[0, 0, 0]) for each in sheet.rows[0]] == [100, 0, 100, 200]
    result = package.translate(trained, pictures, out=tmp_path / "new")
    assert {str(path.relative_to(tmp_path / "new")) for path in (tmp_path / "new").rglob("a.png")} == {
        "none/a.png",
        "class-1-a-b/a.png",
        "all/a.png",
    }
    assert '"a/b" is in class-1-a-b/' in str(result)
    one = package.translate(trained, pictures, out=tmp_path / "one", to=["2"])
    assert (one.domains, (tmp_path / "one" / "a.png").is_file()) == (["all"], True)
    with pytest.raises(UsageError, match='no class "everything"'):
        package.translate(trained, pictures, to="everything")


def test_wrong_requests_are_refused_with_the_next_step(
    trained: package.Run, pictures: Path, genlab: Genlab
) -> None:
    wrong: dict[str, Callable[[], object]] = {
        "this model translates turned negatives to digits, not back": lambda: package.translate(
            trained, pictures, to="turned negatives"
        ),
        "must be a .png for a grid, or a folder": lambda: package.translate(trained, pictures, out="a.jpg"),
        "there is no picture or folder": lambda: package.translate(trained, pictures / "gone"),
        "no picture could be read at": lambda: package.translate(trained, pictures / "broken.png"),
        "translate: missing a required argument: 'pictures'": lambda: package.translate(trained),
        '"guidance"': lambda: package.translate(trained, pictures, guidance=2.0),
    }
    for words, call in wrong.items():
        with pytest.raises(GenlabError, match=re.escape(words)):
            call()
    code, _, err = genlab("translate", trained.folder, pictures, "--large", "crop")
    assert code == 2
    assert "tile" in err


def test_a_run_that_does_not_translate_is_refused(
    opened: Callable[[nn.Module, DataSpec], None], trained: package.Run, pictures: Path, tmp_path: Path
) -> None:
    opened(nn.Linear(1, 1), DataSpec(COLOUR))
    with pytest.raises(GenlabError, match="trained without sources"):
        package.translate(trained, pictures, out=tmp_path / "new")
    assert not (tmp_path / "new").exists()
