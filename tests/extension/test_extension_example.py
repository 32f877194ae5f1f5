"""The example with a user's own data, network, loss and callback runs as it stands, only shorter."""

import runpy
from pathlib import Path

import pytest

EXAMPLE = Path(__file__).parents[2] / "examples" / "bring_your_own.py"


def test_bring_your_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    text = EXAMPLE.read_text()
    assert len(text.splitlines()) <= 60
    script = tmp_path / EXAMPLE.name
    script.write_text(text.replace("STEPS = 200", "STEPS = 20").replace("step % 100", "step % 20"))
    runpy.run_path(str(script), run_name="__main__")
    said = capsys.readouterr().out
    assert "20 {'discriminator_loss'" in said
    assert "40 {'discriminator_loss'" in said
    assert "fd[pixels]" in said
