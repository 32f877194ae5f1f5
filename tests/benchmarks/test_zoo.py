"""The page of the zoo never puts distances of two classifiers beside each other."""

import json
from pathlib import Path
from types import SimpleNamespace

import pytest

import zoo

FLOOR = {"preset": zoo.FLOOR, "accuracy": 0.9, "fd[classifier]": 1.5, "diversity": 1.0}
GAN = {"preset": "gan", "family": "gan", "minutes": 4.0, "steps": 10, "images": 1000, "weights": 5_000_000}
GAN |= {"accuracy": 0.9, "fd[classifier]": 99.0, "diversity": 0.5}


@pytest.fixture
def results(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(zoo, "open_source", lambda *_, **__: None)
    monkeypatch.setattr(zoo, "classifier_of", lambda *_: SimpleNamespace(weights="new"))
    monkeypatch.setattr(zoo, "_floor", lambda _: FLOOR)
    monkeypatch.setattr(zoo, "measure", lambda name, *_: GAN | {"preset": name, "fd[classifier]": 88.0})
    return tmp_path / "zoo.jsonl"


def run(results: Path, *only: str) -> str:
    page = results.with_suffix(".md")
    zoo.main(["--results", str(results), "--write", str(page), "--only", *only])
    return page.read_text()


def test_lines_are_added_to_those_of_the_same_classifier(results: Path) -> None:
    assert "| `gan` | 88.0 |" in run(results, "gan")
    text = run(results, "gan", "dcgan")
    assert [json.loads(line)["preset"] for line in results.read_text().splitlines()] == [zoo.FLOOR, "gan", "dcgan"]
    assert {json.loads(line)["classifier"] for line in results.read_text().splitlines()} == {"new"}
    assert "| *training pictures* | 1.5 | 1.00 |" in text
    assert zoo.EARLIER not in text


def test_lines_of_an_earlier_classifier_make_a_page_that_says_so(results: Path) -> None:
    results.write_text(f"{json.dumps(FLOOR)}\n{json.dumps(GAN)}\n")
    text = run(results, "gan")
    assert "| `gan` | 99.0 |" in text
    assert zoo.EARLIER in text


@pytest.mark.parametrize("classifier", [{}, {"classifier": "old"}])
def test_lines_are_not_added_to_those_of_another_classifier(
    results: Path, classifier: dict[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    before = f"{json.dumps(FLOOR | classifier)}\n{json.dumps(GAN | classifier)}\n"
    results.write_text(before)
    with pytest.raises(SystemExit):
        run(results, "gan", "dcgan")
    assert "measured with another classifier" in capsys.readouterr().err
    assert results.read_text() == before
