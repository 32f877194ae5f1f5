"""What is measured of which model, the protocol on every figure, and the order of several."""

import json
import math
import struct
import urllib.error
import urllib.request
from dataclasses import replace
from functools import partial
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

import genlab
from genlab.applications import evaluate, measures
from genlab.applications import pictures as sets
from genlab.applications.compare import as_csv, as_html, as_table, compare
from genlab.applications.evaluate import Request, Split, evaluate_run
from genlab.applications.measurement import Measurement
from genlab.applications.measures import Subject, evaluate_model
from genlab.applications.pictures import evaluate_pictures
from genlab.applications.reconstruct import reconstruct as reconstruct_all
from genlab.applications.sample import sample
from genlab.core import batch as batches
from genlab.core.condition import NONE, Condition
from genlab.core.errors import DataError, GenlabError, UsageError
from genlab.core.modality import Modality
from genlab.core.pictures import image_grid, png
from genlab.data.source import open_source
from genlab.families.gan import GAN
from genlab.families.vae import VAE
from genlab.metrics.extractors.extractor import ExtractorOutput
from genlab.metrics.feature_statistics import FeatureStatistics
from genlab.metrics.figures import Figure, significantly_different, written
from genlab.metrics.frechet import frechet_distance
from genlab.runs import classifier
from genlab.runs.extractors import find_extractor
from genlab.runs.statistics import random_rows, real_statistics
from genlab.training.evaluation import evaluate as evaluate_in_training
from genlab.training.run_folder import RunFolder, find

FEW = Request(extractor="pixels", samples=120)


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with tiny finished runs: GANs with and without labels, and one of each other kind."""
    root = tmp_path_factory.mktemp("runs")
    rare = {"preview_every": 100, "evaluate_every": 100, "root": str(root), "quiet": True}
    for preset, options in (
        ("dcgan", {"width": 4, "generator_lr": 0.02}),
        ("cgan", {"width": 4, "generator_lr": 0.02}),
        ("vae", {"width": 16, "latent": 4, "binarise": True}),
        ("denoising-autoencoder", {"width": 4, "latent": 4}),
        ("ddpm", {"width": 4, "timesteps": 8}),
        ("glow", {"width": 4, "flow_steps": 1, "precision": "bf16", "temperature": 0.7}),
    ):
        genlab.train(preset, data="digits", size=16, batch=16, steps=6, **options, **rare)
    few = {"data": "ring8", "width": 8, "batch_size": 16, "steps": 6}
    genlab.train("gan", latent=2, name="points", **few, **rare)
    genlab.train("vae", latent=2, reconstruction="mse", name="points-vae", **few, **rare)
    genlab.train("spline-flow", flow_steps=2, **few, **rare)
    genlab.train("flow-matching", architecture="mlp", sampling_steps=4, **few, **rare)
    return root


def run(runs: Path, name: str) -> RunFolder:
    return find(name, runs)


def by_name(evaluation: Measurement) -> dict[str, Figure]:
    return {figure.name: figure for figure in evaluation.figures}


def save(images: torch.Tensor, folder: Path) -> Path:
    folder.mkdir()
    for place, image in enumerate(images):
        (folder / f"{place:04d}.png").write_bytes(png(image_grid(image[None], columns=1)))
    return folder


def noise(count: int, side: int = 32, seed: int = 0, channels: int = 1) -> torch.Tensor:
    return torch.rand(count, channels, side, side, generator=torch.Generator().manual_seed(seed)) * 2 - 1


# runs


def test_a_gan_is_measured_by_its_samples(runs: Path) -> None:
    figures = by_name(evaluate_run(run(runs, "dcgan"), FEW, "cpu"))
    assert {"fd[pixels]", "kd[pixels]", "precision[pixels]", "recall[pixels]", "density[pixels]"} <= set(figures)
    assert {"coverage[pixels]", "nearest_ratio[pixels]", "copies[pixels]", "ms_ssim_of_pairs"} <= set(figures)
    assert figures["path_length[pixels]"].value > 0
    assert not any(name.startswith("reconstruction") for name in figures)


def test_the_distance_is_that_of_the_samples_that_the_seed_gives(runs: Path) -> None:
    folder = run(runs, "dcgan")
    figure = by_name(evaluate_run(folder, FEW, "cpu"))["fd[pixels]"]
    extractor = find_extractor("pixels", torch.device("cpu"))
    fake = extractor(sample(genlab.load(folder.path), 120, seed=0)).features
    held_out = open_source("digits", size=16).held_out
    real = extractor(held_out.batch(random_rows(len(held_out), 120)).x).features
    assert figure.value == pytest.approx(frechet_distance(real, fake), rel=1e-9)
    assert figure.error is not None
    assert 0 < figure.error < figure.value


def test_every_figure_carries_its_protocol(runs: Path) -> None:
    for name in ("dcgan", "cgan", "vae", "denoising-autoencoder", "points"):
        for figure in evaluate_run(run(runs, name), FEW, "cpu").figures:
            assert figure.protocol["genlab"] == genlab.__version__, figure.name
            assert figure.protocol["split"] == "held-out"
            assert figure.protocol["seed"] == 0
            assert figure.protocol["checkpoint"] == "last, step 6"
            assert "pixels" not in figure.name or figure.protocol["extractor"] == "pixels"
    averaged = by_name(evaluate_run(run(runs, "dcgan"), FEW, "cpu"))["fd[pixels]"].protocol
    assert averaged["model_weights"] == "averaged, 0.999"
    assert (averaged["real"], averaged["fake"]) == (120, 120)


def test_a_vae_is_measured_by_samples_reconstructions_and_likelihood(runs: Path) -> None:
    figures = by_name(evaluate_run(run(runs, "vae"), FEW, "cpu"))
    assert {"fd[pixels]", "reconstruction_mse", "reconstruction_psnr", "reconstruction_ssim"} <= set(figures)
    bound, parts = figures["negative_bound"], figures["distortion"].value + figures["rate"].value
    assert bound.value == pytest.approx(parts, rel=0.01)  # with other draws of the latents
    assert figures["importance_nll"].value < bound.value  # a tighter bound
    nats = figures["importance_nll"].value
    assert figures["bits_per_dimension"].value == pytest.approx(nats / 256 / np.log(2))
    assert bound.protocol["pixels"] == "binary"


def test_large_pictures_are_taken_few_at_a_time_with_the_same_figures(
    runs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sizes = []
    before = VAE.reconstruct

    def reconstruct(self: Any, x: torch.Tensor, *rest: Any) -> torch.Tensor:
        sizes.append(len(x))
        return before(self, x, *rest)

    monkeypatch.setattr(VAE, "reconstruct", reconstruct)
    folder, batch = run(runs, "vae"), open_source("digits", size=16).held_out.batch(np.arange(30))
    model = genlab.load(folder.path)
    found = []
    for pixels in (2**20, 7 * 16 * 16):
        sizes.clear()
        monkeypatch.setattr(batches, "PIXELS", pixels)
        figures = by_name(evaluate_run(folder, FEW, "cpu", again=True))
        with torch.no_grad():
            while_training = evaluate_in_training(model, batch, seed=0).values["reconstruction_mse"]
            _, errors = reconstruct_all(model, batch.x)
        found.append([figures["reconstruction_mse"].value, while_training, float(errors.mean())])
    assert max(sizes) == 7
    assert found[0] == pytest.approx(found[1])


class Uniform(nn.Module):
    """Holds every byte of an image for as likely as any other."""

    levels = 256
    conditions = MappingProxyType[str, Modality]({})

    def __init__(self) -> None:
        super().__init__()
        self.place = nn.Parameter(torch.zeros(()))

    def evidence_bound(
        self, x: torch.Tensor, condition: Condition = NONE, generator: torch.Generator | None = None
    ) -> torch.Tensor:
        return torch.full((len(x),), -x[0].numel() * math.log(256), dtype=torch.float64)


def test_a_byte_of_which_nothing_is_known_costs_eight_bits_in_colour_too(tmp_path: Path) -> None:
    source = open_source(str(save(noise(40, 16, channels=3), tmp_path / "noise")), size=16)
    (figure,) = evaluate_model(Subject(Uniform(), source, 20, None, "train", 0, {}))
    assert (figure.name, figure.protocol["pixels"]) == ("bits_per_dimension", "bytes")
    assert figure.value == pytest.approx(8)
    while_training = evaluate_in_training(Uniform(), source.train.batch(np.arange(20)), seed=0)
    assert while_training.values == pytest.approx({"bits_per_dimension": 8})


class DensityOne(nn.Module):
    """Gives each number of an example the density 1."""

    def __init__(self) -> None:
        super().__init__()
        self.place = nn.Parameter(torch.zeros(()))

    def distortion_and_rate(
        self, x: torch.Tensor, condition: Condition = NONE, generator: torch.Generator | None = None
    ) -> tuple[torch.Tensor, torch.Tensor]:
        return torch.zeros(len(x)), torch.zeros(len(x))

    def importance_bound(
        self, x: torch.Tensor, samples: int, condition: Condition = NONE, generator: torch.Generator | None = None
    ) -> torch.Tensor:
        return torch.zeros(len(x))


def test_a_density_has_bits_of_bytes_only() -> None:
    def bits(data: str) -> Figure | None:
        subject = Subject(DensityOne(), open_source(data), 20, None, "train", 0, {}, "continuous")
        return by_name(Measurement("", evaluate_model(subject), 0)).get("bits_per_dimension")

    figure = bits("digits")
    assert figure is not None
    assert figure.value == pytest.approx(-math.log2(2 / 255))
    assert bits("ring8") is None


def test_a_denoising_autoencoder_is_measured_on_corrupted_images(runs: Path) -> None:
    figures = by_name(evaluate_run(run(runs, "denoising-autoencoder"), FEW, "cpu"))
    assert {"denoising_mse", "denoising_psnr", "reconstruction_mse"} <= set(figures)
    assert "fd[pixels]" not in figures


def test_points_are_measured_by_the_modes_of_their_mixture(runs: Path) -> None:
    for name, more in (
        ("points", set()),
        ("spline-flow", {"negative_bound"}),
        ("flow-matching", {"negative_bound"}),
    ):
        figures = by_name(evaluate_run(run(runs, name), FEW, "cpu"))
        assert set(figures) == {"modes", "high_quality", "reverse_kl"} | more
        assert figures["modes"].note == "of 8"
        assert {figure.protocol["dimensions"] for figure in figures.values()} == {"2"}


@pytest.mark.parametrize(
    ("name", "options", "words"),
    [
        ("glow", {"temperature": 0.0}, "temperature"),
        ("ddpm", {"sampling_steps": 9}, "exceeds the 8 noise levels"),
        ("ddpm", {"sampling_steps": 0}, "sampling.steps"),
        ("ddpm", {"guidance": 3.0}, "needs a model that is conditioned on the class"),
        ("dcgan", {"temperature": 0.7}, "temperature"),
    ],
)
def test_a_run_cannot_be_used_as_its_model_does_not_work(
    runs: Path, name: str, options: dict[str, Any], words: str
) -> None:
    folder = run(runs, name).path
    for use in (partial(genlab.load, folder), partial(genlab.evaluate, folder, extractor="pixels", samples=120)):
        with pytest.raises(UsageError, match=words):
            use(**options)


def test_what_was_measured_is_kept_and_answers_the_same_request(
    runs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = run(runs, "dcgan")
    first = evaluate_run(folder, FEW, "cpu", again=True)
    with monkeypatch.context() as patch:
        patch.setattr(evaluate, "load_model", None)  # not needed
        kept = evaluate_run(folder, FEW, "cpu")
    assert kept.figures == first.figures
    files = set((folder.path / "evaluations").iterdir())
    other = evaluate_run(folder, Request(extractor="pixels", samples=100), "cpu")
    assert by_name(other)["fd[pixels]"].value != by_name(first)["fd[pixels]"].value
    assert len(set((folder.path / "evaluations").iterdir()) - files) == 1
    again = evaluate_run(folder, FEW, "cpu", again=True)
    assert again.figures == first.figures


def test_a_run_is_measured_as_it_is_asked_to_sample(runs: Path) -> None:
    folder = run(runs, "ddpm")
    found = {
        steps: genlab.evaluate(folder.path, extractor="pixels", samples=60, sampler="ddim", sampling_steps=steps)
        for steps in (2, 8)
    }
    distances = {steps: by_name(result)["fd[pixels]"] for steps, result in found.items()}
    assert distances[2].value != distances[8].value
    for steps, figure in distances.items():
        assert figure.protocol["model_sampler"] == "ddim"
        assert figure.protocol["model_sampling_steps"] == steps
    with pytest.raises(UsageError, match="9 exceeds the 8 noise levels"):
        genlab.evaluate(folder.path, sampling_steps=9)
    with pytest.raises(UsageError, match='"temperature" is not a sampling option of ddpm'):
        genlab.evaluate(folder.path, temperature=0.5)
    with pytest.raises(UsageError, match=r'no option "sampling_step"\. Did you mean "sampling_steps"'):
        genlab.evaluate(folder.path, sampling_step=2)
    with pytest.raises(UsageError, match="--sampling-steps is an option for runs"):
        genlab.evaluate(real="digits", fake="digits", sampling_steps=2)


def test_families_that_sample_in_different_ways_are_ranked(runs: Path) -> None:
    found = compare([evaluate_run(run(runs, name), FEW, "cpu") for name in ("dcgan", "ddpm", "glow")])
    assert found.ranked_by == "fd[pixels]"


def test_options_of_sampling_are_for_the_runs_that_have_them(runs: Path) -> None:
    asked = {"extractor": "pixels", "samples": 120, "sampling_steps": 3, "temperature": 0.5, "root": runs}
    found = genlab.compare("dcgan", "ddpm", "glow", device="cpu", **asked)
    used = {e.subject.split()[0]: e.figures[0].protocol for e in found.evaluations}
    assert used["ddpm"]["model_sampling_steps"] == 3
    assert used["glow"]["model_temperature"] == 0.5
    assert not {"model_temperature", "model_sampling_steps"} & used["dcgan"].keys()
    with pytest.raises(UsageError, match=r"--temperature is no option of sampling from any of dcgan, ddpm\."):
        genlab.compare("dcgan", "ddpm", temperature=0.5, root=runs)
    assert not found.marks
    assert not any("their protocols differ" in remark for remark in found.remarks)


def test_a_flow_is_used_in_float32_whatever_it_was_trained_in(runs: Path) -> None:
    figures = by_name(evaluate_run(run(runs, "glow"), FEW, "cpu"))
    assert figures["bits_per_dimension"].protocol["model_precision"] == "float32"
    assert figures["bits_per_dimension"].protocol["model_temperature"] == 0.7


def test_no_sample_is_made_twice(runs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = []
    before = GAN.sample

    def sample(self: Any, count: int, *rest: Any) -> torch.Tensor:
        made.append(count)
        return before(self, count, *rest)

    monkeypatch.setattr(GAN, "sample", sample)
    evaluate_run(run(runs, "dcgan"), FEW, "cpu", again=True)
    assert sum(made) == FEW.samples


def test_a_damaged_evaluation_is_made_anew(runs: Path) -> None:
    folder = run(runs, "cgan")
    first = evaluate_run(folder, FEW, "cpu")
    (path,) = (folder.path / "evaluations").iterdir()
    path.write_text(path.read_text()[:100])
    assert evaluate_run(folder, FEW, "cpu").figures == first.figures
    assert json.loads(path.read_text())["request"]["samples"] == 120


def test_the_classifier_of_a_source_is_trained_once(
    runs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GENLAB_CACHE", str(tmp_path))
    monkeypatch.setattr(classifier, "BATCH", 32)
    source = open_source("digits", size=16)
    with torch.no_grad():  # as who measures samples asks for it
        extractor = find_extractor("classifier", torch.device("cpu"), source, progress=False)
    assert classifier.accuracy(extractor, source.held_out) > 0.85
    monkeypatch.setattr(classifier, "_fit", None)  # not needed again
    assert find_extractor("classifier", torch.device("cpu"), source).stamp == extractor.stamp
    figures = by_name(evaluate_run(run(runs, "cgan"), Request(extractor="classifier", samples=120), "cpu"))
    assert 1 <= figures["classes"].value <= 10
    assert figures["reverse_kl"].value >= 0
    assert figures["score[classifier]"].value >= 1


def test_labels_that_start_at_1_are_classified_without_a_class_0(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GENLAB_CACHE", str(tmp_path / "cache"))
    for name, value in (("LEAST_STEPS", 2), ("EPOCHS", 1), ("BATCH", 16)):
        monkeypatch.setattr(classifier, name, value)
    folder = tmp_path / "idx"
    folder.mkdir()
    for stem in ("train", "t10k"):
        for kind, array in (
            ("images-idx3", wide(48, 16, 16)),
            ("labels-idx1", np.arange(48, dtype=np.uint8) % 3 + 1),
        ):
            head = struct.pack(f">BBBB{array.ndim}I", 0, 0, 8, array.ndim, *array.shape)
            (folder / f"{stem}-{kind}-ubyte").write_bytes(head + array.tobytes())
    found = by_name(evaluate_pictures(str(folder), str(folder), Request(extractor="classifier"), "cpu"))
    assert found["fd[classifier]"].value == pytest.approx(0, abs=1e-6)
    source = open_source(str(folder))
    seen = find_extractor("classifier", torch.device("cpu"), source)(source.held_out.batch(np.arange(4)).x)
    assert seen.probabilities is not None
    assert seen.probabilities.shape == (4, 3)


def test_real_images_are_seen_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GENLAB_CACHE", str(tmp_path))
    data, pixels = open_source("digits", size=16).held_out, find_extractor("pixels", torch.device("cpu"))
    first = real_statistics(data, pixels, 50)
    assert len(list((tmp_path / "statistics").iterdir())) == 1

    def fail(images: torch.Tensor) -> Any:
        raise AssertionError("seen again")

    blind = replace(pixels, network=fail)
    again = real_statistics(data, blind, 50)
    assert torch.equal(again.features, first.features)
    assert torch.equal(again.whole.scatter, first.whole.scatter)
    (path,) = (tmp_path / "statistics").iterdir()
    path.write_bytes(path.read_bytes()[:-10])
    with pytest.raises(AssertionError, match="seen again"):
        real_statistics(data, blind, 50)
    assert real_statistics(data, pixels, 10**6).count == len(data)


# pictures


def test_a_saved_run_has_the_figures_of_the_run(runs: Path, tmp_path: Path) -> None:
    folder = run(runs, "dcgan")
    fake = save(sample(genlab.load(folder.path), 120, seed=0), tmp_path / "fake")
    held_out = open_source("digits", size=16).held_out
    real = save(held_out.batch(random_rows(len(held_out), 120)).x, tmp_path / "real")
    of_files = by_name(evaluate_pictures(str(real), str(fake), FEW, "cpu"))
    of_run = by_name(evaluate_run(folder, FEW, "cpu"))
    for name in ("fd[pixels]", "precision[pixels]", "coverage[pixels]"):
        assert of_files[name].value == pytest.approx(of_run[name].value, rel=1e-6), name


def test_a_set_beside_itself_is_marked(tmp_path: Path) -> None:
    folder = save(noise(30), tmp_path / "pictures")
    figures = by_name(evaluate_pictures(str(folder), str(folder), FEW, "cpu"))
    assert figures["fd[pixels]"].value == pytest.approx(0, abs=1e-6)
    assert "30 of 30 generated images are equal to real ones" in figures["fd[pixels]"].note
    assert figures["ms_ssim_of_pairs"].protocol["pairs"] == 30 * 29 // 2


def test_few_images_are_marked(tmp_path: Path) -> None:
    real, fake = save(noise(30), tmp_path / "real"), save(noise(20, seed=1), tmp_path / "fake")
    figure = by_name(evaluate_pictures(str(real), str(fake), FEW, "cpu"))["fd[pixels]"]
    assert figure.note == "20 images for 256 features: biased upwards"


def test_pictures_of_several_sizes_need_one(tmp_path: Path) -> None:
    real, fake = save(noise(20, 64), tmp_path / "real"), save(noise(20, 40), tmp_path / "fake")
    Image.fromarray(np.zeros((48, 60), np.uint8)).save(fake / "large.png")
    with pytest.raises(UsageError, match=r"2 sizes from 40×40 to 60×48 px, .*--size 40"):
        evaluate_pictures(str(real), str(fake), FEW, "cpu")
    figure = evaluate_pictures(str(real), str(fake), FEW, "cpu", size=40).figures[0]
    assert figure.protocol["images"] == "1×40×40"
    assert figure.protocol["native"] == "real 64×64 px, fake 2 sizes from 40×40 to 60×48 px"


def test_real_pictures_are_brought_to_the_size_of_the_generated(tmp_path: Path) -> None:
    real, fake = save(noise(20, 64), tmp_path / "real"), save(noise(20, 40), tmp_path / "fake")
    assert evaluate_pictures(str(real), str(fake), FEW, "cpu").figures[0].protocol["images"] == "1×40×40"


def wide(count: int, width: int, height: int, seed: int = 0) -> np.ndarray[Any, np.dtype[np.uint8]]:
    return np.random.default_rng(seed).integers(0, 256, (count, height, width), dtype=np.uint8)


def saved(pictures: np.ndarray[Any, np.dtype[np.uint8]], folder: Path) -> Path:
    folder.mkdir()
    for place, picture in enumerate(pictures):
        Image.fromarray(picture).save(folder / f"{place:04d}.png")
    return folder


def test_pictures_that_are_not_square_count_whole(tmp_path: Path) -> None:
    """What lies outside of the centre square changes the figures, and the pictures come as they are."""
    real = saved(wide(30, 64, 32), tmp_path / "real")
    sides = wide(30, 64, 32)
    sides[:, :, :16] = sides[:, :, 48:] = 0
    figures = {}
    for name, fake in (("same", wide(30, 64, 32)), ("black", sides)):
        found = evaluate_pictures(str(real), str(saved(fake, tmp_path / name)), FEW, "cpu")
        figures[name] = found.figures[0]
    assert figures["same"].value == pytest.approx(0, abs=1e-6)
    assert figures["black"].value > 1
    said = figures["black"]
    assert said.protocol["native"] == "real 64×32 px, fake 64×32 px"
    assert said.protocol["resized_before"] == "none"
    assert said.protocol["images"] == "1×32×64"
    for side in ("real", "generated"):
        assert f"30 of 30 {side} pictures are not square: squashed, not cropped" in said.note


def test_the_extractor_squashes_a_picture_as_other_programs_do(tmp_path: Path) -> None:
    pictures = wide(20, 64, 32)
    folder, seen = saved(pictures, tmp_path / "wide"), []
    extractor = replace(find_extractor("pixels", torch.device("cpu")), name="seen", side=48)

    def look(images: torch.Tensor) -> ExtractorOutput:
        seen.append(images)
        return extractor.network(images)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sets, "find_extractor", lambda *_, **__: replace(extractor, network=look))
        evaluate_pictures(str(folder), str(folder), FEW, "cpu")
    expected = Image.fromarray(pictures[0].astype(np.float32), "F").resize((48, 48), Image.Resampling.BICUBIC)
    every = torch.cat(seen)[:, 0] * 127.5 + 127.5
    distances = (every - torch.from_numpy(np.array(expected)).clamp(0, 255)).abs().amax((1, 2))
    assert distances.min() < 1e-2


def test_real_pictures_of_other_shapes_are_squashed_to_that_of_the_generated(tmp_path: Path) -> None:
    real, fake = saved(wide(20, 64, 32), tmp_path / "real"), saved(wide(20, 32, 32), tmp_path / "fake")
    figure = evaluate_pictures(str(real), str(fake), FEW, "cpu").figures[0]
    assert figure.protocol["resized_before"] == "real to 32×32 px, uncropped"
    assert "20 of 20 real pictures are not square: squashed, not cropped" in figure.note
    named = genlab.evaluate(real=str(real), fake="digits", extractor="pixels", samples=20).figures[0]
    assert named.protocol["images"] == "1×32×32"


@pytest.mark.parametrize(("size", "to"), [((1, 520), "8×512"), ((640, 320), "512×256")])
def test_large_generated_pictures_are_resized_and_give_no_fid(
    tmp_path: Path, size: tuple[int, int], to: str
) -> None:
    stored = {name: saved(wide(12, *size), tmp_path / name) for name in ("real", "fake")}
    figure = evaluate_pictures(str(stored["real"]), str(stored["fake"]), FEW, "cpu").figures[0]
    native = "×".join(map(str, size))
    assert figure.protocol["native"] == f"real {native} px, fake {native} px"
    assert figure.protocol["resized_before"] == f"real and fake to {to} px, uncropped"
    assert f"generated pictures were resized to {to} before the extractor, so this is not an FID" in figure.note


def test_all_pictures_of_a_set_count_unless_fewer_are_asked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def counts(real: FeatureStatistics, fake: FeatureStatistics, *_: object, **__: object) -> list[Figure]:
        return [Figure("counts", fake.count)]

    monkeypatch.setattr(measures, "compare", counts)
    for name, count in (("real", 60), ("fake", 10_300)):
        np.savez(tmp_path / f"{name}.npz", images=wide(count, 8, 8))
    both = {"real": str(tmp_path / "real.npz"), "fake": str(tmp_path / "fake.npz"), "extractor": "pixels"}
    assert genlab.evaluate(**both).figures[0].value == 10_300
    few = genlab.evaluate(**both, samples=50).figures[0]
    assert few.value == 50
    assert "50 of 10,300 generated pictures, as --samples says" in few.note


def test_grey_beside_colour_is_seen_in_colour(tmp_path: Path) -> None:
    real, fake = save(noise(20, channels=3), tmp_path / "real"), save(noise(20), tmp_path / "fake")
    assert evaluate_pictures(str(real), str(fake), FEW, "cpu").figures[0].protocol["images"] == "3×32×32"


def test_arrays_are_pictures_too(tmp_path: Path) -> None:
    images = (noise(40).permute(0, 2, 3, 1).numpy() + 1) / 2
    np.savez(tmp_path / "fake.npz", images=images)
    figures = by_name(evaluate_pictures("digits", str(tmp_path / "fake.npz"), FEW, "cpu"))
    assert figures["fd[pixels]"].value > 1
    assert figures["precision[pixels]"].value == 0


def test_bad_pictures_are_refused(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    good = save(noise(20), tmp_path / "good")
    with pytest.raises(DataError, match="holds no files"):
        evaluate_pictures(str(good), str(tmp_path / "empty"), FEW, "cpu")
    with pytest.raises(UsageError, match=r"no source .*goood.*Did you mean"):
        evaluate_pictures(str(tmp_path / "goood"), str(good), FEW, "cpu")
    with pytest.raises(UsageError, match="at least 2, not 1"):
        Request(samples=1)
    with pytest.raises(UsageError, match='--split can be held-out or train or all, not "test"'):
        Request(split="test")  # type: ignore[arg-type]


def test_the_part_of_the_real_pictures_can_be_chosen(tmp_path: Path) -> None:
    fake = str(save(noise(40), tmp_path / "fake"))
    found = {}
    splits: tuple[Split, ...] = ("held-out", "train", "all")
    for split in splits:
        request = Request("pixels", 5000, split)
        found[split] = evaluate_pictures("digits", fake, request, "cpu").figures[0].protocol
    assert [protocol["split"] for protocol in found.values()] == list(found)
    assert found["held-out"]["real"] + found["train"]["real"] == found["all"]["real"] == 1797


# extractors


def test_unknown_extractors_are_refused() -> None:
    with pytest.raises(UsageError, match=r'no extractor "inceptoin"\. Did you mean "inception"\?'):
        find_extractor("inceptoin", torch.device("cpu"))
    with pytest.raises(UsageError, match="labelled pictures"):
        find_extractor("classifier", torch.device("cpu"), open_source("ring8"))


def test_without_a_connection_inception_says_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GENLAB_CACHE", str(tmp_path))

    def offline(url: str, timeout: float) -> None:
        raise urllib.error.URLError("no route")

    monkeypatch.setattr(urllib.request, "urlopen", offline)
    with pytest.raises(DataError, match=r"no route.*inception:PATH.*efficientnet-lite0"):
        find_extractor("inception", torch.device("cpu"), progress=False)
    assert not list(tmp_path.iterdir())
    with pytest.raises(GenlabError, match="cannot read the weights"):
        find_extractor(f"inception:{tmp_path}/none.pth", torch.device("cpu"))


# comparisons


def evaluation(subject: str, value: float, error: float | None = 0.1, **protocol: object) -> Measurement:
    stamp = {"real": 100, "seed": 0, "checkpoint": f"of {subject}", **protocol}
    return Measurement(subject, [Figure("fd[x]", value, error, "lower", stamp), Figure("kd[x]", 1.0)], 1.0)


def test_the_best_comes_first() -> None:
    found = compare(
        [evaluation("c", 9.0), evaluation("a", 1.0), evaluation("nan", float("nan")), evaluation("b", 5.0)]
    )
    assert [e.subject for e in found.evaluations] == ["a", "b", "c", "nan"]
    assert found.ranked_by == "fd[x]"
    assert not found.marks


def test_higher_is_better_where_it_is() -> None:
    modes = [Measurement(str(v), [Figure("high_quality", v, 0.01, "higher")], 1.0) for v in (0.5, 0.9)]
    assert [e.subject for e in compare(modes).evaluations] == ["0.9", "0.5"]


def test_what_may_be_chance_is_said() -> None:
    found = compare([evaluation("a", 1.0, 0.3), evaluation("b", 1.5, 0.4), evaluation("c", 9.0, 0.4)])
    (remark,) = found.remarks
    assert remark == "a and b do not differ significantly in fd[x]: the difference is 0.5 ± 0.5"
    assert "is unknown" in compare([evaluation("a", 1.0, None), evaluation("b", 2.0, None)]).remarks[0]


def test_another_protocol_is_marked_and_not_ranked() -> None:
    found = compare([evaluation("a", 1.0), evaluation("b", 5.0, real=50), evaluation("c", 7.0, real=50)])
    assert found.marks == {(1, "fd[x]"): "*", (2, "fd[x]"): "*"}
    assert found.remarks[0] == "* computed differently: real 50 instead of 100"
    assert "a and b cannot be ranked by fd[x]: their protocols differ" in found.remarks
    assert as_table(found)[2][1] == "5.00 ± 0.10*"
    with pytest.raises(ValueError, match="by different protocols"):
        significantly_different(found.evaluations[0].figures[0], found.evaluations[1].figures[0])


def test_bounds_of_different_likelihoods_do_not_rank(runs: Path) -> None:
    measured = [
        evaluate_run(run(runs, name), FEW, "cpu") for name in ("points-vae", "spline-flow", "flow-matching")
    ]
    found = compare(measured)
    assert found.ranked_by == "high_quality"
    assert found.remarks[0].startswith("* computed differently: likelihood ")
    densities = compare(measured[1:])
    assert densities.ranked_by == "negative_bound"
    assert not densities.marks


def test_without_a_common_measure_there_is_no_order() -> None:
    found = compare([evaluation("a", 1.0), Measurement("b", [Figure("reconstruction_mse", 1.0)], 1.0)])
    assert found.ranked_by is None
    assert "no measure of quality in common" in found.remarks[0]


@pytest.mark.parametrize(
    ("value", "error", "text"),
    [
        (154.3631, 0.0152, "154.363 ± 0.015"),
        (12.3, 4.56, "12.3 ± 4.6"),
        (1234, 56, "1234 ± 56"),
        (0.5, None, "0.5"),
    ],
)
def test_figures_have_the_digits_that_mean_something(value: float, error: float | None, text: str) -> None:
    assert written(Figure("x", value, error)) == text


def test_tables_and_pages_hold_every_figure() -> None:
    found = compare([evaluation("a <b>", 1.0), evaluation("b", 5.0)])
    lines = as_csv(found).splitlines()
    assert lines[0] == "subject,figure,value,error,note,real,seed,checkpoint"
    assert lines[1] == "a <b>,fd[x],1.0,0.1,,100,0,of a <b>"
    page = as_html(found, {"a <b>": b"picture"})
    assert "a &lt;b&gt;" in page
    assert "<b>a <b>" not in page
    assert "real 100, seed 0" in page
    assert "data:image/png;base64,cGljdHVyZQ==" in page
    assert "http" not in page


def test_a_model_that_can_do_nothing_is_refused() -> None:
    with pytest.raises(GenlabError, match="no measure for what this Linear can do"):
        evaluate_model(Subject(nn.Linear(1, 1), open_source("digits", size=16), 10, None, "held-out", 0, {}))
