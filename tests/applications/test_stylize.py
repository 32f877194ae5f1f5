"""Pictures in the style of others: by a run, and by optimising pixels."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

import genlab
from genlab.applications import picture_folder
from genlab.applications.stylize import ByOptimising, gram
from genlab.cli.main import run as command_line
from genlab.core.errors import DataError, GenlabError, UsageError
from genlab.metrics.extractors.taps import taps

Genlab = Callable[..., tuple[int, str, str]]
CPU = torch.device("cpu")


@pytest.fixture
def genlab_command(capsys: pytest.CaptureFixture[str]) -> Genlab:
    """The command line in this process: arguments in; exit code and what was printed out."""

    def call(*tokens: str) -> tuple[int, str, str]:
        capsys.readouterr()
        code = command_line(tokens)
        printed = capsys.readouterr()
        return code, printed.out, printed.err

    return call


def colours(height: int, width: int, seed: int, mode: str = "RGB") -> Image.Image:
    """A smooth picture of random colours."""
    coarse = np.random.default_rng(seed).integers(0, 256, (3, 3, 3), dtype=np.uint8)
    return Image.fromarray(coarse).resize((width, height), Image.Resampling.BILINEAR).convert(mode)


def pixels(path: Path) -> np.ndarray[Any, Any]:
    with Image.open(path) as picture:
        return np.asarray(picture).astype(int)


def size_of(path: Path) -> tuple[int, int]:
    """Width and height."""
    with Image.open(path) as picture:
        return picture.size


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Contents of several sizes, a style, and pictures to train on."""
    root = tmp_path_factory.mktemp("stylize")
    for side, first in (("A", 0), ("B", 100)):
        (root / "data" / side).mkdir(parents=True)
        for number in range(12):
            colours(16, 16, first + number).save(root / "data" / side / f"{number}.png")
    (root / "contents" / "deep").mkdir(parents=True)
    colours(20, 33, 50).save(root / "contents" / "one.png")
    colours(18, 16, 51, "L").save(root / "contents" / "deep" / "grey.png")
    (root / "contents" / "notes.txt").write_text("no picture")
    colours(24, 30, 150).save(root / "style.png")
    return root


@pytest.fixture(scope="module")
def run(folder: Path) -> Any:
    return genlab.train(
        "style-transfer",
        data=str(folder / "data"),
        size=16,
        width=4,
        batch_size=2,
        steps=4,
        root=folder / "runs",
        quiet=True,
    )


# by a run


def test_a_run_stylizes_a_picture_in_its_own_size(folder: Path, run: Any, tmp_path: Path) -> None:
    out = tmp_path / "made.png"
    done = genlab.stylize(folder / "contents" / "one.png", style=folder / "style.png", run=run, out=out)
    assert done.path == out
    assert size_of(out) == (33, 20)
    model: Any = genlab.load(run)
    content, style = (
        torch.from_numpy(pixels(path)).permute(2, 0, 1)[None].float() / 127.5 - 1
        for path in (folder / "contents" / "one.png", folder / "style.png")
    )
    wanted = ((model.stylize(content, style)[0].permute(1, 2, 0) + 1) * 127.5).round()
    assert np.abs(pixels(out) - wanted.numpy()).max() <= 1


def test_a_folder_keeps_names_and_sizes(folder: Path, run: Any, tmp_path: Path) -> None:
    out = tmp_path / "made"
    done = genlab.stylize(folder / "contents", style=folder / "style.png", run=run, out=out)
    assert sorted(done.names) == ["deep/grey.png", "one.png"]
    assert size_of(out / "one.png") == (33, 20)
    assert size_of(out / "deep" / "grey.png") == (16, 18)
    assert [item.path for item in done.rejected] == ["notes.txt"]
    assert "notes.txt" in str(done)
    with pytest.raises(UsageError, match="not empty"):
        genlab.stylize(folder / "contents", style=folder / "style.png", run=run, out=out)


@pytest.mark.parametrize("iterations", [None, 2])
def test_a_killed_command_completes_its_folder_to_the_same_bytes(
    folder: Path, run: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, iterations: int | None
) -> None:
    def stylize(out: str, style: str = "style.png") -> Any:
        how = {"run": run} if iterations is None else {"iterations": iterations}
        return genlab.stylize(folder / "contents", style=folder / style, size=24, out=tmp_path / out, **how)

    def killed(path: Path, data: bytes) -> None:
        if path.name == "one.png":
            raise KeyboardInterrupt
        put(path, data)

    whole, put = stylize("whole"), picture_folder.put
    with monkeypatch.context() as patch:
        patch.setattr(picture_folder, "put", killed)
        with pytest.raises(KeyboardInterrupt):
            stylize("part")
    with pytest.raises(UsageError, match="of another command that was interrupted"):
        stylize("part", style="contents/one.png")
    written = list[str]()
    monkeypatch.setattr(picture_folder, "put", lambda path, data: (written.append(path.name), put(path, data)))
    done = stylize("part")
    assert written == ["one.png"]
    assert str(done) == str(whole).replace("whole", "part")
    assert len(done.losses) == (0 if iterations is None else 2)
    for one, other in zip(done.pictures, whole.pictures, strict=True):
        assert (one == other).all()
    assert (pixels(tmp_path / "part" / "one.png") == pixels(tmp_path / "whole" / "one.png")).all()


def test_alpha_is_the_strength_of_the_style(folder: Path, run: Any, tmp_path: Path) -> None:
    made = []
    for alpha, style in ((0.0, "style.png"), (0.0, "contents/one.png"), (1.0, "style.png"), (None, "style.png")):
        out = tmp_path / f"{len(made)}.png"
        genlab.stylize(folder / "contents" / "one.png", style=folder / style, alpha=alpha, run=run, out=out)
        made.append(pixels(out))
    assert (made[0] == made[1]).all()
    assert (made[0] != made[2]).any()
    assert (made[2] == made[3]).all()


def test_a_photo_is_turned_upright_first(folder: Path, run: Any, tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned by a quarter
    colours(20, 33, 50).save(tmp_path / "turned.png", exif=exif)
    done = genlab.stylize(tmp_path / "turned.png", style=folder / "style.png", run=run, out=tmp_path / "out.png")
    assert size_of(done.path) == (20, 33)


def test_large_pictures_are_stylized_smaller_which_is_said(folder: Path, run: Any, tmp_path: Path) -> None:
    content, style = folder / "contents" / "one.png", folder / "style.png"
    done = genlab.stylize(content, style=style, run=run, size=24, out=tmp_path / "out.png")
    assert done.reduced == 1
    assert size_of(done.path) == (33, 20)
    assert "stylized at 24 pixels on the longer side and enlarged again: 1 picture" in str(done)


def test_results_lie_in_the_run_by_default(folder: Path, run: Any, genlab_command: Genlab) -> None:
    content, style = folder / "contents" / "one.png", folder / "style.png"
    code, out, _ = genlab_command(
        "stylize", str(content), "--style", str(style), "--root", str(folder / "runs"), "--alpha", "0.5", "--json"
    )
    assert code == 0
    path = Path(json.loads(out)["path"])
    assert path.parent == Path(run) / "stylized"
    assert path.name == "000004-one-style-style-alpha-0.5.png"


# by optimising


@pytest.fixture
def pair() -> tuple[Tensor, Tensor]:
    def tensor(picture: Image.Image) -> Tensor:
        return torch.from_numpy(np.array(picture)).permute(2, 0, 1)[None].float() / 127.5 - 1

    return tensor(colours(24, 32, 50)), tensor(colours(24, 24, 150))


def test_optimising_lowers_the_loss_and_repeats_bit_for_bit(pair: tuple[Tensor, Tensor]) -> None:
    network, advanced = taps("efficientnet-lite0"), []
    before = {name: value.clone() for name, value in network.state_dict().items()}
    stylizers = [ByOptimising(network, CPU, 20) for _ in range(2)]
    one, two = (stylizer(*pair, lambda: advanced.append(1)) for stylizer in stylizers)
    assert torch.equal(one, two)
    ((first, last),) = stylizers[0].losses
    assert last < 0.7 * first
    assert one.abs().max() <= 1
    assert len(advanced) == 40
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())


def test_the_gram_matrices_come_nearer_to_the_styles(pair: tuple[Tensor, Tensor]) -> None:
    content, style = pair
    network = taps("efficientnet-lite0")
    made = ByOptimising(network, CPU, 20)(content, style, lambda: None)
    wanted, before, after = (gram(network(x)[0]) for x in (style, content, made))
    assert (after - wanted).norm() < 0.7 * (before - wanted).norm()


def test_optimising_without_style_changes_nothing(pair: tuple[Tensor, Tensor]) -> None:
    made = ByOptimising(taps("efficientnet-lite0"), CPU, 3, alpha=0.0)(*pair, lambda: None)
    torch.testing.assert_close(made, pair[0], rtol=0, atol=1e-5)


def test_the_gram_matrix_is_the_mean_product_of_channels() -> None:
    maps = torch.randn(2, 3, 4, 5)
    torch.testing.assert_close(gram(maps)[1, 0, 2], (maps[1, 0] * maps[1, 2]).mean())


def test_iterations_need_no_run(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, genlab_command: Genlab
) -> None:
    monkeypatch.chdir(tmp_path)
    content, style = folder / "contents" / "one.png", folder / "style.png"
    code, out, _ = genlab_command("stylize", str(content), "--style", str(style), "--iterations", "2")
    assert code == 0
    made = tmp_path / "one-style-style-iterations-2.png"
    assert out.splitlines()[-1] == made.name
    assert size_of(made) == (33, 20)
    assert out.startswith("loss ")


# refusals


def test_what_cannot_be_stylized_is_refused(folder: Path, tmp_path: Path) -> None:
    one, style = folder / "contents" / "one.png", folder / "style.png"
    wrong: list[tuple[str, dict[str, Any]]] = [
        ("there is no picture or folder .*missing", {"style": tmp_path / "missing.png"}),
        ("is a folder. Choose one picture", {"style": folder / "contents"}),
        ("the style notes.txt cannot be read: not an image", {"style": folder / "contents" / "notes.txt"}),
        ("--alpha must be from 0", {"style": style, "alpha": 1.5}),
        ("--iterations must be 1 or more", {"style": style, "iterations": 0}),
        ("--size must be 1 pixel or more", {"style": style, "size": 0}),
        ("--run latest has no effect with --iterations", {"style": style, "run": "latest"}),
        ("must be a .png", {"style": style, "out": tmp_path / "made.jpg"}),
        ("there is no file", {"style": style, "vgg": tmp_path / "vgg.pth"}),
    ]
    for message, options in wrong:
        with pytest.raises(UsageError, match=message):
            genlab.stylize(one, **{"iterations": 1, **options})
    with pytest.raises(UsageError, match="is for --iterations"):
        genlab.stylize(one, style=style, vgg=tmp_path / "vgg.pth")
    with pytest.raises(UsageError, match="Give a folder: --out FOLDER"):
        genlab.stylize(folder / "contents", style=style, iterations=1, out=tmp_path / "made.png")
    with pytest.raises(DataError, match="no picture could be read"):
        genlab.stylize(folder / "contents" / "notes.txt", style=style, iterations=1, out=tmp_path / "out.png")
    with pytest.raises(UsageError, match="--iterations 300 needs none"):
        genlab.stylize(one, style=style, root=tmp_path)


def test_a_run_of_another_kind_names_the_presets_that_stylize(folder: Path, tmp_path: Path) -> None:
    other = genlab.train("autoencoder", data="digits", width=8, steps=1, root=tmp_path, quiet=True)
    with pytest.raises(
        GenlabError, match=r"stylizing without --iterations needs .* Try: style-transfer\. autoencoder .*--run"
    ):
        genlab.stylize(folder / "style.png", style=folder / "style.png", run=other)
