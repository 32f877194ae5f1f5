"""Filling up classes: which candidates are kept, what is recorded, and what a killed command goes on with."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from genlab.applications.augment import COLUMNS, COPY, KEPT, Augmenter, Filled, Gap, gaps_of
from genlab.applications.augment_accuracy import SETS, _sets, accuracies, as_text, gain
from genlab.applications.augment_filter import Filter, Neighbourhood, filter_of, neighbourhood
from genlab.applications.rows import read_table, rows
from genlab.core.condition import NONE, Condition
from genlab.core.errors import GenlabError, UsageError
from genlab.core.modality import Classes
from genlab.core.pictures import png, to_bytes
from genlab.core.random import normal
from genlab.data.dataset import Dataset, Source, make_dataset
from genlab.metrics.extractors.extractor import Extractor, ExtractorOutput
from genlab.metrics.extractors.pixels import pixels

NAMES = ("cat", "dog")
SHAPE = (1, 4, 4)


class Grey(nn.Module):
    """Draws plain pictures whose brightness is their noise; is killed at some call."""

    conditions = {"label": Classes(NAMES)}  # noqa: RUF012

    def __init__(self, most: int = 1000) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(1))
        self.most, self.calls = most, 0

    def sample(self, count: int, condition: Condition = NONE, generator: torch.Generator | None = None) -> Tensor:
        self.calls += 1
        if self.calls > self.most:
            raise KeyboardInterrupt
        return torch.tanh(normal(generator, count, 1, 1, 1)).expand(count, *SHAPE).clone()


def plain(*brightness: float) -> Tensor:
    return torch.tensor(brightness).reshape(-1, 1, 1, 1).expand(-1, *SHAPE)


def near(threshold: float = -1.0, among: Tensor | None = None) -> Callable[[int], Neighbourhood]:
    extractor = pixels(torch.device("cpu"))
    features = extractor(plain(2.0) if among is None else among).features
    return lambda label: Neighbourhood(extractor, features, threshold)


def brightness(pictures: Tensor, label: int) -> Tensor:
    return pictures.flatten(1).mean(1)


GAP = Gap(1, "dog", "dog", 5, 300)


def filled(
    folder: Path, model: Grey, chosen: Filter, around: Callable[[int], Neighbourhood], gap: Gap = GAP
) -> Filled:
    with rows(folder.with_suffix(".csv"), COLUMNS, {"seed": 0}) as written:
        (found,) = Augmenter(model, chosen, around, 0, folder, written, SHAPE).fill([gap])
        written.finish()
    return found


def labelled(counts: tuple[int, ...], seed: int = 0) -> Dataset:
    labels = np.repeat(np.arange(len(counts)), counts)
    images = np.random.default_rng(seed).integers(0, 256, (len(labels), *SHAPE), np.uint8)
    return make_dataset("animals", images, labels, NAMES)


def test_classes_are_filled_up_to_a_number_that_counts_their_own_pictures() -> None:
    assert gaps_of(labelled((7, 3)), None) == [Gap(1, "dog", "dog", 3, 4)]
    assert [(gap.name, gap.missing) for gap in gaps_of(labelled((7, 3)), 10)] == [("cat", 3), ("dog", 7)]
    with pytest.raises(UsageError, match=r"every class has 3 training pictures or more.*--per-class 14"):
        gaps_of(labelled((7, 3)), 2)


def test_those_with_the_highest_scores_are_kept(tmp_path: Path) -> None:
    found = filled(tmp_path / "out", Grey(), Filter(brightness, 0.5), near())
    assert (found.kept, found.low, found.copies) == (300, 300, 0)
    table = read_table(tmp_path / "out.csv")
    score, code = (table.values[:, COLUMNS.index(name)] for name in ("score", "code"))
    for block in (slice(0, 250), slice(250, 500)):
        kept = code[block] == KEPT
        assert kept.sum() == 125
        assert score[block][kept].min() > score[block][~kept].max()
    names = {name for name, each in zip(table.names, code, strict=True) if each == KEPT}
    assert names == {f"dog/{path.name}" for path in (tmp_path / "out" / "dog").iterdir()}


def test_copies_are_refused_and_replaced(tmp_path: Path) -> None:
    around = near(2.0, plain(1.0))  # of 16 pixels: brightness above 0.5
    found = filled(tmp_path / "out", Grey(), Filter(brightness, 1.0), around)
    table = read_table(tmp_path / "out.csv")
    score, distance, code = (table.values[:, COLUMNS.index(name)] for name in ("score", "distance", "code"))
    assert found.kept == 300
    assert found.copies == (distance <= 2).sum() > 0
    assert score[code == KEPT].max() < 0.51
    assert score[code == COPY].min() > 0.49


def test_a_model_that_only_copies_ends_with_a_warning(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("WARNING", "genlab")
    gap = Gap(1, "dog", "dog", 5, 20)
    found = filled(tmp_path / "out", Grey(), Filter(brightness, 0.5), near(100.0), gap)
    assert (found.kept, found.low, found.copies) == (0, 0, 400)
    assert "class dog lacks 20 pictures: 400 of 400 candidates were copies" in caplog.text


def test_a_killed_command_goes_on_and_ends_with_the_same_files(tmp_path: Path) -> None:
    chosen, around = Filter(brightness, 0.5), near(2.0, plain(-1.0))
    whole = filled(tmp_path / "whole", Grey(), chosen, around)
    with pytest.raises(KeyboardInterrupt):
        filled(tmp_path / "out", Grey(most=1), chosen, around)
    part = tmp_path / "out.csv.part"
    values = (part / "values").read_bytes()
    (part / "values").write_bytes(values[: 4 * len(COLUMNS) * 100 + 3])  # killed while the block was recorded
    again = Grey()
    assert filled(tmp_path / "out", again, chosen, around) == whole
    assert again.calls == 3
    assert (tmp_path / "out.csv").read_bytes() == (tmp_path / "whole.csv").read_bytes()
    for path in (tmp_path / "whole" / "dog").iterdir():
        assert (tmp_path / "out" / "dog" / path.name).read_bytes() == path.read_bytes()


def test_pictures_that_are_not_finite_are_refused(tmp_path: Path) -> None:
    model = Grey()
    model.sample = lambda count, *_: torch.full((count, *SHAPE), torch.nan)  # type: ignore[method-assign]
    with pytest.raises(GenlabError, match="not finite"):
        filled(tmp_path / "out", model, Filter(brightness, 1.0), near())


def test_a_copy_is_closer_than_99_percent_of_the_held_out_pictures() -> None:
    train, held_out = labelled((300, 50)), labelled((400, 20), seed=1)
    extractor = pixels(torch.device("cpu"))
    source = Source("animals", train, held_out, 770)
    around = neighbourhood(extractor, source, 0)
    distances = around.distances(held_out.batch(np.arange(400)).x)
    assert (distances <= around.threshold).float().mean() == pytest.approx(0.01, abs=0.003)
    few = neighbourhood(extractor, source, 1)  # calibrated on the training pictures themselves
    own = torch.cdist(few.features, few.features) + 1e6 * torch.eye(50)
    assert few.threshold == pytest.approx(float(own.min(1).values.quantile(0.01)), rel=1e-4)
    assert few.distances(train.batch(np.arange(300, 350)).x).max() < few.threshold


@pytest.mark.parametrize(("name", "keep"), [("classifier", 0.0), ("discriminator", 1.5), ("none", 0.5)])
def test_shares_that_make_no_sense_are_refused(name: str, keep: float) -> None:
    source = Source("animals", labelled((3, 3)), labelled((3, 3)), 12)
    with pytest.raises(UsageError, match="--keep"):
        filter_of(name, keep, Grey(), source)  # type: ignore[arg-type]


def test_sets_differ_only_in_the_classes_that_were_filled_up() -> None:
    train = labelled((7, 3))
    filled = [Filled(Gap(1, "dog", "dog", 3, 4), 4, 0, 0, 0.0)]
    sets = _sets(train, filled, [Path(f"{at}.png") for at in range(4)])
    assert tuple(sets) == SETS
    assert sets["real + repeats"].tolist() == [*range(10), 7, 8, 9, 7]
    assert sets["real + generated"].tolist() == [*range(14)]
    assert sets["generated alone"].tolist() == [*range(7), *range(10, 14)]


def by_mean(train: Dataset, device: torch.device, seed: int, steps: int, *, flip: bool) -> Extractor:
    """Return a classifier by the nearest mean of a class, in place of a network."""
    found = train.batch(np.arange(len(train)))
    means = torch.stack([found.x[found.condition["label"] == label].mean() for label in (0, 1)])

    def classify(pictures: Tensor) -> ExtractorOutput:
        distances = (pictures.flatten(1).mean(1, keepdim=True) - means).abs()
        return ExtractorOutput(distances, (-distances).softmax(1))

    return Extractor("mean", classify, any_channels=True)


def test_generated_pictures_that_show_the_class_raise_its_accuracy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Cats are dark and dogs are bright; the two real dogs are darker than cats."""
    monkeypatch.setattr("genlab.applications.augment_accuracy.fitted", by_mean)

    def animals(cats: int, dogs: int, dog: int) -> Dataset:
        values = np.repeat(np.array([20, dog], np.uint8), (cats, dogs))
        images = np.broadcast_to(values[:, None, None, None], (len(values), *SHAPE)).copy()
        return make_dataset("animals", images, np.repeat([0, 1], (cats, dogs)), NAMES)

    files = [tmp_path / f"{at}.png" for at in range(40)]
    for file in files:
        file.write_bytes(png(to_bytes(plain(0.9))[0]))
    filled = [Filled(Gap(1, "dog", "dog", 2, 40), 40, 0, 0, 0.0)]
    train, held_out, record = animals(40, 2, 10), animals(20, 20, 240), tmp_path / "record"
    found = accuracies(train, held_out, filled, files, record, torch.device("cpu"))
    assert [each.tolist() for each in gain(found, ["dog"])] == [[1.0] * 3, [found[3].all[0] - found[2].all[0]] * 3]
    assert "against flips: +100.0 ± 0.0 points for these classes" in as_text(found, ["dog"])
    monkeypatch.setattr("genlab.applications.augment_accuracy.fitted", None)  # nothing is trained again
    again = accuracies(train, held_out, filled, files, record, torch.device("cpu"))
    assert [each.values() for each in again] == [each.values() for each in found]
