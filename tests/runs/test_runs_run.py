"""A run as Python sees it: a fresh view of its folder, and the list of runs."""

import base64
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

import genlab
from genlab.core.errors import GenlabError, UsageError
from genlab.diagnosis.finding import Finding, Severity
from genlab.metrics.figures import Figure
from genlab.recipes.resolve import resolve
from genlab.runs import display
from genlab.runs.listing import list_runs
from genlab.runs.run import Best, Run
from genlab.training.curves import tiled
from genlab.training.run_folder import LATEST, RunFolder

HOSTILE = "<script>alert(1)</script>"


def folder_of(root: Path, name: str, **options: Any) -> RunFolder:
    folder = RunFolder.create(root, name)
    folder.write_yaml("recipe.yaml", resolve("vae", {"steps": 10, **options}).values())
    folder.write_yaml("data.yaml", {"source": "digits"})
    folder.become_latest()
    return folder


def failure(severity: Severity = "failure") -> Mapping[str, Any]:
    return Finding("r", "s", severity, 1, 3, [], "Because.", "").values()


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Run:
    tiny = {"width": 8, "latent": 3, "batch_size": 8, "size": 16}
    rhythm = {"steps": 6, "log_every": 2, "preview_every": 3, "evaluate_every": 3}
    return genlab.train("vae", quiet=True, root=tmp_path_factory.mktemp("runs"), **tiny, **rhythm)


def test_what_train_returns_is_a_run(trained: Run) -> None:
    run = Run(trained.folder)
    assert run == trained
    assert os.fspath(run) == str(trained.folder.resolve())
    assert (run.name, run.preset, run.data, run.step, run.state) == ("vae", "vae", "digits", 6, "finished")
    assert run.plan.recipe.steps == 6
    assert repr(run) == f"Run({str(trained.folder)!r})"


def test_the_history_is_columns_and_profiles_by_step(trained: Run) -> None:
    history = trained.history
    assert history.steps.tolist() == [1, 2, 4, 6]
    assert len(history) == 4
    assert history["loss"].shape == (4,)
    assert {"loss", "kl", "kl[0]"} <= {name for name in ("loss", "kl", "kl[0]", "accuracy") if name in history}
    assert history["kl"].shape == (4, 3)
    np.testing.assert_array_equal(history["kl"][:, 2], history["kl[2]"])
    assert "accuracy" not in history
    assert list(history) == history.columns


def test_evaluations_are_columns_too(trained: Run) -> None:
    evaluations = trained.evaluations
    assert evaluations.steps.tolist() == [3, 6]
    assert evaluations["best"].dtype == bool
    assert trained.best is not None
    criterion, value, step = trained.best
    assert value == evaluations[criterion].min()
    assert step == evaluations.steps[evaluations[criterion].argmin()]


def test_missing_values_are_not_a_number(tmp_path: Path) -> None:
    folder = folder_of(tmp_path, "a")
    folder.scalars(1, {"loss": 1.0})
    folder.scalars(2, {"loss": 2.0, "kl[10]": 0.5, "kl[9]": 0.25})
    folder.scalars(3, {"loss": float("nan")})
    history = Run(folder.path).history
    np.testing.assert_array_equal(history["loss"], [1.0, 2.0, np.nan])
    np.testing.assert_array_equal(history["kl"], [[np.nan, np.nan], [0.25, 0.5], [np.nan, np.nan]])


def test_a_column_that_is_not_there_is_answered_with_its_neighbour(trained: Run, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r'no column "los"\. Did you mean "loss"\? Choices: seconds, '):
        trained.history["los"]
    with pytest.raises(UsageError, match="Nothing has been recorded yet"):
        Run(folder_of(tmp_path, "a").path).history["loss"]


def test_a_new_run_is_empty(tmp_path: Path) -> None:
    run = Run(folder_of(tmp_path, "a").path)
    assert (run.state, run.step, run.best) == ("new", 0, None)
    for empty in (run.history, run.evaluations, run.figures, run.pictures, run.findings):
        assert len(empty) == 0
    assert run.history.steps.dtype == np.int64
    assert "0 of 10 steps" in str(run)
    assert "<img" not in run._repr_html_()


def test_pandas_is_named_if_it_is_missing(trained: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(GenlabError, match="pip install pandas"):
        trained.history.to_pandas()


def test_a_data_frame_has_all_columns_by_step(trained: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    pandas = ModuleType("pandas")
    pandas.Index = lambda values, name: (name, values.tolist())  # type: ignore[attr-defined]
    pandas.DataFrame = lambda columns, index: (columns, index)  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "pandas", pandas)
    columns, index = trained.history.to_pandas()
    assert list(columns) == trained.history.columns
    assert index == ("step", [1, 2, 4, 6])


def test_a_view_is_fresh(tmp_path: Path) -> None:
    folder = folder_of(tmp_path, "a")
    run = Run(folder.path)
    folder.scalars(1, {"seconds": 1.0, "loss": 1.0})
    assert (run.step, run.state, len(run.history)) == (1, "interrupted", 1)
    with folder.lock():
        assert run.state == "training"
        folder.scalars(2, {"seconds": 2.0, "loss": 1.0})
        assert run.step == 2


@pytest.mark.parametrize(
    ("events", "state"),
    [
        ([("started", {}), ("diagnosis", {"findings": []})], "finished"),
        ([("started", {}), ("diagnosis", {"findings": []}), ("patience", {})], "finished"),
        ([("started", {}), ("diagnosis", {"findings": []}), ("interrupted", {})], "interrupted"),
        ([("started", {}), ("diagnosis", {"findings": []}), ("resumed", {})], "interrupted"),
        ([("started", {}), ("fault", {"tensor": "loss", "value": "NaN"})], "stopped"),
        ([("started", {}), ("fault", {"tensor": "loss", "value": "NaN"}), ("resumed", {})], "interrupted"),
        ([("started", {}), ("finding", failure()), ("checkpoint", {})], "stopped"),
        ([("started", {}), ("finding", failure("warning")), ("checkpoint", {})], "interrupted"),
    ],
)
def test_the_state_is_that_after_the_last_start(tmp_path: Path, events: list[Any], state: str) -> None:
    folder = folder_of(tmp_path, "a", on_failure="stop")
    for kind, details in events:
        folder.event(3, kind, details)
    assert Run(folder.path).state == state


def test_a_failing_run_that_goes_on_is_not_stopped(tmp_path: Path) -> None:
    folder = folder_of(tmp_path, "a", on_failure="warn")
    folder.event(3, "finding", failure())
    assert Run(folder.path).state == "interrupted"


def test_a_folder_that_is_no_run_is_refused_with_the_runs_that_there_are(trained: Run, tmp_path: Path) -> None:
    root = trained.folder.parent
    assert Run("vae", root=root) == Run("latest", root=root) == trained
    with pytest.raises(UsageError, match=r'no run "vea"\. Did you mean "vae"\?'):
        Run("vea", root=root)
    with pytest.raises(UsageError, match="no run"):
        Run(tmp_path)


def test_stored_figures_come_newest_checkpoint_first(tmp_path: Path) -> None:
    folder = folder_of(tmp_path, "a")
    folder.evaluations.mkdir()
    figure = Figure("fd[pixels]", 2.0, protocol={"split": "held-out"})
    for name, value in (("best-000090-pixels-100-ab", 3.0), ("last-000100-pixels-100-ab", float("nan"))):
        figures = [replace(figure, value=value).values()]
        (folder.evaluations / f"{name}.json").write_text(json.dumps({"figures": figures}))
    newest, before = Run(folder.path).figures
    assert np.isnan(newest.value)
    assert before == replace(figure, value=3.0)
    (folder.evaluations / "last-000100-pixels-100-ab.json").write_text("{")
    with pytest.raises(GenlabError, match=r"last-000100-pixels-100-ab\.json is damaged"):
        Run(folder.path).figures  # noqa: B018


def test_previews_are_arrays_and_pictures(trained: Run) -> None:
    last = trained.pictures[-1]
    assert [picture.step for picture in trained.pictures] == [3, 6]
    assert last.array().dtype == np.uint8
    assert last.array().ndim == 3
    assert last._repr_png_().startswith(b"\x89PNG")


def test_the_text_names_what_was_trained_and_where_its_results_are(trained: Run) -> None:
    text = str(Run(trained))
    assert "vae: vae on digits (finished)" in text
    assert "6 of 6 steps" in text
    assert f"{trained.folder}/report.html" in text


def test_a_notebook_shows_verdict_pictures_and_diagnosis(trained: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(display, "draw", lambda *_: [])  # they take half a second
    page = trained._repr_html_()
    assert page.count("data:image/png;base64,") == 2
    assert base64.b64encode(tiled([])).decode() in page
    assert "6 of 6 steps" in page
    assert "The doctor finds nothing wrong" in page


def test_a_hostile_folder_injects_no_html(tmp_path: Path) -> None:
    folder = folder_of(tmp_path, HOSTILE.replace("/", ""), data=HOSTILE)
    folder.event(1, "evaluation", {HOSTILE: 1.0, "criterion": HOSTILE, "best": True})
    folder.event(2, "fault", {"tensor": HOSTILE, "value": HOSTILE})
    run = Run(folder.path)
    assert run.best == Best(HOSTILE, 1.0, 1)
    for shown in (run._repr_html_(), list_runs(tmp_path)._repr_html_()):
        assert "<script" not in shown
        assert "&lt;script" in shown


def test_the_model_is_loaded_from_the_run(trained: Run) -> None:
    assert tuple(trained.load(checkpoint="last").sample(2).shape) == (2, 1, 16, 16)


def test_a_view_does_not_import_torch(trained: Run) -> None:
    code = (
        "import sys; from genlab.runs.listing import list_runs; from genlab.runs.run import Run\n"
        f"run = Run({str(trained.folder)!r})\n"
        "print(run, run.history, run.evaluations, run.figures, run.pictures)\n"
        f"print(list_runs({str(trained.folder.parent)!r}))\nassert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], capture_output=True, check=True)


def test_runs_are_listed_with_the_newest_last(tmp_path: Path) -> None:
    for name, time in (("late", "2026-03-02T00:00:00Z"), ("early", "2026-03-01T00:00:00Z")):
        evaluation = {"fd[pixels]": 1.5, "best": True, "time": time}
        folder_of(tmp_path, name, steps=2000).event(3, "evaluation", evaluation)
    runs = list_runs(tmp_path)
    assert [run.name for run in runs] == ["early", "late"]
    assert runs[-1] == Run(tmp_path / "late")
    assert [run.name for run in runs[:1]] == ["early"]
    header, first, _ = str(runs).splitlines()
    assert header.split() == ["run", "preset", "data", "step", "state", "best", "changed"]
    assert first.startswith("early (latest)  vae     digits  3/2,000  interrupted  fd[pixels] 1.5 at 3  ")
    assert first.endswith(" d ago")
    assert json.loads(json.dumps(runs.values())) == runs.values()
    assert [values["latest"] for values in runs.values()] == [True, False]
    assert runs._repr_html_().count("<tr>") == 3


def test_broken_folders_are_listed_with_the_reason_and_foreign_ones_ignored(tmp_path: Path) -> None:
    folder_of(tmp_path, "good")
    (folder_of(tmp_path, "no-yaml").path / "recipe.yaml").write_bytes(b"\xff: [")
    (folder_of(tmp_path, "newer").path / "recipe.yaml").write_text("preset: vae\nof_tomorrow: 3\n")
    (folder_of(tmp_path, "no-events").path / "events.jsonl").mkdir()
    (folder_of(tmp_path, "no-history").path / "history.jsonl").mkdir()
    (folder_of(tmp_path, "no-recipe").path / "recipe.yaml").unlink()
    (tmp_path / "foreign").mkdir()
    folder_of(tmp_path / "foreign", "nested")
    (tmp_path / "notes.txt").touch()
    runs = list_runs(tmp_path)
    assert [run.name for run in runs] == ["good"]
    assert list(runs.problems) == ["newer", "no-events", "no-history", "no-recipe", "no-yaml"]
    for name, word in (("newer", "of_tomorrow"), ("no-events", "events.jsonl"), ("no-recipe", "no recipe.yaml")):
        assert word in runs.problems[name]
        assert f"{name}: " in str(runs)
        assert f"{name}: " in runs._repr_html_()
    assert {"name", "folder", "problem"} == runs.values()[0].keys()


def test_the_link_to_the_latest_run_is_marked_and_not_listed_twice(tmp_path: Path) -> None:
    for name in ("one", "two"):
        folder_of(tmp_path, name)
    assert (tmp_path / LATEST).is_symlink()
    assert sorted((values["name"], values["latest"]) for values in list_runs(tmp_path).values()) == [
        ("one", False),
        ("two", True),
    ]


def test_a_folder_without_runs_says_how_to_start_one(tmp_path: Path) -> None:
    for root in (tmp_path, tmp_path / "missing"):
        assert str(list_runs(root)) == f"There is no run in {root} yet. Start one: genlab train dcgan"
        assert list_runs(root).values() == []


def test_a_list_reads_only_the_end_of_each_history(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(20):
        folder = folder_of(tmp_path, f"run-{number}")
        lines = (json.dumps({"step": step, "loss": 1.0}) for step in range(1, 2001))
        (folder.path / "history.jsonl").write_text("nonsense\n" + "\n".join(lines) + '\n{"step": 20')
    monkeypatch.setattr(RunFolder, "history", None)
    assert {run["step"] for run in list_runs(tmp_path).values()} == {2000}


def test_what_was_told_and_is_over_is_in_the_past(trained: Run, tmp_path: Path) -> None:
    run = Run(shutil.copytree(trained.folder, tmp_path / "run"))
    assert run.past_findings == []
    finding = Finding("flat-losses", "Flat losses", "failure", 2, 4, [], "Why.", "")
    RunFolder(run.folder).event(4, "finding", finding.values())
    assert run.findings == trained.findings
    assert [(past.rule, past.since, past.until) for past in run.past_findings] == [("flat-losses", 2, 4)]
    assert "from step 2 to step 4 (resolved)" in run._repr_html_()
