"""What a run leaves to be read: complete, in one file, whatever became of the run."""

import base64
import csv
import io
import json
import re
from collections.abc import Callable, Sequence
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import genlab
from genlab.core.modality import DataSpec, Images
from genlab.core.signals import signal
from genlab.diagnosis.finding import Change, Evidence, Finding, Remedy
from genlab.training import curves, report
from genlab.training.criterion import values_of
from genlab.training.report import verdict, write_report
from genlab.training.run_folder import RunFolder
from sabotage import TINY

VOID = {"meta", "img", "br", "hr", "link", "input"}
OPTIONAL_END = {"html", "p", "tr", "td", "th"}


class Page(HTMLParser):
    """Reads a page: its text, its pictures, whatever it would fetch, and tags that are not closed."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.text = ""
        self.images: list[bytes] = []
        self.fetched: list[str] = []
        self.open: list[str] = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag not in VOID:
            self.open.append(tag)
        if tag in ("script", "link", "iframe", "object", "base"):
            self.fetched.append(tag)
        for name, value in attrs:
            if name == "src" and value and value.startswith("data:image/png;base64,"):
                self.images.append(base64.b64decode(value.partition(",")[2], validate=True))
            elif name in ("src", "href", "srcset", "data", "action", "poster"):
                self.fetched.append(f"{tag} {name}={value}")

    def handle_endtag(self, tag: str) -> None:
        while self.open[-1] != tag:
            assert self.open[-1] in OPTIONAL_END, f"<{self.open[-1]}> is not closed before </{tag}>"
            self.open.pop()
        self.open.pop()

    def handle_data(self, data: str) -> None:
        self.text += data


def page_of(run: RunFolder) -> Page:
    text = (run.path / "report.html").read_text()
    assert not re.search(r"https?://|url\(|@import", text)
    page = Page(text)
    assert page.fetched == []
    assert page.open == []
    for image in page.images:
        Image.open(io.BytesIO(image)).load()
    return page


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> RunFolder:
    rhythm = {"steps": 30, "log_every": 3, "preview_every": 3, "evaluate_every": 8, "checkpoint_every": 50}
    out = tmp_path_factory.mktemp("report")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(report, "draw", curves.draw)
        return RunFolder(Path(genlab.train("vae", quiet=True, root=out, **{**TINY, **rhythm})))


def test_the_page_needs_nothing_else_and_shows_the_previews(run: RunFolder) -> None:
    page = page_of(run)
    previews = [path.read_bytes() for path in run.previews()]
    assert len(previews) == 10
    assert previews[0] in page.images
    assert previews[-1] in page.images
    assert sum(image in previews for image in page.images) == 6
    assert (run.path / "results.png").read_bytes() in page.images
    for text in ("30 of 30 steps", "vae on ring8", "genlab train recipe.yaml", "step 3", "step 30"):
        assert text in page.text
    assert (run.path / "recipe.yaml").read_text() in page.text
    best = min(event["negative_bound"] for event in run.events("evaluation") if event["best"])
    assert f"Best negative_bound {best:.4g}" in page.text
    for evaluation in run.events("evaluation"):
        assert f"{evaluation['reconstruction_mse']:.5g}" in page.text


def test_the_page_explains_every_signal_and_names_the_criterion(run: RunFolder) -> None:
    text = page_of(run).text
    assert "The best checkpoint has the lowest negative_bound." in text
    for event in run.events("evaluation"):
        assert event["criterion"] == "negative_bound"
        assert all(signal(name).meaning in text for name in values_of(event))
    names = {name for line in run.history() for name in line} - {"step", "seconds"}
    assert all(signal(name).meaning in text for name in names)
    assert text.count(signal("kl[0]").meaning) == 1


def test_the_table_holds_every_value_of_the_run(run: RunFolder) -> None:
    rows = list(csv.DictReader(io.StringIO((run.path / "results.csv").read_text())))
    evaluations = {event["step"]: event for event in run.events("evaluation")}
    lines = {line["step"]: line for line in run.history()}
    assert [int(row["step"]) for row in rows] == sorted(lines.keys() | evaluations)
    for row in rows:
        step = int(row["step"])
        for name, value in {**lines.get(step, {}), **evaluations.get(step, {})}.items():
            if name not in ("event", "time", "criterion", "protocol"):
                assert row[name] == str(value)


def test_the_curves_are_a_picture(run: RunFolder) -> None:
    with Image.open(run.path / "results.png") as drawn:
        assert drawn.width > 1000
        assert len(np.unique(np.asarray(drawn.convert("L")))) > 50


@pytest.fixture
def bare(tmp_path: Path) -> RunFolder:
    """A run that has not begun."""
    folder = RunFolder.create(tmp_path, "run")
    folder.write_yaml("recipe.yaml", {"preset": "vae", "steps": 100, "data": '<b>&amp;"odd"</b>'})
    spec = DataSpec(Images(1, 16, 16)).values()
    folder.write_yaml("data.yaml", {"source": "<script>alert(1)</script>", **spec, "counts": {"train": 1}})
    return folder


def test_a_run_without_a_line_has_a_report(bare: RunFolder) -> None:
    write_report(bare)
    page = page_of(bare)
    assert "0 of 100 steps" in page.text
    assert len(page.images) == 1
    assert (bare.path / "results.csv").read_text().strip() == ""
    assert "<script>alert(1)</script>" in page.text  # as text
    assert (bare.path / "recipe.yaml").read_text() in page.text


def _started(folder: RunFolder) -> None:
    folder.event(0, "started", {"device": "cpu"})


def _faulty(folder: RunFolder) -> None:
    _started(folder)
    folder.scalars(1, {"seconds": 0.5, "loss": float("nan"), "gradient_norm": float("inf")})
    folder.event(1, "fault", {"player": "vae", "tensor": "the vae's loss", "value": "NaN"})


def _not_finite(folder: RunFolder) -> None:
    _started(folder)
    for step in (1, 2):
        folder.scalars(step, {"seconds": 1.0 * step, "loss": float("nan"), "gradient_norm": 0.0})
        folder.event(step, "evaluation", {"fd[pixels]": float("nan"), "best": False})


def _interrupted(folder: RunFolder) -> None:
    _started(folder)
    folder.scalars(60, {"seconds": 120.0, "loss": 1.0})
    folder.event(60, "interrupted", {"signal": 15})


def _worse_at_the_end(folder: RunFolder) -> None:
    _started(folder)
    for step, value in ((10, 3.0), (20, 2.0), (30, 5.5)):
        folder.scalars(step, {"seconds": 60.0 * step, "loss": 1.0})
        folder.event(step, "evaluation", {"fd[pixels]": value, "best": value < 4})
    with (folder.path / "history.jsonl").open("a") as file:
        file.write('{"step": 40, "lo')


@pytest.mark.parametrize(
    ("happened", "said"),
    [
        (_started, "0 of 100 steps"),
        (_faulty, "Stopped by NaN in the vae's loss"),
        (_not_finite, "2 of 100 steps"),
        (_interrupted, "60 of 100 steps in 2.0 minutes. Interrupted after a checkpoint; continue with `genlab"),
        (_worse_at_the_end, "Best fd[pixels] 2 at step 20. At the end it was 5.5"),
    ],
)
def test_the_summary_says_how_it_ended(bare: RunFolder, happened: Callable[[RunFolder], None], said: str) -> None:
    happened(bare)
    write_report(bare)
    page = page_of(bare)
    assert said in page.text
    assert len(page.images) == 1


@pytest.mark.parametrize("brief", [{}, {"model_sampler": "ddim", "model_sampling_steps": 16}])
def test_pictures_of_few_steps_are_said_to_be(bare: RunFolder, brief: dict[str, Any]) -> None:
    _started(bare)
    bare.event(20, "evaluation", {"fd[pixels]": 2.0, "best": True, "protocol": {"extractor": "pixels", **brief}})
    write_report(bare)
    said = "Sampled faster, with sampler ddim, sampling_steps 16; genlab sample follows the recipe."
    assert (said in page_of(bare).text) == bool(brief)


def test_writing_it_again_changes_nothing(run: RunFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(report, "draw", curves.draw)
    names = ("results.csv", "report.html", "results.png")
    before = [(run.path / name).read_bytes() for name in names]
    write_report(run)
    assert [(run.path / name).read_bytes() for name in names] == before
    assert not list(run.path.glob("*.new"))


def test_the_recipe_of_the_report_trains_the_same_model(run: RunFolder, tmp_path: Path) -> None:
    """`genlab train recipe.yaml` is what the report says runs it again."""
    options: dict[str, Any] = {"root": tmp_path}
    again = RunFolder(Path(genlab.train(str(run.path / "recipe.yaml"), quiet=True, **options)))
    for name in ("model", "training"):
        path = f"checkpoints/last/{name}.safetensors"
        assert (again.path / path).read_bytes() == (run.path / path).read_bytes()
    states = [json.loads((folder.last / "state.json").read_text()) for folder in (run, again)]
    assert states[0] | {"seconds": 0} == states[1] | {"seconds": 0}


def test_findings_are_listed_with_their_signals_and_remedies(bare: RunFolder) -> None:
    folder = bare
    _started(folder)
    for step in (20, 40, 60):
        folder.scalars(step, {"seconds": 1.0 * step, "discriminator_loss": 1.0 / step})
    finding = Finding(
        "discriminator-too-strong",
        "The discriminator is <sure>",
        "failure",
        40,
        60,
        [Evidence("discriminator_loss", 0.001, "above 0.01"), Evidence("a loss", float("nan"), "a number")],
        "Because.",
        "A paper.",
        [Remedy([Change("discriminator_lr", times=0.5)], "Slower.")],
    )
    folder.event(60, "finding", finding.values())
    folder.event(60, "remedy", {"rule": finding.rule, "changes": {"discriminator_lr": 1e-4}, "back to step": 20})
    write_report(folder)
    page = page_of(folder)
    for words in (
        *(
            "failure: The discriminator is <sure>, since step 40",
            "discriminator_loss 0.001, expected above 0.01",
            "not a number",
        ),
        *(
            "Because. A paper.",
            "--discriminator-lr × 0.5: Slower.",
            "went back to step 20 and continued with discriminator_lr 0.0001",
        ),
        *("The doctor found: The discriminator is <sure>.", "Treated 1 time."),
    ):
        assert words in page.text
    assert len(page.images) == 2  # the curves, and the signal that has values


@pytest.mark.parametrize(
    ("ended", "over"),
    [
        ([("diagnosis", ["training-collapse"])], False),
        ([("diagnosis", [])], True),
        ([("diagnosis", ["data-tiny"])], True),
        ([], False),  # killed: nobody looked
        ([("diagnosis", []), ("resumed", None)], False),  # it may be there again
        ([("diagnosis", []), ("resumed", None), ("diagnosis", ["training-collapse"])], False),
    ],
)
def test_what_was_over_at_the_end_is_said_to_be(
    bare: RunFolder, ended: Sequence[tuple[str, list[str] | None]], over: bool
) -> None:
    _started(bare)
    bare.event(
        60, "finding", Finding("training-collapse", "It got worse", "failure", 40, 60, [], "Because.", "").values()
    )
    for kind, findings in ended:
        bare.event(90, kind, {} if findings is None else {"findings": findings})
    said = "It got worse (no longer at the end)." if over else "It got worse."
    assert f"The doctor found: {said}" in verdict(bare)
    write_report(bare)
    assert ("since step 40 (no longer at the end)" in page_of(bare).text) is over
