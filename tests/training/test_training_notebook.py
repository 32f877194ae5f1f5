"""The progress of a run in a notebook: one display, updated in place. The shell and the display are stand-ins."""

import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

import genlab
from genlab.training import notebook
from genlab.training.live import Course
from genlab.training.notebook import Notebook, in_notebook
from genlab.training.run_folder import RunFolder

HOSTILE = "<script>alert(1)</script>"


class ZMQInteractiveShell:
    """Has the name of a kernel's shell."""


class Hosted(ZMQInteractiveShell):
    """The shell of a hosted notebook."""


class TerminalInteractiveShell:
    """Has the name of IPython's shell in a terminal."""


class Display:
    """Records what is shown, as HTML."""

    def __init__(self) -> None:
        self.made = 0
        self.shown: list[str] = []

    def __call__(self, thing: Any, *, display_id: bool) -> "Display":
        assert display_id
        self.made += 1
        self.update(thing)
        return self

    def update(self, thing: Any) -> None:
        self.shown.append(thing._repr_html_())


def use_shell(patch: pytest.MonkeyPatch, shell: object) -> Display:
    """Let this process look as if IPython with this shell ran it."""
    ipython, display = ModuleType("IPython"), ModuleType("IPython.display")
    ipython.get_ipython = lambda: shell  # type: ignore[attr-defined]
    display.display = Display()  # type: ignore[attr-defined]
    patch.setitem(sys.modules, "IPython", ipython)
    patch.setitem(sys.modules, "IPython.display", display)
    return display.display


@pytest.fixture
def display(monkeypatch: pytest.MonkeyPatch) -> Display:
    return use_shell(monkeypatch, ZMQInteractiveShell())


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    now = [100.0]
    monkeypatch.setattr(notebook.time, "monotonic", lambda: now[0])
    return now


@pytest.mark.parametrize(
    ("shell", "there"),
    [(ZMQInteractiveShell(), True), (Hosted(), True), (TerminalInteractiveShell(), False), (None, False)],
)
def test_only_a_kernel_is_a_notebook(monkeypatch: pytest.MonkeyPatch, shell: object, there: bool) -> None:
    use_shell(monkeypatch, shell)
    assert in_notebook() is there


def test_ipython_is_not_imported_to_find_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "IPython", raising=False)
    assert not in_notebook()
    assert "IPython" not in sys.modules


def test_one_display_shows_progress_losses_evaluation_findings_and_preview(
    display: Display, clock: list[float]
) -> None:
    shown = Notebook(Course(100, None, 8), Path("runs/a"))
    happened = [
        lambda: shown.scalars(50, {"seconds": 120.0, "loss": 0.5, "learning_rate": 1.0}),
        lambda: shown.event(50, "evaluation", {"fd[pixels]": 2.5}),
        lambda: shown.event(50, "finding", {"severity": "warning", "line": "it memorises"}),
        lambda: shown.picture(50, np.zeros((4, 4, 1), np.uint8)),
        lambda: shown.event(50, "checkpoint", {"best": False}),
    ]
    for something in happened:
        clock[0] += 1
        something()
    assert display.made == 1
    assert len(display.shown) == 1 + len(happened)
    for text in (
        "step 50 of 100, 2.0 minutes left",
        "loss 0.5",
        "fd[pixels] 2.5",
        "warning: it memorises",
    ):
        assert text in display.shown[-1]
    assert 'value="0.5000"' in display.shown[-1]
    assert display.shown[-1].count("data:image/png;base64,") == 1
    assert "checkpoint" not in display.shown[-1]


def test_there_are_at_most_two_updates_a_second_and_the_last_state_is_shown(
    display: Display, clock: list[float]
) -> None:
    shown = Notebook(Course(1000, None, 8), Path("runs/a"))
    for step in range(1, 101):
        clock[0] += 0.05
        shown.scalars(step, {"seconds": step / 20, "loss": 1.0})
    assert 9 <= len(display.shown) <= 12
    shown.close()
    assert "step 100" in display.shown[-1]


def test_large_previews_are_sent_less_often(display: Display, clock: list[float]) -> None:
    shown = Notebook(Course(1000, None, 8), Path("runs/a"))
    noise = np.random.default_rng(0).integers(0, 256, (700, 700, 3), dtype=np.uint8)
    shown.picture(0, noise)
    sent = sum(map(len, display.shown))
    for step in range(1, 201):
        clock[0] += 0.5
        shown.scalars(step, {"seconds": step / 2})
    assert sent < sum(map(len, display.shown)) < 100 * 1.1 * notebook.BYTES_PER_SECOND + 2 * len(display.shown[-1])


def test_all_text_is_escaped(display: Display, clock: list[float]) -> None:
    shown = Notebook(Course(10, None, 8), Path(HOSTILE))
    shown.event(1, "finding", {"severity": "failure", "line": HOSTILE})
    shown.event(1, "evaluation", {HOSTILE: HOSTILE})
    shown.close()
    assert "<script" not in display.shown[-1]
    assert display.shown[-1].count("&lt;script") >= 3


@pytest.mark.parametrize(
    ("kinds", "text"),
    [
        (["diagnosis"], "step 5 of 10 in 3 seconds"),
        (["diagnosis", "interrupted"], "interrupted at step 5; resume with genlab.resume(&#x27;runs/a&#x27;)"),
        ([], "stopped at step 5; resume with genlab.resume(&#x27;runs/a&#x27;)"),
    ],
)
def test_the_last_state_says_how_the_run_ended(display: Display, kinds: list[str], text: str) -> None:
    shown = Notebook(Course(10, None, 8), Path("runs/a"))
    shown.scalars(5, {"seconds": 3.0})
    for kind in kinds:
        shown.event(5, kind, {"findings": []})
    shown.close()
    assert text in display.shown[-1]


def test_a_resumed_run_with_a_time_limit_knows_what_is_left() -> None:
    course = Course(1000, 10, 8, start=100, spent=60.0)
    assert course.share(200, 120.0) == pytest.approx(0.2)
    assert course.seconds_left(200, 120.0) == pytest.approx(480)
    assert course.rate(200, 120.0) == pytest.approx(800 / 60)
    assert course.seconds_left(100, 60.0) is None


def test_training_in_a_kernel_uses_the_display(
    display: Display, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    tiny = {"width": 8, "latent": 3, "batch_size": 8, "size": 16, "steps": 2}
    run = genlab.train("autoencoder", root=tmp_path, **tiny)
    assert display.made == 1
    assert "step 2 of 2" in display.shown[-1]
    assert capsys.readouterr().err == ""
    genlab.train("autoencoder", quiet=True, root=tmp_path, **tiny)
    assert display.made == 1
    assert RunFolder(run.folder).events("diagnosis")
