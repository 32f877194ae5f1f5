"""`genlab doctor`: on runs, on logs of other programs, and on what is neither."""

import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest

Genlab = Callable[..., tuple[int, str, str]]


@pytest.fixture
def log(tmp_path: Path) -> Path:
    """A discriminator that wins, as other programs write it down."""
    path = tmp_path / "log.csv"
    lines = [f"{10 * i},{0.5 * 0.8**i},{1 + 0.5 * i}" for i in range(40)]
    path.write_text("iter,errD,errG\n" + "\n".join(lines))
    return path


def test_a_healthy_run(genlab: Genlab, runs: Path) -> None:
    code, out, err = genlab("doctor", "vae", "--root", runs)
    assert (code, err) == (0, "")
    assert "Nothing is wrong" in out


def test_a_log_of_another_program(genlab: Genlab, log: Path) -> None:
    code, out, err = genlab("doctor", log)
    assert (code, err) == (3, "")
    assert "40 steps up to 390; family: gan" in out
    assert "recognised: iter as step, errD as discriminator_loss, errG as generator_loss" in out
    assert "FAILURE  Discriminator too strong: it is certain about every image" in out
    assert "try        --discriminator-lr × 0.2" in out
    assert "mode-collapse: nearest_neighbour_distance" in out.split("Not checked")[1]


def test_everything_as_json(genlab: Genlab, log: Path) -> None:
    code, out, _ = genlab("doctor", log, "--json")
    found = json.loads(out)
    assert code == 3
    assert found["healthy"] is False
    assert found["findings"][0]["rule"] == "discriminator-too-strong"
    assert found["unchecked"]["mode-collapse"] == ["nearest_neighbour_distance"]


def test_the_export_of_a_run_is_read_under_its_own_names(genlab: Genlab, tmp_path: Path) -> None:
    path = tmp_path / "results.csv"
    names = ("latent_rms", "flow_update_ratio", "inversion_error", "seconds")
    path.write_text(",".join(("step", *names)) + "\n" + "\n".join(f"{i},1,0.002,0.5,{i}" for i in range(1, 99)))
    code, out, _ = genlab("doctor", path)
    assert code == 3
    assert "family: flow\nnot used: seconds\n" in out
    assert "Not invertible: images are not recovered from their latents" in out


def test_columns_can_be_mapped(genlab: Genlab, tmp_path: Path) -> None:
    path = tmp_path / "log.csv"
    path.write_text("a,b\n" + "\n".join(f"{i},nan" if i == 5 else f"{i},0.5" for i in range(20)))
    code, out, _ = genlab("doctor", path, "--map", "step=a", "--map", "loss=b", "--family", "autoencoder")
    assert code == 3
    assert "NaN or Inf, since step 5" in out


def test_a_log_is_read_as_that_of_its_family(genlab: Genlab, tmp_path: Path) -> None:
    path = tmp_path / "log.csv"
    lines = [f"{i},{1.0 if i < 500 else 9.0}" for i in range(0, 1000, 10)]
    for column, family, taken in (("nll", "flow", "loss"), ("nll", "vae", "distortion"), ("bpd", "flow", "loss")):
        path.write_text(f"step,{column}\n" + "\n".join(lines))
        code, out, _ = genlab("doctor", path, "--family", family)
        assert f"recognised: {column} as {taken}" in out
        assert code == (3 if family == "flow" else 0)


def test_remedies_for_a_log_are_options_of_its_family(genlab: Genlab, tmp_path: Path) -> None:
    path = tmp_path / "log.csv"
    lines = [f"{i},{1 / i:.4f},{1 / i + i / 100:.4f}" for i in range(1, 300)]
    path.write_text("step,train_loss,val_loss\n" + "\n".join(lines))
    for family, offered in (("autoencoder", ["latent", "width"]), ("diffusion", ["dropout", "width"])):
        code, out, _ = genlab("doctor", path, "--family", family)
        assert code == 3
        assert re.findall(r"try +--(\w+)", out) == offered


@pytest.mark.parametrize(("family", "rule"), [("diffusion", "diverging-loss"), ("flow", "diverging-likelihood")])
def test_a_log_of_a_loss_alone_may_be_any_familys(genlab: Genlab, tmp_path: Path, family: str, rule: str) -> None:
    path = tmp_path / "log.csv"
    path.write_text("step,loss\n" + "\n".join(f"{i},{1.0 if i < 500 else 9.0}" for i in range(0, 1000, 10)))
    code, out, _ = genlab("doctor", path, "--family", family, "--json")
    found = json.loads(out)
    assert code == 3
    assert rule in {finding["rule"] for finding in found["findings"]}


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("doctor vea", ['no run "vea"', 'Did you mean "vae"?']),
        ("doctor vae --map loss=b", ["are for logs of other programs"]),
        ("doctor {log} --map loss", ["--map takes SIGNAL=COLUMN"]),
        ("doctor {log} --map los=errD", ['no signal "los"', 'Did you mean "loss"?']),
        ("doctor {log} --map loss=errr", ['no column "errr"', "Choices: iter, errD, errG"]),
        (
            "doctor {log} --family gun",
            ["--family can be autoencoder, denoiser, vae, gan, flow, ", 'not "gun"'],
        ),
    ],
)
def test_mistakes(line: str, words: list[str], genlab: Genlab, runs: Path, log: Path) -> None:
    code, out, err = genlab(*line.format(log=log).split(), "--root", runs)
    assert (code, out) == (2, "")
    for word in words:
        assert word in err


@pytest.mark.parametrize("text", ["", "hello\n", "a,b\n1,2\n"])
def test_files_that_are_no_log(text: str, genlab: Genlab, tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_text(text)
    code, out, err = genlab("doctor", path)
    assert (code, out) == (1, "")
    assert str(path) in err


def test_a_failure_that_is_over_is_shown_and_no_failure(genlab: Genlab, tmp_path: Path) -> None:
    path = tmp_path / "log.csv"
    rows = [f"{i},{1e-5 if 30 <= i < 60 else 1.0},{9.0 if 30 <= i < 60 else 1.0 + i / 50}" for i in range(100)]
    path.write_text("\n".join(["iter,errD,errG", *rows]))
    code, out, _ = genlab("doctor", path)
    assert code == 0
    assert "Nothing is wrong now" in out
    assert re.search(r"failure  Discriminator too strong: .*, from step 3\d to step 6\d \(resolved\)\.", out)
    code, out, _ = genlab("doctor", path, "--json")
    found = json.loads(out)
    assert (code, found["healthy"], found["findings"]) == (0, True, [])
    assert [past["rule"] for past in found["past"]] == ["discriminator-too-strong"]
