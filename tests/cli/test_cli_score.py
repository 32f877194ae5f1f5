import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import genlab as package
from genlab.applications import score as scoring
from genlab.core.errors import DataError, GenlabError, UsageError

DRAWS = np.random.default_rng(0)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> package.Run:
    root = tmp_path_factory.mktemp("runs")
    return package.train("vae", data="digits", size=16, width=4, latent=3, steps=2, root=root, quiet=True)


@pytest.fixture(scope="module")
def digits() -> np.ndarray:
    return package.data("digits", size=16).source.train.values[np.arange(40)][:, 0]


@pytest.fixture(scope="module")
def bottle(tmp_path_factory: pytest.TempPathFactory, digits: np.ndarray) -> Path:
    """A data set of defects: digits of 24 pixels, some of them with a bright or a grey square."""
    root = tmp_path_factory.mktemp("bottle")
    for place, count in (("train/good", 20), ("test/good", 6), ("test/bright", 4), ("test/grey", 4)):
        for at in range(count):
            pixels = np.asarray(Image.fromarray(digits[at]).resize((24, 20))).copy()
            mask = np.zeros_like(pixels)
            if not place.endswith("good"):
                pixels[4:12, 4:12] = 255 if place.endswith("bright") else 128
                mask[4:12, 4:12] = 255
                _save(mask, root / place.replace("test", "ground_truth") / f"{at}_mask.png")
            _save(pixels, root / place / f"{at}.png")
    return root


def _save(pixels: np.ndarray, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path)


def test_a_row_for_each_example_with_all_scores_of_the_model_and_the_baseline(
    run: package.Run, tmp_path: Path
) -> None:
    done = package.score(run, "digits", normal_class=["0", "1"], out=tmp_path / "scores.csv")
    table = done.table
    assert list(table.columns) == ["combined", "reconstruction", "likelihood", "latent", "rate", "features"]
    assert set(table.labels) == set(map(str, range(10)))
    verdicts = [line.split(",")[2] for line in done.path.read_text().splitlines()[1:]]
    above = table.values[:, 0] - (done.thresholds["combined"] or 0)
    clear = np.abs(above) > 1e-4  # files hold seven digits
    assert (np.array(verdicts)[clear] == np.where(above > 0, "anomaly", "normal")[clear]).all()
    assert all(0 <= each["auroc"] <= 1 and "auroc 7" in each for each in done.figures.values())
    assert done.path.with_suffix(".png").exists()
    assert "features: pixels" in str(done)
    assert done.values()["rows"] == len(table.names)


def test_a_killed_command_goes_on_where_it_was_and_has_the_same_scores(
    run: package.Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, digits: np.ndarray
) -> None:
    for at, pixels in enumerate(digits[:9]):
        _save(pixels, tmp_path / "pictures" / f"{at}.png")
    whole = package.score(run, tmp_path / "pictures", out=tmp_path / "whole.csv")
    embedded, batches = scoring.embedded, []

    def killed(names: list[str], tools: object, x: object) -> object:
        batches.append(len(x))  # type: ignore[arg-type]
        if len(batches) == 3:
            raise KeyboardInterrupt
        return embedded(names, tools, x)  # type: ignore[arg-type]

    monkeypatch.setattr("genlab.data.originals.at_once", lambda _: 2)
    monkeypatch.setattr(scoring, "embedded", killed)
    with pytest.raises(KeyboardInterrupt):
        package.score(run, tmp_path / "pictures", out=tmp_path / "parts.csv")
    again = package.score(run, tmp_path / "pictures", out=tmp_path / "parts.csv")
    assert sum(batches) == 9 + 2  # those of the batch that was killed twice
    assert list(again.table.names) == list(whole.table.names)
    assert np.allclose(again.table.values, whole.table.values, rtol=1e-3, atol=1e-4)
    assert not (tmp_path / "parts.csv.part").exists()


def test_a_data_set_of_defects_is_measured_with_its_masks(run: package.Run, bottle: Path, tmp_path: Path) -> None:
    maps, page = tmp_path / "maps", tmp_path / "page.html"
    done = package.score(run, bottle, by=["reconstruction"], heatmaps=maps, html=page, out=tmp_path / "s.csv")
    figures = done.figures["reconstruction"]
    assert {"average_precision", "f1", "pixel_auroc", "pro", "auroc bright", "auroc grey"} <= figures.keys()
    for kind in ("map", "overlay", "mask"):
        assert np.asarray(Image.open(maps / kind / "bright" / "0.png")).shape[:2] == (20, 24)
    text = page.read_text()
    assert not re.search(r'(?:src|href)="(?!data:)', text)
    assert "Highest scores" in text
    assert "the model's 16x16 pixels in grey; 14 of other sizes were resized whole" in str(done)
    assert "a data set of defects" in str(done)


def test_no_picture_that_is_read_is_written_over(run: package.Run, tmp_path: Path, digits: np.ndarray) -> None:
    _save(digits[0], tmp_path / "a.png")
    with pytest.raises(UsageError, match=r"a\.png is one of the files that are read"):
        package.score(run, tmp_path, by=["features"], out=tmp_path / "a.csv")
    with pytest.raises(UsageError, match=r"--heatmaps .* lies in"):
        package.score(run, tmp_path, heatmaps=tmp_path / "maps")


def test_a_mask_that_fits_no_picture_is_left_out_and_named(run: package.Run, bottle: Path) -> None:
    extra, small = bottle / "ground_truth/grey/99_mask.png", bottle / "ground_truth/grey/0_mask.png"
    kept = small.read_bytes()
    _save(np.zeros((24, 24), np.uint8), extra)
    _save(np.zeros((5, 5), np.uint8), small)
    notes = " ".join(package.score(run, bottle, by=["reconstruction"]).notes)
    extra.unlink()
    small.write_bytes(kept)
    assert "1 mask of no picture, left out" in notes
    assert "99_mask.png" in notes
    assert "5x5 pixels, and its picture 24x20" in notes


def test_with_one_normal_picture_there_are_scores_but_no_verdicts(
    run: package.Run, tmp_path: Path, digits: np.ndarray
) -> None:
    _save(digits[0], tmp_path / "normal.png")
    done = package.score(run, digits[:5], by=["features"], normal=tmp_path / "normal.png", out=tmp_path / "s.csv")
    assert done.thresholds == {"features": None}
    assert "one normal example only" in str(done)
    assert done.table.values[0, 0] == pytest.approx(0, abs=1e-4)
    assert done.table.values[1:, 0].min() > 0
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match="no normal example"):
        package.score(run, digits[:5], by=["features"], normal=tmp_path / "empty")


@pytest.mark.parametrize(
    ("labels", "said"),
    [
        (["0"] * 4, "all 4 examples are normal (0)"),
        (["a", "b", "c", "a"], 'no class is called "good"'),
        ([None] * 4, "the examples have no classes"),
        (["good", None, "bad", "bad"], "1 example without a class"),
    ],
)
def test_what_cannot_be_measured_is_said(labels: list[str | None], said: str) -> None:
    anomalous, notes = scoring.truth_of(labels, None)
    assert anomalous is None
    assert said in notes[0]


def test_normal_classes_are_those_given_or_good_or_0_of_0_and_1() -> None:
    assert scoring.truth_of(["good", "x", "good"], None)[0].tolist() == [False, True, False]  # type: ignore[union-attr]
    assert scoring.truth_of(["0", "1", "1"], None)[0].tolist() == [False, True, True]  # type: ignore[union-attr]
    assert scoring.truth_of(["a", "b", "c"], ["b"])[0].tolist() == [True, False, True]  # type: ignore[union-attr]
    with pytest.raises(UsageError, match=r'no class "goud"\. Did you mean "good"'):
        scoring.truth_of(["good", "bad"], ["goud"])


def test_warns_if_anomalies_look_normal_and_if_the_baseline_is_better() -> None:
    backwards, beaten = scoring._warnings({**_auroc("reconstruction", 0.3), **_auroc("features", 0.9)}, 0.03)
    assert backwards.startswith("anomalies-reconstruct-better: anomalies have smaller reconstruction errors")
    assert "features has an AUROC of 0.900, reconstruction of 0.300" in beaten
    assert scoring._warnings({**_auroc("likelihood", 0.49), **_auroc("features", 0.4)}, 0.05) == []
    equal, wrong = {**_auroc("latent", 0.88), **_auroc("features", 0.9)}, _auroc("features", 0.2)
    assert "no better than the baseline" in scoring._warnings(equal, 0.03)[0]
    assert "Check which class is the normal one" in scoring._warnings(wrong, 0.03)[0]


def _auroc(name: str, auroc: float) -> dict[str, dict[str, float]]:
    return {name: {"auroc": auroc, "auroc_error": 0.05}}


def test_the_best_f1_needs_classes(run: package.Run, tmp_path: Path, digits: np.ndarray) -> None:
    with pytest.raises(UsageError, match="--threshold f1 needs pictures of which it is known"):
        package.score(run, digits[:5], threshold="f1", by=["features"], out=tmp_path / "s.csv")
    done = package.score(run, "digits", threshold="f1", normal_class=["3"], by=["features"])
    assert done.figures["features"]["f1"] == pytest.approx(done.figures["features"]["best_f1"])
    with pytest.raises(UsageError, match="between 0 and 1"):
        package.score(run, digits[:5], threshold=1.5)


def test_points_are_scored_too_and_have_no_heat_maps(tmp_path: Path) -> None:
    run = package.train("gan", data="ring8", width=4, steps=1, root=tmp_path, quiet=True)
    points = np.concatenate([DRAWS.normal(size=(6, 2)) / 10, np.full((1, 2), 30)]).astype(np.float32)
    done = package.score(run, points, out=tmp_path / "s.npz")
    assert list(done.table.columns) == ["discriminator", "features", "isolation-forest"]
    assert done.table.values[:, 1].argmax() == 6
    with pytest.raises(GenlabError, match="--heatmaps needs a model that can reconstruct"):
        package.score(run, points, heatmaps=tmp_path / "maps")


def test_thresholds_are_calibrated_on_what_the_model_has_not_seen(tmp_path: Path, bottle: Path) -> None:
    run = package.train("vae", data=str(bottle / "train"), size=16, width=4, steps=1, root=tmp_path, quiet=True)
    for normal in (None, bottle / "train", bottle / "train" / "good"):
        notes = package.score(run, bottle, by=["features"], normal=normal).notes
        assert any("training examples of the run; thresholds are calibrated on" in note for note in notes)


def test_the_doctor_knows_the_newest_scores_and_warns_if_they_rank_backwards(
    run: package.Run, tmp_path: Path, digits: np.ndarray
) -> None:
    unscored = package.train("vae", data="digits", size=16, width=4, latent=3, steps=2, root=tmp_path, quiet=True)
    assert "(after genlab score)" in str(package.doctor(unscored))
    for at, pixels in enumerate(digits):
        _save(
            pixels if at % 2 else np.zeros_like(pixels),
            tmp_path / "set" / ("good" if at % 2 else "blank") / f"{at}.png",
        )
    flat = package.score(run, tmp_path / "set", by=["reconstruction"], out=tmp_path / "s.csv")
    back = package.score(
        run, tmp_path / "set", by=["reconstruction"], normal_class=["blank"], out=tmp_path / "t.csv"
    )
    aurocs = [done.figures["reconstruction"]["auroc"] for done in (flat, back)]
    assert sum(aurocs) == pytest.approx(1)
    assert abs(aurocs[0] - 0.5) > 0.3
    for done, auroc, normal in zip((flat, back), aurocs, (None, ["blank"]), strict=True):
        package.score(run, tmp_path / "set", by=["reconstruction"], normal_class=normal, out=done.path)
        found = package.doctor(run)
        assert ("anomalies-reconstruct-better" in [each.rule for each in found.findings]) == (auroc < 0.5)
        assert "anomalies-reconstruct-better" not in found.unchecked


def test_says_if_the_model_was_trained_on_what_is_scored(tmp_path: Path, digits: np.ndarray) -> None:
    for at, pixels in enumerate(digits):
        _save(pixels, tmp_path / "set" / f"{at}.png")
    own = package.train(
        "vae", data=tmp_path / "set", size=16, channels=1, width=4, steps=2, root=tmp_path, quiet=True
    )
    said = "the model was trained on most of these examples"
    assert said in str(package.score(own, tmp_path / "set", by=["features"]))
    assert said not in str(package.score(own, digits[:, None], by=["features"]))


def test_the_data_of_the_run_may_have_moved(tmp_path: Path, digits: np.ndarray) -> None:
    for at, pixels in enumerate(digits[:30]):
        _save(pixels, tmp_path / "before" / f"{at}.png")
    tiny = {"width": 4, "latent": 3, "steps": 2, "size": 16, "root": tmp_path, "quiet": True}
    run = package.train("vae", data=str(tmp_path / "before"), **tiny)
    (tmp_path / "before").rename(tmp_path / "after")
    with pytest.raises(DataError, match="now by --data, or give other normal examples"):
        package.score(run, digits[30:], by=["reconstruction"], out=tmp_path / "a.csv")
    moved = package.score(
        run, digits[30:], by=["reconstruction"], data=str(tmp_path / "after"), out=tmp_path / "a.csv"
    )
    assert "training examples of the run" in str(moved)
    with pytest.raises(UsageError, match=r"--data .*after are compared with as normal examples, but others are"):
        package.score(run, digits[30:], normal=digits[:9], data=str(tmp_path / "after"), out=tmp_path / "b.csv")
