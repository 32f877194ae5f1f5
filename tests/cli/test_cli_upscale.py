"""Pictures of any kind and size are enlarged or restored, and what a file holds besides colours is kept."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageCms, ImageOps

import genlab as package
from genlab.applications import restore_files
from genlab.applications.restore_files import _without_hidden
from genlab.core.errors import GenlabError, UsageError
from genlab.core.pictures import Picture, resized
from genlab.data.photos import Photo

Genlab = Callable[..., Any]
TINY = {"width": 4, "blocks": 1, "steps": 2, "batch_size": 2, "patches": 16, "quiet": True}


def smooth(height: int, width: int, channels: int = 3, seed: int = 0) -> Picture:
    rough = np.random.default_rng(seed).integers(60, 196, (height // 4 + 2, width // 4 + 2, channels), np.uint8)
    return resized(rough, height, width)


@pytest.fixture(scope="module")
def originals(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Colour pictures whose sides are multiples of 2, or one more."""
    folder = tmp_path_factory.mktemp("originals")
    for at in range(5):
        Image.fromarray(smooth(40 + at % 2, 36, seed=at)).save(folder / f"{at}.png")
    return folder


@pytest.fixture(scope="module")
def run(originals: Path, tmp_path_factory: pytest.TempPathFactory) -> package.Run:
    """Enlarges colour pictures 2 times."""
    root = tmp_path_factory.mktemp("runs")
    return package.train("edsr", data=str(originals), degrade=("bicubic=2",), root=root, **TINY)


@pytest.fixture(scope="module")
def clean(originals: Path, tmp_path_factory: pytest.TempPathFactory) -> package.Run:
    """Removes noise from grey pictures."""
    root = tmp_path_factory.mktemp("runs")
    return package.train("edsr", data=str(originals), degrade=("noise=20",), channels=1, root=root, **TINY)


@pytest.fixture
def small(originals: Path, tmp_path: Path) -> Path:
    """The originals, reduced by 2."""
    (folder := tmp_path / "small").mkdir()
    for path in originals.iterdir():
        with Image.open(path) as whole:
            part = whole.crop((0, 0, 36, 40))
        part.resize((18, 20), Image.Resampling.BICUBIC).save(folder / f"{path.stem}.bmp")
    return folder


def test_the_figures_beside_those_of_bicubic_interpolation_are_stamped(
    run: package.Run, originals: Path, small: Path, tmp_path: Path
) -> None:
    done = package.upscale(run, small, truth=originals, out=tmp_path / "out", tile=16)
    assert (done.count, done.scale) == (5, 2)
    assert done.means["restored_psnr_y"] == pytest.approx(done.means["baseline_psnr_y"], abs=3)
    assert done.means["baseline_psnr_y"] > done.means["baseline_psnr_rgb"] > 20
    for text in (
        "bicubic  ",
        "restored  ",
        "PSNR_Y",
        "SSIM_RGB",
        "BT.601",
        "border of 2 pixels",
        "18x20 to 36x40",
    ):
        assert text in str(done)
    assert done.table.columns[:2] == ["width", "height"]
    assert json.loads(json.dumps(done.values()))["baseline_psnr_y"] == done.means["baseline_psnr_y"]
    whole = package.upscale(run, small, truth=originals, out=tmp_path / "whole")
    assert done.means["restored_psnr_y"] == pytest.approx(whole.means["restored_psnr_y"], abs=0.02)
    several = package.upscale(run, small, truth=originals, out=tmp_path / "several", ensemble=True)
    assert several.means["restored_psnr_y"] != whole.means["restored_psnr_y"]


def saved(folder: Path) -> dict[str, Path]:
    """Pictures of many kinds."""
    colour, alpha = Image.fromarray(smooth(20, 30)), Image.fromarray(smooth(20, 30, 1, seed=1)[..., 0])
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    clear = colour.copy()
    clear.putalpha(alpha)
    turned = Image.Exif()
    turned[0x0112] = 6
    deep = (np.linspace(0, 65535, 600).reshape(20, 30)).astype(np.uint16)
    paths = {
        name: folder / name
        for name in ("a.png", "b.jpg", "c.png", "d.png", "e.tif", "f.gif", "deep/g.png", "h.png")
    }
    (folder / "deep").mkdir(parents=True)
    clear.save(paths["a.png"], icc_profile=profile)
    colour.save(paths["b.jpg"], exif=turned, icc_profile=profile)
    colour.convert("P", palette=Image.Palette.ADAPTIVE).save(paths["c.png"])
    Image.fromarray(deep).save(paths["d.png"])
    colour.convert("CMYK").save(paths["e.tif"])
    colour.save(paths["f.gif"], save_all=True, append_images=[ImageOps.invert(colour)])
    colour.convert("L").save(paths["deep/g.png"])
    Image.fromarray(smooth(1, 3)).save(paths["h.png"])
    (folder / "none.png").write_text("none")
    return paths


def test_every_kind_of_picture_keeps_its_name_its_transparency_and_its_profile(
    run: package.Run, tmp_path: Path
) -> None:
    paths = saved(tmp_path / "in")
    done = package.upscale(run, tmp_path / "in", out=tmp_path / "out")
    assert [item.path for item in done.done.rejected] == ["none.png"]
    assert {item.path: item.reason for item in done.done.changed} == {
        "d.png": "16 bits a channel were reduced to 8",
        "e.tif": "CMYK was converted to RGB",
        "f.gif": "only the first of 2 frames was taken",
    }
    modes = {"a": "RGBA", "b": "RGB", "c": "RGB", "d": "L", "e": "RGB", "f": "RGB", "deep/g": "L", "h": "RGB"}
    for name, mode in modes.items():
        with Image.open(tmp_path / "out" / f"{name}.png") as made:
            assert made.mode == mode
            assert made.size == {"b": (40, 60), "h": (6, 2)}.get(name, (60, 40)), name
            assert ("icc_profile" in made.info) == (name in ("a", "b"))
            if name == "a":
                with Image.open(paths["a.png"]) as source:
                    wanted = source.getchannel("A").resize((60, 40), Image.Resampling.BICUBIC)
                assert made.getchannel("A").tobytes() == wanted.tobytes()
    assert "2 pictures grey: this model of colour pictures" in str(done)


def test_colours_that_cannot_be_seen_do_not_spread(run: package.Run, tmp_path: Path) -> None:
    pixels = np.full((20, 20, 4), 200, np.uint8)
    pixels[:, 10:] = 0
    Image.fromarray(pixels).save(tmp_path / "half.png")
    photo = Photo("half", "half.png", pixels[..., :3], pixels[..., 3:])
    assert (_without_hidden(photo) == 200).all()
    package.upscale(run, tmp_path / "half.png", out=tmp_path / "out")
    with Image.open(tmp_path / "out" / "half.png") as made:
        visible = np.asarray(made)[4:-4, 4:20, :3]
    assert np.ptp(visible.astype(int), (0, 1)).max() <= 4


def test_a_model_of_grey_pictures_restores_colour_ones(clean: package.Run, tmp_path: Path) -> None:
    given = smooth(20, 30)
    noisy = np.clip(given + np.random.default_rng(0).normal(0, 20, given.shape), 0, 255).astype(np.uint8)
    for name, pixels in (("truth", given), ("noisy", noisy)):
        Image.fromarray(pixels).save(tmp_path / f"{name}.png")
    done = package.restore(clean, tmp_path / "noisy.png", truth=tmp_path / "truth.png", out=tmp_path / "out")
    assert done.means["baseline_psnr_rgb"] == pytest.approx(22.1, abs=0.5)
    assert "of which this model of grey pictures restored the brightness; colours were left" in str(done)
    assert "given  " in str(done)
    assert "border" not in done.protocol


def test_alpha_mixes_the_weights_before_and_after_adversarial_training(
    originals: Path, small: Path, tmp_path: Path
) -> None:
    how = {"degrade": ("bicubic=2",), "discriminator": "patch-16", "discriminator_width": 4}
    how |= {"perceptual_weight": 0.0, "lr": 0.05, "root": tmp_path}
    run = package.train("srgan", data=str(originals), **{**TINY, **how})
    made = {alpha: package.upscale(run, small / "1.bmp", alpha=alpha) for alpha in (None, 0.0, 1.0)}
    assert len({done.path for done in made.values()}) == 3
    sharp, faithful, last = (np.asarray(Image.open(made[a].path / "1.png")) for a in (None, 0.0, 1.0))
    assert (sharp == last).all()
    assert (sharp != faithful).any()


def test_colours_that_a_model_replaces_are_named(originals: Path, tmp_path: Path) -> None:
    options = {"width": 4, "blocks": 1, "steps": 1, "size": 16, "quiet": True, "root": tmp_path}
    run = package.train("colorization", data=str(originals), **options)
    (folder := tmp_path / "in").mkdir()
    Image.fromarray(smooth(20, 30)).save(folder / "colour.png")
    Image.fromarray(smooth(20, 30, 1).repeat(3, 2)).save(folder / "grey in colour.png")
    Image.fromarray(smooth(20, 30, 1)[..., 0]).save(folder / "grey.png")
    done = package.restore(run, folder, out=tmp_path / "out")
    assert (
        "\n1 picture in colour: this model takes grey ones, and replaced the colours by its own\n" in f"\n{done}"
    )
    assert done.protocol is None


def test_a_colour_profile_that_does_not_fit_is_named(run: package.Run, tmp_path: Path) -> None:
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    Image.fromarray(smooth(20, 30, 1)[..., 0]).save(tmp_path / "grey.png", icc_profile=profile)
    done = package.upscale(run, tmp_path / "grey.png", out=tmp_path / "out")
    assert "changed  grey.png: its colour profile was left out" in str(done)


def test_a_command_that_was_killed_goes_on(
    run: package.Run, originals: Path, small: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    Image.fromarray(smooth(20, 18, 1)[..., 0].astype(np.uint16) * 257).save(small / "1.png")  # of 16 bits
    (small / "1.bmp").unlink()
    (small / "2.bmp").rename(small / "none.bmp")
    whole = package.upscale(run, small, truth=originals, out=tmp_path / "whole")
    write, written = restore_files.write_png, list[Path]()

    def killed(path: Path, data: bytes) -> None:
        if len(written) == 3:
            raise KeyboardInterrupt
        written.append(path)
        write(path, data)

    monkeypatch.setattr(restore_files, "write_png", killed)
    with pytest.raises(KeyboardInterrupt):
        package.upscale(run, small, truth=originals, out=tmp_path / "out")
    with pytest.raises(UsageError, match="is of another command"):
        package.upscale(run, small, truth=originals, out=tmp_path / "out", ensemble=True)
    written.clear()
    done = package.upscale(run, small, truth=originals, out=tmp_path / "out")
    assert len(written) == 2
    assert str(done) == str(whole).replace(str(whole.path), str(done.path))
    assert "changed  1.png: 16 bits" in str(done)
    for place in (*(tmp_path / "whole").iterdir(), whole.table_path, whole.picture_path):
        other = str(place).replace(str(whole.path), str(done.path))
        assert place.read_bytes() == Path(other).read_bytes(), place


def test_originals_that_do_not_fit_and_results_that_are_too_large_are_named(
    run: package.Run, originals: Path, small: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    Image.fromarray(smooth(10, 10)).save(small / "0.bmp")
    Image.fromarray(smooth(20, 19)).save(small / "other.bmp")
    Image.fromarray(smooth(50, 50)).save(small / "large.bmp")
    monkeypatch.setattr(restore_files, "MOST_PIXELS", 2000)
    done = package.upscale(run, small, truth=originals, out=tmp_path / "out")
    assert {item.path: item.reason for item in done.done.unmatched} == {
        "0.bmp": "its truth has 36x40 pixels, not 20x20",
        "other.bmp": "there is no picture of this name in --truth",
    }
    (rejected,) = done.done.rejected
    assert rejected.path == "large.bmp"
    assert "cut the picture into parts" in rejected.reason


def test_each_verb_names_the_one_that_fits(
    run: package.Run, clean: package.Run, originals: Path, tmp_path: Path, genlab: Genlab
) -> None:
    with pytest.raises(UsageError, match=r"own size \(--degrade noise=20\)\. Use genlab restore, or train with"):
        package.upscale(clean, originals)
    with pytest.raises(
        UsageError, match=r"enlarges pictures 2 times \(--degrade bicubic=2\)\. Use genlab upscale"
    ):
        package.restore(run, originals)
    options = {**TINY, "degrade": ("holes=centre",), "root": tmp_path}
    holes = package.train("partial-conv", data=str(originals), **options)
    with pytest.raises(UsageError, match="genlab inpaint"):
        package.restore(holes, originals)
    vae = package.train("vae", data="digits", size=16, width=4, steps=1, quiet=True, root=tmp_path)
    with pytest.raises(
        GenlabError, match=r"genlab upscale needs a model that can restore.*Try: .*edsr.*esrgan\.$"
    ):
        package.upscale(vae, originals)
    said = genlab("upscale", originals, run.folder)
    assert f'no run "{originals}". It is no run: the run comes first' in said.err
    said = genlab("upscale", run.folder, f"{originals}s")
    assert f'Did you mean "{originals}"?' in said.err
    said = genlab("upscale", run.folder, originals, "--alpha", 0.5)
    assert "--alpha mixes the weights before and after adversarial training, which srgan and esrgan" in said.err
    said = genlab("upscale", run.folder, originals / "0.png", "--tile", "4")
    assert "--tile must be at least 16 pixels, not 4" in said.err


def test_pictures_are_written_in_the_run_folder_by_default(run: package.Run, small: Path, genlab: Genlab) -> None:
    said = genlab("upscale", run.folder, small / "1.bmp", "--json")
    values = json.loads(said.out)
    assert values["pictures"] == 1
    assert Path(values["path"], "1.png").is_file()
    assert Path(values["path"]).parent == run.folder / "restored"
    array = package.upscale(run, np.stack([smooth(9, 11), smooth(9, 11, seed=1)]))
    assert sorted(path.name for path in array.path.iterdir()) == ["000000.png", "000001.png"]


def test_a_model_is_evaluated_on_whole_pictures_or_on_its_own_data(
    run: package.Run, originals: Path, tmp_path: Path
) -> None:
    (folder := tmp_path / "set").mkdir()
    for path in originals.iterdir():
        (folder / path.name).write_bytes(path.read_bytes())
    Image.fromarray(smooth(4, 40)).save(folder / "tiny.png")
    found = package.evaluate(run, data=folder, extractor="pixels")
    figures = {figure.name: figure for figure in found.figures}
    assert list(figures) == ["psnr_y", "ssim_y", "psnr_rgb", "ssim_rgb"]
    psnr = figures["psnr_y"]
    assert psnr.floor is not None
    assert psnr.value == pytest.approx(psnr.floor, abs=3)
    assert "tiny.png: too small to be measured" in psnr.note
    stamp = {"pictures": 5, "degraded": "bicubic=2", "border": "2 px left out", "cut": "to multiples of 2 px"}
    assert stamp.items() <= psnr.protocol.items()
    assert package.evaluate(run, data=folder, extractor="pixels").stored
    upscaled = {f.name: f for f in package.evaluate(run, extractor="pixels").figures}
    assert "patches" in upscaled["psnr_y"].protocol
    with pytest.raises(UsageError, match="there is no picture, folder or zip"):
        package.evaluate(run, data=tmp_path / "nothing")
