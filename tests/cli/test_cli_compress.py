import csv
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import genlab as package
from genlab.applications import compress as application
from genlab.applications import rate_distortion
from genlab.applications.glz import Block, Header, end
from genlab.core.errors import DataError, GenlabError, UsageError


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> package.Run:
    root = tmp_path_factory.mktemp("runs")
    return package.train(
        "compressive-autoencoder",
        data="digits",
        size=16,
        width=8,
        latent=32,
        steps=2,
        extractor="pixels",
        root=root,
    )


@pytest.fixture(scope="module")
def conditional(tmp_path_factory: pytest.TempPathFactory) -> package.Run:
    root = tmp_path_factory.mktemp("runs")
    return package.train(
        "conditional-vae", data="digits", size=16, width=4, latent=3, steps=2, extractor="pixels", root=root
    )


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    draws = np.random.default_rng(0)
    for name, size in {"a.png": (16, 16), "b/a.jpg": (20, 31), "b/a.png": (9, 40)}.items():
        (tmp_path / "photos" / name).parent.mkdir(parents=True, exist_ok=True)
        smooth = draws.integers(0, 255, (2, 2), dtype=np.uint8)
        Image.fromarray(smooth).resize(size[::-1], Image.Resampling.BICUBIC).save(tmp_path / "photos" / name)
    Image.new("L", (16, 16)).save(tmp_path / "photos" / "line\nbreak.png")
    (tmp_path / "photos" / "no.png").write_bytes(b"no picture")
    return tmp_path / "photos"


def read(path: Path) -> np.ndarray:
    with Image.open(path) as picture:
        return np.asarray(picture)


def test_pictures_come_back_as_the_model_reconstructs_them(run: package.Run, tmp_path: Path) -> None:
    done = package.compress(run, "digits", step=1, out=tmp_path / "d.glz")
    again = package.decompress(run, done.path, out=tmp_path / "again")
    assert again.pictures == done.pictures == len(list(again.path.iterdir()))
    x = package.data("digits", size=16).source.held_out.batch(np.arange(3)).x
    wanted = package.load(run).reconstruct(x).add(1).mul(127.5).detach().numpy()
    for at in range(3):
        assert np.abs(read(again.path / f"{at:06d}.png") - wanted[at, 0]).max() < 12


def test_names_and_sizes_come_back_and_squashing_is_said(run: package.Run, photos: Path, tmp_path: Path) -> None:
    done = package.compress(run, photos, out=tmp_path / "p.glz")
    assert done.pictures == 4
    assert [item.path for item in done.rejected] == ["no.png"]
    assert done.squashed == 2
    assert "squashed" in str(done)
    package.decompress(run, done.path, out=tmp_path / "again")
    sizes = {
        str(path.relative_to(tmp_path / "again")): read(path).shape for path in (tmp_path / "again").rglob("*.png")
    }
    assert sizes == {
        "a.png": (16, 16),
        "b/a.jpg.png": (20, 31),
        "b/a.png.png": (9, 40),
        "line\\nbreak.png": (16, 16),
    }


def test_fewer_bits_with_a_larger_step(run: package.Run, tmp_path: Path) -> None:
    fine, coarse = (package.compress(run, "digits", step=step, out=tmp_path / "d.glz") for step in (10, 100))
    assert coarse.length < fine.length
    assert fine.bits_per_pixel == pytest.approx(8 * fine.length / (fine.pictures * 256))


def test_a_conditional_model_decodes_each_picture_under_its_class(
    conditional: package.Run, tmp_path: Path
) -> None:
    done = package.compress(conditional, "digits", step=1, out=tmp_path / "d.glz")
    package.decompress(conditional, done.path, out=tmp_path / "again")
    x = package.data("digits", size=16).source.held_out.batch(np.arange(5)).x
    wanted = package.load(conditional).reconstruct(x).add(1).mul(127.5).detach().numpy()
    for at in range(5):
        assert np.abs(read(tmp_path / "again" / f"{at:06d}.png") - wanted[at, 0]).max() < 3


def test_killed_commands_go_on_to_the_same_file_and_folder(
    run: package.Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pictures = np.random.default_rng(0).integers(0, 255, (700, 16, 16), dtype=np.uint8)
    whole = package.compress(run, pictures, out=tmp_path / "whole.glz")
    block, blocks = application.Coder.block, []

    def dying(self: application.Coder, *args: object) -> object:
        if blocks.append(1) or len(blocks) == 2:
            raise KeyboardInterrupt
        return block(self, *args)  # type: ignore[arg-type]

    with monkeypatch.context() as patch:
        patch.setattr(application.Coder, "block", dying)
        with pytest.raises(KeyboardInterrupt):
            package.compress(run, pictures, out=tmp_path / "again.glz")
    assert not (tmp_path / "again.glz").exists()
    done = package.compress(run, pictures, out=tmp_path / "again.glz")
    assert done.path.read_bytes() == whole.path.read_bytes()

    decode, times = application.Coder.pictures, []

    def failing(self: application.Coder, *args: object) -> object:
        if times.append(1) or len(times) == 3:
            raise KeyboardInterrupt
        return decode(self, *args)  # type: ignore[arg-type]

    monkeypatch.setattr(application.Coder, "pictures", failing)
    with pytest.raises(KeyboardInterrupt):
        package.decompress(run, done.path, out=tmp_path / "folder")
    assert not (tmp_path / "folder").exists()
    (tmp_path / "folder.part" / "progress.json.0123abcd.new").write_bytes(b"a draft of the killed command")
    package.decompress(run, done.path, out=tmp_path / "folder")
    assert len(times) == 4  # three blocks, one of them twice
    assert len(list((tmp_path / "folder").iterdir())) == 700


def test_a_file_needs_the_weights_and_the_scales_that_made_it(
    run: package.Run, conditional: package.Run, tmp_path: Path
) -> None:
    done = package.compress(run, "digits", out=tmp_path / "d.glz")
    with pytest.raises(DataError, match="other weights"):
        package.decompress(conditional, done.path, out=tmp_path / "again")
    data = done.path.read_bytes()
    other = Header(data[5:21], b"otherone", 60).packed()
    (tmp_path / "e.glz").write_bytes(other + data[len(other) :])
    with pytest.raises(DataError, match="other scales"):
        package.decompress(run, tmp_path / "e.glz", out=tmp_path / "again")
    assert not (tmp_path / "again").exists()


def test_codes_that_no_encoder_writes_are_refused(run: package.Run, tmp_path: Path) -> None:
    done = package.compress(run, "digits", out=tmp_path / "d.glz")
    data = done.path.read_bytes()
    header = Header(data[5:21], data[21:29], 60).packed()
    for codes in (b"abc", b"\xff" * 40):
        (tmp_path / "e.glz").write_bytes(header + Block(["a"], [None], codes).packed() + end(1))
        with pytest.raises(DataError, match="damaged"):
            package.decompress(run, tmp_path / "e.glz", out=tmp_path / "again")
        assert not (tmp_path / "again").exists()


def test_the_curve_has_the_model_and_the_codecs(
    run: package.Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rate_distortion, "STEPS", (200, 20))
    monkeypatch.setattr(rate_distortion, "QUALITIES", (10, 60))
    done = package.compress(run, "digits", out=tmp_path / "d.glz", curve=True)
    assert done.curve
    assert done.curve.pictures == 100
    assert done.curve.path == tmp_path / "d-curve.png"
    with (tmp_path / "d-curve.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert {"model", "JPEG"} <= {row["codec"] for row in rows}
    for codec in ("model", "JPEG"):
        own = [(point.bits_per_pixel, point.psnr) for point in done.curve.points if point.codec == codec]
        assert sorted(own)[0][1] < sorted(own)[-1][1]
    assert "JPEG" in str(done)


def test_a_curve_of_few_pictures_is_refused(run: package.Run, photos: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="at least 100 pictures"):
        package.compress(run, photos, curve=True, out=tmp_path / "d.glz")
    assert not (tmp_path / "d.glz").exists()


def test_what_cannot_be_compressed_is_said(run: package.Run, tmp_path: Path) -> None:
    gan = package.train("gan", data="digits", size=16, width=4, steps=1, root=tmp_path)
    with pytest.raises(GenlabError, match="needs a model that can reconstruct"):
        package.compress(gan, "digits")
    flow = package.train("realnvp", data="digits", size=16, width=4, flow_steps=1, steps=1, root=tmp_path)
    with pytest.raises(GenlabError, match="bits-back"):
        package.compress(flow, "digits")
    points = package.train("vae", data="ring8", width=4, steps=1, root=tmp_path)
    with pytest.raises(UsageError, match="models of pictures; this one makes points"):
        package.compress(points, "ring8")
    with pytest.raises(UsageError, match="--step 0"):
        package.compress(run, "digits", step=0)
    with pytest.raises(UsageError, match=r"must end in \.glz"):
        package.compress(run, "digits", out=tmp_path / "d.zip")
    with pytest.raises(UsageError, match=r"d\.glz lies in .*, which is read"):
        package.compress(run, tmp_path, out=tmp_path / "d.glz")
    (tmp_path / "file").write_bytes(b"")
    done = package.compress(run, "digits", out=tmp_path / "d.glz")
    with pytest.raises(UsageError, match="file is a file"):
        package.decompress(run, done.path, out=tmp_path / "file")
    with pytest.raises(UsageError, match="there is no file"):
        package.decompress(run, tmp_path / "none.glz")
