"""Run folders that somebody has crafted or damaged: nothing outside is touched, and errors name the file."""

import hashlib
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import genlab
from genlab.applications.compare import as_html, compare
from genlab.applications.measurement import Measurement
from genlab.core import parts, yaml12
from genlab.core.errors import CheckpointError, GenlabError, UsageError
from genlab.diagnosis.finding import Finding
from genlab.metrics.figures import Figure
from genlab.runs import display
from genlab.runs.listing import list_runs
from genlab.runs.run import Run
from genlab.training import curves, report
from genlab.training.links import FILES, FOLDERS
from genlab.training.loggers import LOGGERS
from genlab.training.run_folder import RunFolder

TINY: dict[str, Any] = {"data": "digits", "size": 16, "width": 4, "latent": 3, "batch_size": 8, "device": "cpu"}
RHYTHM: dict[str, Any] = {"steps": 4, "log_every": 1, "preview_every": 2, "evaluate_every": 2}
HOSTILE = "<script>alert(1)</script>$x^{$"
FINDING = Finding("r", "s", "failure", 1, 2, [], "Because.", "").values()


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return genlab.train("vae", quiet=True, root=tmp_path_factory.mktemp("runs"), **TINY, **RHYTHM).folder


@pytest.fixture
def folder(trained: Path, tmp_path: Path) -> RunFolder:
    """A copy of a run, which a test may damage."""
    shutil.copytree(trained, tmp_path / "runs" / "vae")
    return RunFolder(tmp_path / "runs" / "vae")


@pytest.fixture
def outside(tmp_path: Path) -> Path:
    path = tmp_path / "outside"
    (path / "last").mkdir(parents=True)
    for name in ("000009.png", "history.jsonl", "last/model.safetensors"):
        (path / name).write_text("precious")
    return path


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


USES: dict[str, Callable[[Path], object]] = {
    "resume": lambda run: genlab.resume(run, quiet=True, steps=6),
    "report": genlab.report,
    "sample": lambda run: genlab.sample(run, number=2, device="cpu"),
    "view": Run,
}


@pytest.mark.parametrize("use", USES)
@pytest.mark.parametrize("name", FOLDERS)
def test_a_folder_of_a_run_that_is_elsewhere_is_refused(
    folder: RunFolder, outside: Path, name: str, use: str
) -> None:
    shutil.rmtree(folder.path / name, ignore_errors=True)
    (folder.path / name).symlink_to(outside)
    before = contents(outside)
    with pytest.raises(GenlabError, match=rf"{name} is a link to {outside}, outside of the run folder"):
        USES[use](folder.path)
    assert contents(outside) == before


@pytest.mark.parametrize(
    "name",
    [
        *("history.jsonl", "results.png", "report.html", "recipe.yaml", ".lock", "previews/000006.png"),
        *("checkpoints/last", "checkpoints/best/state.json", "samples/a.png"),
    ],
)
def test_a_file_of_a_run_that_is_elsewhere_is_refused(folder: RunFolder, outside: Path, name: str) -> None:
    path = folder.path / name
    path.parent.mkdir(exist_ok=True)
    before = contents(outside)
    if path.is_dir():
        shutil.rmtree(path)
    path.unlink(missing_ok=True)
    target = outside / ("history.jsonl" if path.suffix != ".yaml" else "recipe.yaml")
    if path.suffix == ".yaml":
        shutil.copy(folder.path / "data.yaml", target)
        before = contents(outside)
    path.symlink_to(target)
    with pytest.raises(GenlabError, match=f"{path.name} is a link to {target}"):
        genlab.resume(folder.path, quiet=True, steps=6)
    assert contents(outside) == before


def test_a_dangling_link_or_a_loop_is_refused_too(folder: RunFolder, tmp_path: Path) -> None:
    (folder.path / "samples").symlink_to(tmp_path / "later")
    with pytest.raises(GenlabError, match="samples is a link"):
        Run(folder.path)
    (folder.path / "samples").unlink()
    (folder.path / "samples").symlink_to("samples")
    assert Run(folder.path).step == 4


def test_links_to_a_run_and_within_it_are_followed(folder: RunFolder, tmp_path: Path) -> None:
    (tmp_path / "elsewhere").symlink_to(tmp_path / "runs")
    (tmp_path / "elsewhere" / "latest").symlink_to("vae")
    (folder.path / "previews").rename(folder.path / "pictures")
    (folder.path / "previews").symlink_to("pictures")
    (folder.path / "my-data").symlink_to(tmp_path)  # nothing that genlab writes
    assert genlab.resume("latest", root=tmp_path / "elsewhere", quiet=True, steps=6).step == 6
    assert (folder.path / "pictures" / "000006.png").is_file()


@pytest.mark.parametrize("which", ["best", "last"])
@pytest.mark.parametrize("name", ["best_value", "best_step"])
def test_a_state_without_its_best_value_is_that_of_a_run_that_had_none(
    folder: RunFolder, which: str, name: str
) -> None:
    place = folder.path / "checkpoints" / which
    state, manifest = (json.loads((place / file).read_bytes()) for file in ("state.json", "manifest.json"))
    data = json.dumps({key: value for key, value in state.items() if key != name}).encode()
    (place / "state.json").write_bytes(data)
    manifest["files"]["state.json"] = {"bytes": len(data), "sha256": hashlib.sha256(data).hexdigest()}
    (place / "manifest.json").write_text(json.dumps(manifest))
    assert genlab.resume(folder.path, quiet=True, steps=6).step == 6


def test_a_lock_is_opened_without_changing_it(folder: RunFolder, outside: Path) -> None:
    (folder.path / ".lock").write_text("text")
    with folder.lock():
        assert folder.in_training()
    assert (folder.path / ".lock").read_text() == "text"
    (folder.path / ".lock").unlink()
    (folder.path / ".lock").symlink_to(outside / "history.jsonl")
    with pytest.raises(GenlabError, match=r"\.lock is a link"), folder.lock():
        pass
    assert (outside / "history.jsonl").read_text() == "precious"


def hostile(value: Any) -> Any:
    """Return a value with hostile words in place of all words in it, keys too, and numbers as they are."""
    if isinstance(value, dict):
        return {key: hostile(inner) for key, inner in value.items()} | {HOSTILE: HOSTILE}
    if isinstance(value, list):
        return [hostile(inner) for inner in value]
    return f"{value}{HOSTILE}" if isinstance(value, str) else value


def make_hostile(folder: RunFolder) -> None:
    folder.scalars(5, {"seconds": 9.0, HOSTILE: 0.5})
    finding = hostile({**FINDING, "evidence": [{"signal": "loss", "value": 1.0, "expected": "more"}]})
    finding["remedies"] = [{"changes": HOSTILE, "why": HOSTILE}]
    evidence = {"signal": HOSTILE, "value": 0.5, "expected": HOSTILE}
    folder.event(5, "finding", {**finding, "severity": "failure", "evidence": [*finding["evidence"], evidence]})
    folder.event(5, "remedy", {"rule": HOSTILE, "changes": {HOSTILE: HOSTILE}, "back to step": 2})
    values = {HOSTILE: 1.0, "criterion": HOSTILE, "best": True, "images": 9}
    folder.event(5, "evaluation", {**values, "protocol": {HOSTILE: HOSTILE, f"model_{HOSTILE}": HOSTILE}})
    folder.event(5, HOSTILE, {HOSTILE: HOSTILE})
    folder.event(5, "resumed", {"device": HOSTILE, HOSTILE: HOSTILE})
    folder.event(5, "fault", {"tensor": HOSTILE, "value": HOSTILE})
    data = folder.read_yaml("data.yaml")
    folder.write_yaml("data.yaml", hostile(data) | {"facts": {HOSTILE: 0.5, **data["facts"]}})
    recipe = folder.read_yaml("recipe.yaml") | {"data": HOSTILE, "name": HOSTILE, "extractor": HOSTILE}
    folder.write_yaml("recipe.yaml", {**recipe, "genlab": HOSTILE})


def test_no_word_of_a_run_becomes_html(folder: RunFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    make_hostile(folder)
    for module in (report, display):
        monkeypatch.setattr(module, "draw", curves.draw)  # not the blank picture of the tests
    run = Run(folder.path)
    pages = [genlab.report(run).read_text(), run._repr_html_(), list_runs(folder.path.parent)._repr_html_()]
    folder.write_text("recipe.yaml", folder.read_yaml("recipe.yaml")["data"])
    pages.append(list_runs(folder.path.parent)._repr_html_())
    for page in pages[:3]:
        assert "&lt;script" in page
    assert all("<script" not in page for page in pages)


def test_no_word_of_a_stored_evaluation_becomes_html() -> None:
    figures = [
        Figure(f"fd[{HOSTILE}]", value, 0.1, "lower", {HOSTILE: f"{HOSTILE}{value}"}, HOSTILE)
        for value in (1.0, 2.0)
    ]
    comparison = compare([Measurement(f"{HOSTILE}{n}", [figure], 1.0) for n, figure in enumerate(figures)])
    for page in (as_html(comparison, {HOSTILE: b"png"}), comparison._repr_html_()):
        assert "<script" not in page
        assert "&lt;script" in page


@pytest.mark.parametrize(
    "change", [{"better": HOSTILE}, {"value": "low"}, {"error": [1]}, {"name": 3}, {"protocol": "none"}]
)
def test_a_stored_figure_of_another_shape_is_damaged(folder: RunFolder, change: dict[str, Any]) -> None:
    folder.evaluations.mkdir()
    figures = [{**Figure("fd[pixels]", 1.0).values(), **change}]
    (folder.evaluations / "best-000004-pixels-9-ab.json").write_text(json.dumps({"figures": figures}))
    with pytest.raises(GenlabError, match=r"ab\.json is damaged"):
        Run(folder.path).figures  # noqa: B018


READERS: dict[str, Callable[[Path], object]] = {
    "info": lambda run: str(genlab.info(run)),
    "report": genlab.report,
    "doctor": lambda run: str(genlab.doctor(run)),
    "view": lambda run: Run(run)._repr_html_(),
    "resume": lambda run: genlab.resume(run, quiet=True, steps=6),
}

EVALUATION = {"fd[pixels]": 1.0, "best": True}
LINES: list[tuple[str, dict[str, Any], str]] = [
    ("history", {"step": "4"}, "not a JSON record with a step"),
    ("history", {"step": True}, "not a JSON record with a step"),
    ("history", {"step": -1}, "not a JSON record with a step"),
    ("history", {"step": 10**400}, "not a JSON record with a step"),
    ("history", {"step": 4, "seconds": "soon"}, "\"seconds\" must be a number, not 'soon'"),
    ("history", {"step": 4, "loss": [1.0]}, '"loss" must be a number'),
    ("history", {"step": 4, "loss": 10**400}, '"loss" must be a number'),
    ("history", {"step": 4, "a\ud800": 1.0}, "not a JSON record with a step"),
    ("events", {"event": "note"}, "not a JSON record with a step"),
    ("events", {"step": 4}, 'it has no "event"'),
    ("events", {"step": 4, "event": ["note"]}, '"event" must be text'),
    (
        "events",
        {"step": 4, "event": "note", "time": "noon"},
        "\"time\" must be like 2026-01-31T12:00:00Z, not 'noon'",
    ),
    ("events", {"step": 4, "event": "note", "time": "2026-13-31T12:00:00Z"}, '"time" must be like'),
    (
        "events",
        {"step": 4, "event": "evaluation", **EVALUATION, "fd[pixels]": "low"},
        '"fd[pixels]" must be a number',
    ),
    (
        "events",
        {"step": 4, "event": "evaluation", **EVALUATION, "criterion": "fid"},
        '"criterion" must be a value',
    ),
    ("events", {"step": 4, "event": "evaluation", **EVALUATION, "criterion": ["a"]}, '"criterion" must be text'),
    ("events", {"step": 4, "event": "evaluation", **EVALUATION, "protocol": "a"}, '"protocol" must be a mapping'),
    ("events", {"step": 4, "event": "evaluation", "fd[pixels]": 1.0}, 'it has no "best"'),
    ("events", {"event": "finding", **FINDING, "since": "soon"}, "\"since\" must be a whole number, not 'soon'"),
    ("events", {"event": "finding", **FINDING, "evidence": [1]}, "must be a mapping"),
    ("events", {"event": "finding", **FINDING, "evidence": [{"signal": "a"}]}, 'it has no "value"'),
    ("events", {"event": "finding", **FINDING, "remedies": {"a": 1}}, '"remedies" must be a list'),
    ("events", {"event": "finding", **FINDING, "rule": ["r"]}, '"rule" must be text'),
    ("events", {"step": 4, "event": "finding"}, 'it has no "rule"'),
    (
        "events",
        {"step": 4, "event": "remedy", "changes": {}, "back to step": "two"},
        '"back to step" must be a whole',
    ),
    ("events", {"step": 4, "event": "diagnosis", "findings": [[]]}, 'an item of "findings" must be text'),
    ("events", {"step": 4, "event": "fault", "tensor": "w"}, 'it has no "value"'),
]


@pytest.mark.parametrize(("name", "line", "words"), LINES)
def test_a_damaged_line_is_left_out_and_counted(
    folder: RunFolder, name: str, line: dict[str, Any], words: str, caplog: pytest.LogCaptureFixture
) -> None:
    path = folder.path / f"{name}.jsonl"
    before = Run(folder.path).values(), folder.history(), folder.events()
    with path.open("a") as file:
        file.write(json.dumps(line) + "\n")
    number = len(path.read_text().splitlines())
    assert (Run(folder.path).values(), folder.history(), folder.events()) == before
    (said,) = caplog.messages
    assert said.startswith(f"1 line of {path} cannot be read and is left out (first: line {number}, which is ")
    assert words in said


@pytest.mark.parametrize("use", READERS)
def test_a_run_with_damaged_lines_can_be_used_with_a_remark(
    folder: RunFolder, use: str, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(display, "draw", lambda *_: [])
    for name in ("history", "events"):
        path = folder.path / f"{name}.jsonl"
        path.write_bytes(path.read_bytes() + b'\xff\n{"step": "4"}\n')
    READERS[use](folder.path)
    reading = {str(folder.path / f"{name}.jsonl") for name in ("history", "events")}
    assert {text.removeprefix("2 lines of ").split(" ")[0] for text in caplog.messages} <= reading
    assert len(caplog.messages) in (1, 2)
    for path in reading:
        assert b'\xff\n{"step": "4"}\n' in Path(path).read_bytes()


def test_a_line_may_have_no_time_and_no_value(folder: RunFolder) -> None:
    with (folder.path / "history.jsonl").open("a") as file:
        file.write('{"step": 5, "loss": null}\n')
    assert "5 of 4 steps." in genlab.info(folder.path).verdict
    assert np.isnan(Run(folder.path).history["loss"][-1])
    genlab.report(folder.path)


def refusal(reader: Callable[[Path], object], run: Path) -> str:
    """Return why a run cannot be read, "" if it can."""
    try:
        reader(run)
    except GenlabError as error:
        return str(error)
    return ""


@pytest.mark.parametrize(
    ("name", "change", "words"),
    [
        ("recipe.yaml", {"parts": {"a": 1}}, "the key `parts`, which must be a list of mappings"),
        ("recipe.yaml", {"parts": ["cubic"]}, "the key `parts`, which must be a list of mappings"),
        ("recipe.yaml", {"parts": [{"kind": ["data"], "name": "a"}]}, "A part needs kind, name, file and sha256"),
        ("recipe.yaml", {"steps": "many"}, "many"),
        ("recipe.yaml", {"steps": None}, "None"),
        ("recipe.yaml", {"preset": ["vae"]}, "vae"),
        ("data.yaml", {"target": {"kind": ["images"]}}, "data.yaml"),
        ("data.yaml", {"target": 3}, "does not describe the data"),
        ("data.yaml", {"conditions": None}, "does not describe the data"),
        ("data.yaml", {"conditions": {"label": {"kind": "classes", "names": [{}]}}}, "not text"),
        ("data.yaml", {"target": {"kind": "images", "channels": 1, "height": 10**9, "width": 16}}, "not a size"),
        ("data.yaml", {"target": {"kind": "images", "channels": 1, "height": 0, "width": 16}}, "not a size"),
    ],
)
def test_a_damaged_yaml_file_is_named(folder: RunFolder, name: str, change: dict[str, Any], words: str) -> None:
    path = folder.path / name
    path.write_text(yaml12.written(yaml12.read(path.read_text()) | change))
    others = {} if name == "data.yaml" else READERS  # resume says that the data are others
    messages = [refusal(reader, folder.path) for reader in (genlab.info, genlab.load, *others.values())]
    assert any(messages)
    assert all(words in message and name in message for message in messages if message)


@pytest.mark.parametrize(
    "text", ["classes: null", "shape: [1, 16]", "- a", "[" * 100_000, "a: &a [*a]", "a: \xff"]
)
@pytest.mark.parametrize("name", ["data.yaml", "recipe.yaml"])
def test_a_yaml_file_of_another_kind_is_named(folder: RunFolder, name: str, text: str) -> None:
    (folder.path / name).write_bytes(text.encode("latin-1"))
    for reader in (genlab.load, READERS["resume"]):
        assert name in refusal(reader, folder.path)
    refusal(genlab.report, folder.path)


def test_what_genlab_writes_into_a_run_is_all_guarded(folder: RunFolder) -> None:
    genlab.sample(folder.path, number=2, device="cpu")
    genlab.interpolate(folder.path, device="cpu", stretches=1, frames=2)
    genlab.reconstruct(folder.path, np.zeros((2, 16, 16), np.uint8), device="cpu")
    genlab.evaluate(folder.path, extractor="pixels", samples=10, device="cpu")
    assert {path.name for path in folder.path.iterdir()} <= {*FILES, *FOLDERS}
    assert LOGGERS.keys() <= {*FOLDERS}


@pytest.mark.parametrize("state", ["[]", '{"step": "4"}', '{"batches": 1}', '{"step": 4, "best_value": "low"}'])
def test_a_state_that_somebody_wrote_is_refused(folder: RunFolder, state: str) -> None:
    import hashlib

    for checkpoint in (folder.last, folder.best):
        (checkpoint / "state.json").unlink()  # `best` may be another name of the same file
        (checkpoint / "state.json").write_text(state)
        manifest = json.loads((checkpoint / "manifest.json").read_text())
        digest = hashlib.sha256(state.encode()).hexdigest()
        manifest["files"]["state.json"] = {"bytes": len(state), "sha256": digest}
        (checkpoint / "manifest.json").unlink()
        (checkpoint / "manifest.json").write_text(json.dumps(manifest))
    for use in (genlab.load, lambda run: genlab.resume(run, quiet=True, steps=6)):
        with pytest.raises(CheckpointError, match=r"state\.json is not the state of a run"):
            use(folder.path)


def test_reading_a_run_needs_none_of_its_own_parts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    @genlab.part("lr-schedule", "halving")
    def halving(step: int, steps: int, *, factor: float = 0.5) -> float:
        return factor

    own = {"lr_schedule": "halving", "halving_factor": 0.25}
    run = genlab.train("vae", quiet=True, root=tmp_path, **TINY, **RHYTHM, **own)
    monkeypatch.setattr(parts, "_PARTS", {})
    (listed,) = list_runs(tmp_path)
    assert (listed.preset, listed.step, listed.state) == ("vae", 4, "finished")
    assert listed.plan.recipe.lr_schedule == "halving"
    assert genlab.doctor(run).healthy
    assert genlab.report(run).is_file()
    info = genlab.info(run)
    assert 'needs the lr-schedule "halving"' in str(info)
    assert not info.capabilities
    for use in (genlab.load, genlab.sample, genlab.resume, genlab.evaluate):
        with pytest.raises(UsageError, match='needs the lr-schedule "halving"'):
            use(run)


def test_the_doctor_of_a_run_without_its_parts_has_only_remedies_that_it_can_check(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from genlab.runs.diagnose import context_of
    from genlab.runs.recorded import plan_of

    class Own:
        log_odds = True
        targets = True

        @staticmethod
        def discriminator(real: Any, fake: Any, *, real_label: float, fake_label: float) -> Any:
            return (fake * fake_label - real * real_label).mean()

        @staticmethod
        def generator(fake: Any) -> Any:
            return -fake.mean()

    genlab.part("gan-loss", "own")(Own)
    options: dict[str, Any] = {"loss": "own", "real_label": 0.9}
    folder = RunFolder(genlab.train("gan", quiet=True, root=tmp_path, **TINY, **RHYTHM, **options).folder)
    for there, possible in ((True, True), (False, False)):
        if not there:
            monkeypatch.setattr(parts, "_PARTS", {})
        context = context_of(plan_of(folder, needs_parts=False), {})
        assert context.options["loss"] == "own"
        assert context.possible({"lr": 1e-4} if "lr" in context.options else {"generator_lr": 1e-4}) is possible


def test_an_accepted_change_of_a_part_is_noted(tmp_path: Path) -> None:
    source = "import genlab\n\n\n@genlab.part('lr-schedule', 'flat')\ndef flat(step, steps):\n    return {}\n"
    plugin = tmp_path / "flat.py"
    plugin.write_text(source.format(1.0))
    genlab.plugin(plugin)
    run = genlab.train("vae", quiet=True, root=tmp_path, **TINY, **RHYTHM, lr_schedule="flat")
    folder = RunFolder(run.folder)
    (old,) = folder.read_yaml("recipe.yaml")["parts"]
    genlab.resume(run, quiet=True, steps=5)
    assert not folder.events("note")
    plugin.write_text(source.format(0.5))
    genlab.plugin(plugin)
    assert 'the lr-schedule "flat" has changed' in str(genlab.info(run))
    assert [listed.state for listed in list_runs(tmp_path)] == ["finished"]
    with pytest.raises(UsageError, match="--accept-changed"):
        genlab.resume(run, quiet=True, steps=6)
    genlab.plugin(plugin, accept_changed=True)
    genlab.resume(run, quiet=True, steps=6)
    (new,) = folder.read_yaml("recipe.yaml")["parts"]
    (note,) = folder.events("note")
    said = f"changed: sha256 {old['sha256'][:12]} before, {new['sha256'][:12]} now"
    assert (note["step"], note['lr-schedule "flat"']) == (5, said)
