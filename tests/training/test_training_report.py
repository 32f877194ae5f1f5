"""What a run leaves to be read: complete, in one file, whatever became of the run."""

import base64
import csv
import io
import json
import re
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from html.parser import HTMLParser
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from PIL import Image

import genlab
from genlab.core.modality import DataSpec, Images
from genlab.core.pictures import png
from genlab.core.signals import signal
from genlab.diagnosis.finding import Change, Evidence, Finding, Remedy
from genlab.training import curves, live_report, report
from genlab.training.criterion import values_of
from genlab.training.live_report import LiveReport
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
    panels = curves.draw(run.history(), run.events("evaluation"))
    assert all(png(panel.picture) in page.images for panel in panels)
    for text in ("30 of 30 steps", "vae on ring8", "genlab train vae --", "--data ring8", "step 3", "step 30"):
        assert text in page.text
    assert (run.path / "recipe.yaml").read_text() in page.text
    best = min(event["negative_bound"] for event in run.events("evaluation"))
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


def test_a_run_at_a_relative_path_has_a_report(bare: RunFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    bare.picture(1, np.zeros((4, 4, 1), np.uint8))
    monkeypatch.chdir(bare.path.parent)
    write_report(RunFolder(Path("run")))
    assert "step 1<" in (bare.path / "report.html").read_text()


def test_reports_may_be_written_at_the_same_time(bare: RunFolder) -> None:
    for step in range(1, 20):
        bare.scalars(step, {"loss": 1 / step})
        bare.picture(step, np.zeros((4, 4, 1), np.uint8))
    with ThreadPoolExecutor(4) as pool:
        for done in [pool.submit(write_report, bare) for _ in range(40)]:
            done.result()
    names = ("data.yaml", "history.jsonl", "recipe.yaml", "report.html", "results.csv", "results.png")
    assert sorted(path.name for path in bare.path.iterdir() if path.is_file()) == sorted(names)
    assert (bare.path / "report.html").read_text().endswith("</html>\n")


def test_a_run_without_a_line_has_a_report(bare: RunFolder) -> None:
    write_report(bare)
    page = page_of(bare)
    assert "0 of 100 steps" in page.text
    assert page.images == []
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
    assert page.images == []


@pytest.mark.parametrize("brief", [{}, {"model_sampler": "ddim", "model_sampling_steps": 16}])
def test_pictures_of_few_steps_are_said_to_be(bare: RunFolder, brief: dict[str, Any]) -> None:
    _started(bare)
    bare.event(20, "evaluation", {"fd[pixels]": 2.0, "best": True, "protocol": {"extractor": "pixels", **brief}})
    write_report(bare)
    said = "Sampled faster, with sampler ddim, sampling_steps 16; genlab sample follows the recipe."
    assert (said in page_of(bare).text) == bool(brief)


def test_each_plot_has_the_meaning_of_its_signals_below_it(
    bare: RunFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(report, "draw", curves.draw)
    _started(bare)
    values = {
        "loss": 1.0,
        "saturated_pixels": -0.4,
        "data_wait_fraction": 0.1,
        "mine": 2.0,
        "kl[0]": 0.1,
        "kl[1]": 1.0,
    }
    bare.scalars(20, {"seconds": 1.0, "nearest_neighbour_distance": 0.5, **values})
    write_report(bare)
    plots = (bare.path / "report.html").read_text().split('<div class="curves">')[1].split("</div>")[0]
    captions = [plot.split("<figcaption>")[1].split("</figcaption>")[0] for plot in plots.split("<figure>")[1:]]
    assert len(captions) == 6
    assert captions[0] == f"<b>nearest_neighbour_distance</b>: {signal('nearest_neighbour_distance').meaning}"
    assert captions[1] == f"<b>loss</b>: {signal('loss').meaning} Lower is better."
    assert "good if near 0; below 0 samples are paler" in captions[2]
    assert captions[4] == "<b>mine</b>: a signal of your own."
    assert captions[5].count("<b>") == 1
    assert captions[5].startswith("<b>kl[…]</b>: KL divergence")


@pytest.mark.parametrize(
    ("signals", "said"),
    [
        (("diversity",), None),
        (
            ("diversity", "r2_held_out"),
            "On the left samples; on the right held-out images, each row above the row of",
        ),
        (("r2_held_out",), "Held-out images, each row above the row of its reconstructions."),
        (("r2_held_out", "denoised_error"), "Held-out images after corruption, each row above the row that"),
    ],
)
def test_the_page_says_what_the_pictures_show(bare: RunFolder, signals: tuple[str, ...], said: str | None) -> None:
    bare.scalars(20, {"seconds": 1.0, **dict.fromkeys(signals, 0.5)})
    write_report(bare)
    shown = page_of(bare).text.split("Pictures")[1].split("Curves")[0]
    assert said in shown if said else "row" not in shown


def test_a_report_is_kept_up_to_date_in_a_hundredth_of_the_time(
    bare: RunFolder, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    now, pages = [0.0], []

    def write(folder: RunFolder, *, training: bool) -> None:
        pages.append(now[0])
        write_report(folder, training=training)
        now[0] += 4.0
        if now[0] > 1000:
            raise ValueError("no room")

    monkeypatch.setattr(live_report, "write_report", write)
    monkeypatch.setattr(live_report, "time", SimpleNamespace(monotonic=lambda: now[0]))
    kept, picture = LiveReport(bare), np.zeros((2, 2, 1), np.uint8)
    while now[0] < 1500:
        now[0] += 30
        kept.picture(int(now[0]), picture)
    assert pages == [120.0, 544.0, 968.0, 1392.0]
    assert "The training is still running: this page is updated" in page_of(bare).text
    assert caplog.messages == ["The report could not be written at step 1392: no room"]
    write_report(bare)
    assert "The training is still running" not in page_of(bare).text


def test_what_is_over_is_said_with_its_steps(bare: RunFolder) -> None:
    _started(bare)
    bare.event(60, "finding", Finding("flat-losses", "Flat losses", "failure", 40, 60, [], "Why.", "").values())
    past = {"rule": "flat-losses", "since": 40, "until": 80}
    bare.event(90, "diagnosis", {"findings": [], "past": [past]})
    assert "The doctor found: Flat losses (resolved: from step 40 to step 80)." in verdict(bare)
    write_report(bare)
    assert "since step 40 (resolved: from step 40 to step 80)" in page_of(bare).text
    bare.event(120, "diagnosis", {"findings": [], "past": [past, {**past, "since": 100, "until": 110}]})
    assert "(resolved: from step 40 to step 80 and from step 100 to step 110)." in verdict(bare)
    bare.event(130, "diagnosis", {"findings": [], "past": [{**past, "until": "soon"}]})
    assert [event["step"] for event in bare.events("diagnosis")] == [90, 120]


def test_writing_it_again_changes_nothing(run: RunFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(report, "draw", curves.draw)
    names = ("results.csv", "report.html", "results.png")
    before = [(run.path / name).read_bytes() for name in names]
    write_report(run)
    assert [(run.path / name).read_bytes() for name in names] == before
    assert not list(run.path.glob("*.new"))


def test_the_recipe_of_the_report_trains_the_same_model(run: RunFolder, tmp_path: Path) -> None:
    """`genlab train recipe.yaml` runs it again, too."""
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
    assert len(page.images) == 1  # the signal that has values


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


def test_a_history_of_thousands_of_names_has_few_curves_and_columns(
    bare: RunFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Signals of genlab come first, and the page says how many are left out."""
    drawn: list[str] = []

    def panel(names: Sequence[str], lines: object) -> np.ndarray[Any, np.dtype[np.uint8]]:
        drawn.extend(names)
        return np.zeros((curves.HEIGHT, curves.WIDTH, 3), np.uint8)

    monkeypatch.setattr(curves, "_draw_panel", panel)
    monkeypatch.setattr(report, "draw", curves.draw)
    monkeypatch.setattr(report, "MOST_CELLS", 20)
    for step in (1, 2):
        own = {f"mine {step} {number}": 1.0 for number in range(100)}
        profile = {f"kl[{number}]": 1.0 for number in range(400)}
        bare.scalars(step, {**own, **profile, "loss": 1.0, "late": float("nan") if step == 2 else 2.0})
    write_report(bare)
    assert len(curves.draw(bare.history(), [])) == curves.MOST_PANELS
    assert {"loss", "kl[0]", "kl[255]", "mine 1 0"} <= set(drawn)
    missing = 2 * 100 + 400 + 2 - len(set(drawn))
    text = page_of(bare).text
    assert f"{missing} more signals without a curve: history.jsonl has all." in text
    assert "593 signals would make results.csv too large" in text
    header, *rows = csv.reader(io.StringIO((bare.path / "results.csv").read_text()))
    assert header[0] == "step"
    assert len(header) == 10
    assert [row[0] for row in rows] == ["1", "2"]


def test_only_the_first_signs_of_many_findings_have_plots(
    bare: RunFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(report, "MOST_PLOTS", 3)
    bare.scalars(1, {"loss": 1.0})
    bare.scalars(2, {"loss": 2.0})
    evidence = [Evidence("loss", 2.0, "at most 1"), Evidence("rate", 0.0, "above 1")]
    for number in range(3):
        bare.event(2, "finding", Finding(f"rule-{number}", "Bad", "warning", 1, 2, evidence, "Why.", "").values())
    write_report(bare)
    page = page_of(bare)
    assert len(page.images) == 2  # of the loss; the rate was not recorded
    assert page.text.count("loss 2, expected at most 1") == 3
    assert "Only the first 3 signs have plots." in page.text


def test_a_signal_that_ends_in_nan_keeps_its_curve() -> None:
    lines = [{"step": 1, "loss": 2.0}, {"step": 2, "loss": None}]
    assert list(curves.groups(lines).values()) == [["loss"]]


def test_a_time_is_in_words() -> None:
    assert [report.duration(seconds) for seconds in (0.6, 5.2, 90)] == ["1 second", "5 seconds", "1.5 minutes"]
