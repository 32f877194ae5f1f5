"""Exit codes, and words instead of tracebacks."""

import logging
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from genlab.bench import page, parts
from genlab.cli.main import run
from genlab.core.player import Player
from genlab.version import __version__

Genlab = Callable[..., tuple[int, str, str]]
COMMANDS = (
    "train",
    "resume",
    "sample",
    "reconstruct",
    "interpolate",
    "info",
    "report",
    "data",
    "recipes",
    "checks",
)

MISTAKES: list[tuple[str, list[str]]] = [
    ("trian vae", ['"trian"', 'Did you mean "train"?']),
    ("train vea", ['no preset "vea"', 'Did you mean "vae"?', "autoencoder"]),
    ("resume gone --lr 1", ["resume cannot change --lr", "genlab train RUN/recipe.yaml --lr"]),
    ("train dcgan --discriminator-step 3", ["--discriminator-step", 'Did you mean "--discriminator-steps"?']),
    ("translate latest", ["translate needs PICTURES. See `genlab translate --help`"]),
    ("stylize a.png", ["stylize needs --style. See `genlab stylize --help`"]),
    ("train vae --steps --width 3", ["--steps needs 1 value. See `genlab train vae --help`"]),
    ("train dcgan --betas 1", ["--betas needs 2 values, not 1."]),
    ("train vae --stesp 3", ["--stesp", 'Did you mean "--steps"?']),
    ("train vae --reconstruction bec", ['"bec"', "--reconstruction must be one of mse, l1, bce", 'mean "bce"?']),
    ("train dcgan --loss minmax", ['"minmax"', "--loss", "non-saturating", 'mean "minimax"?']),
    ("train vae --out runs", ["--out", 'Did you mean "--root"?']),
    ("train vae --device gpu", ['"gpu"', "Choices on this machine: auto, ", "cpu"]),
    ("train vae --steps many", ["--steps", '"many"']),
    ("train vae --steps 20.5", ['--steps must be a whole number, not "20.5".']),
    ("sample -n 3.9", ['-n must be a whole number, not "3.9".']),
    ("sample --sampling-steps 2.5", ['--sampling-steps must be a whole number, not "2.5".']),
    ("train vae --steps 0", ["--steps must be at least 1, not 0."]),
    ("train vae --lr nan", ['--lr must be a finite number, not "nan".']),
    ("train vae --lr inf", ['--lr must be a finite number, not "inf".']),
    ("train vae --lr -0.1", ["--lr must be above 0, not -0.1."]),
    ("train vae --ema 1", ["--ema must be at least 0 and at most 0.99999, not 1.0."]),
    ("train vae --betas 0.5 2", ["--betas must be at least 0 and at most 0.9999, not 2.0."]),
    ("train vae --betas 0.5", ["--betas"]),
    ("train vae --batch-size 1", ["--batch-size must be at least 2, not 1."]),
    ("train vae --data", ["--data"]),
    ("train vae --data nonsense", ['no source "nonsense"', "digits, fashion-mnist, mnist"]),
    ("train vae --data digit", ['no source "digit"', 'Did you mean "digits"?']),
    ("train dcgan --kl-cycles 4", ["dcgan has no option --kl-cycles", "an option of vae presets, such as"]),
    (
        "train dcgan --learning-rate 1",
        ["dcgan has no option --learning-rate", 'mean "--lr"?', "train dcgan --help"],
    ),
    ("train dcgan --epochs 3", ["dcgan has no option --epochs", 'mean "--steps"?']),
    ("train dcgan --batchsize 3", ['mean "--batch-size"?']),
    ("train dcgan --beta1s 3", ["dcgan has no option --beta1s"]),
    ("train dcgan digits", ["takes one preset", "mean --data digits?"]),
    ("train dcgan my.files/a", ["mean --data my.files/a?"]),
    ("train --data digits", ["preset before --data"]),
    ("sample a b", ['sample does not take "b"', "genlab sample --help"]),
    ("runs --jsn", ['mean "--json"?']),
    ("export", ['no command "export". Commands: train, ']),
    ("load latest", ['"load" is a Python function: `genlab.load("RUN")`']),
    ("train pixelcnn", ['no preset "pixelcnn". Presets: ']),
    ("train cyclegan", ['"digits" has no two sides', "Give a folder", "--source"]),
    ("train dcgan --weight-clip 0.1 --spectral-norm both", ["both bound the discriminator's Lipschitz constant"]),
    ("train vae --size 5", ["no size 5", "8 to 512"]),
    ("train vae --channels 2", ["no 2 channels", "1 (grey), 3 (colour)"]),
    ("train dcgan --data ring8", ["works on pictures, and these data are points", "--architecture mlp"]),
    ("train gone.yaml", ["there is no file gone.yaml"]),
    ("train typo.yaml", ["typo.yaml", 'no option "stesp"', 'Did you mean "steps"?']),
    ("train wrong.yaml", ["wrong.yaml", "--reconstruction must be one of mse, l1, bce", '"bec"', 'mean "bce"?']),
    ("train good.yaml --stesp 3", ["--stesp", 'Did you mean "--steps"?']),
    ("recipes nonsense", ['no preset matches "nonsense"', "Choices: autoencoder"]),
    ("recipes dcgna", ['no preset matches "dcgna"', 'Did you mean "dcgan"?']),
    ("sample", ['no run "latest"', "There is no run in runs yet"]),
    ("info gone --root somewhere", ['no run "gone"', "There is no run in somewhere yet"]),
    ("resume gone", ['no run "gone"']),
    ("resume --lr 0.1", ["--lr"]),
    ("data nonsense", ['no source "nonsense"']),
    ("data digits --size 5", ["no size 5"]),
]


@pytest.mark.parametrize(("line", "words"), MISTAKES, ids=[line for line, _ in MISTAKES])
def test_a_mistake_is_answered_in_words_with_exit_code_two(
    line: str, words: list[str], genlab: Genlab, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("typo.yaml").write_text("preset: vae\nstesp: 3\n")
    Path("wrong.yaml").write_text("preset: vae\nreconstruction: bec\n")
    Path("good.yaml").write_text("preset: vae\n")
    before = sorted(tmp_path.iterdir())
    code, out, err = genlab(*line.split())
    assert code == 2
    assert out == ""
    assert err.startswith("genlab: ")
    for word in words:
        assert word in err
    assert sorted(tmp_path.iterdir()) == before, "nothing may be left behind"


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("sample vea", ['no run "vea"', 'Did you mean "vae"?', "autoencoder, dcgan"]),
        ("sample vae -n 0", ["--number must be at least 1, not 0"]),
        ("interpolate vae --frames 1", ["--frames 2 or more, not 1"]),
        ("interpolate vae --stretches 0", ["--stretches 1 or more, not 0"]),
        ("sample vae --checkpoint beste", ['"beste"', 'mean "best"?']),
        ("sample vae --device gpu", ['"gpu"']),
        ("evaluate vea", ['no run "vea"', 'Did you mean "vae"?']),
        ("evaluate vae --extractor pixel", ['no extractor "pixel"', 'mean "pixels"?']),
        ("evaluate vae --extractor efficientnet-lite0@7", ["side must be from 32 to 512"]),
        ("evaluate vae --samples 1", ["--samples must be at least 2, not 1"]),
        ("evaluate vae --size 32", ["--size 32 is for --real and --fake"]),
        ("evaluate vae --max-rejected 1", ["--max-rejected is for --real and --fake"]),
        ("evaluate vae --split all", ["--split held-out or train"]),
        ("evaluate --real digits", ["give both, or a run instead"]),
        ("evaluate vae --real digits --fake digits", ["either a run (vae) or --real and --fake"]),
        ("compare vae", ["two runs or more, not 1"]),
    ],
)
def test_mistakes_about_a_run(line: str, words: list[str], genlab: Genlab, runs: Path) -> None:
    code, out, err = genlab(*line.split(), "--root", runs)
    assert (code, out) == (2, "")
    for word in words:
        assert word in err


def test_help_and_version(genlab: Genlab) -> None:
    code, out, _ = genlab("--help")
    assert code == 0
    for command in COMMANDS:
        assert command in out
    assert genlab("--version")[1].strip() == __version__
    code, out, _ = genlab("train", "dcgan", "--help")
    assert code == 0
    for flag in ("--discriminator-steps", "--generator-lr", "--data", "--seed", "--checkpoint-every"):
        assert flag in out
    assert "--beta " not in out


def test_the_help_of_a_file_has_its_values_as_defaults(tmp_path: Path, genlab: Genlab) -> None:
    path = tmp_path / "my_model.yaml"
    path.write_text("preset: vae\nlatent: 77\n")
    code, out, _ = genlab("train", path, "--help")
    assert code == 0
    assert "77" in out
    assert "--beta" in out


def test_a_loss_that_is_not_finite_ends_with_four(
    tmp_path: Path, genlab: Genlab, monkeypatch: pytest.MonkeyPatch
) -> None:
    backward = Player.backward
    monkeypatch.setattr(Player, "backward", lambda self, loss, signals: backward(self, loss * torch.nan, signals))
    options = ("--width", 8, "--batch-size", 8, "--size", 16, "--steps", 3, "--root", tmp_path)
    code, _, err = genlab("train", "vae", *options)
    assert code == 4
    assert "NaN in the vae's loss while updating the vae" in err
    assert "the learning rate is too high" in err


def test_a_source_without_pictures_ends_with_one(tmp_path: Path, genlab: Genlab) -> None:
    (tmp_path / "empty").mkdir()
    code, _, err = genlab("train", "vae", "--data", tmp_path / "empty", "--root", tmp_path / "runs")
    assert code == 1
    assert "empty" in err
    assert not (tmp_path / "runs").exists()


@pytest.mark.parametrize(("error", "code"), [(KeyboardInterrupt, 130), (BrokenPipeError, 1)])
def test_an_interrupted_command_ends_as_shells_expect(
    error: type[BaseException], code: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*_: object) -> None:
        raise error

    monkeypatch.setattr("genlab.data.cache.cache_folder", interrupted)
    assert run(["checks"]) == code


def test_the_module_is_a_program_with_exit_codes() -> None:
    wrong = subprocess.run([sys.executable, "-m", "genlab", "trian"], capture_output=True, text=True, check=False)
    assert wrong.returncode == 2
    assert 'Did you mean "train"?' in wrong.stderr
    assert "Traceback" not in wrong.stderr


def test_what_the_library_logs_is_written_to_standard_error_by_the_command_line_alone(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    log = logging.getLogger("genlab")
    monkeypatch.setattr(log, "propagate", False)  # to what pytest listens to
    monkeypatch.setattr(page, "busy", lambda: log.info("100 %s", "%"))
    monkeypatch.setattr(parts, "PARTS", {})
    assert run(["bench"]) == 0
    assert "genlab: 100 %\n" in capsys.readouterr().err
    log.warning("nobody hears it")
    assert capsys.readouterr().err == ""
    assert [type(handler) for handler in log.handlers] == [logging.NullHandler]


class _Interrupting:
    """Interrupts the import of a module."""

    @staticmethod
    def find_spec(name: str, path: object = None, target: object = None) -> None:
        if name == "cyclopts":
            raise KeyboardInterrupt


def test_ctrl_c_shows_no_traceback_even_before_the_command_line_is_imported(
    monkeypatch: pytest.MonkeyPatch, genlab: Genlab
) -> None:
    for name in ("cyclopts", "genlab.cli.app"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    monkeypatch.setattr(sys, "meta_path", [_Interrupting, *sys.meta_path])
    assert genlab("checks") == (130, "", "genlab: interrupted before there was a result\n")


def test_ctrl_c_ends_a_command_while_torch_is_imported_which_swallows_it(tmp_path: Path) -> None:
    (tmp_path / "torch").mkdir()
    swallowing = (
        "import os, signal\ntry:\n    os.kill(os.getpid(), signal.SIGINT)\nexcept KeyboardInterrupt:\n    pass"
    )
    (tmp_path / "torch" / "__init__.py").write_text(swallowing)
    path = os.pathsep.join([str(tmp_path), *sys.path])
    made = subprocess.run(
        [sys.executable, "-m", "genlab", "checks"],
        env={**os.environ, "PYTHONPATH": path},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (made.returncode, made.stdout) == (130, "")
    assert made.stderr == "genlab: interrupted before there was a result\n"
