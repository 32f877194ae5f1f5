"""Training goes on with the right pictures, whatever happened to the cache."""

import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import genlab
from genlab.data import verification

TINY: dict[str, Any] = {"width": 4, "latent": 2, "batch_size": 8, "device": "cpu", "quiet": True}


def test_resume_proves_the_cache_and_continues_on_the_right_pictures(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """After a power cut a file of the cache may have its length, but hold zeros."""
    cache = tmp_path / "cache"
    monkeypatch.setenv("GENLAB_CACHE", str(cache))
    pixels = np.random.default_rng(0).integers(0, 256, (60, 16, 16), dtype=np.uint8)
    np.savez(tmp_path / "set.npz", images=pixels)
    options: dict[str, Any] = {"data": str(tmp_path / "set.npz"), "root": tmp_path, **TINY}

    def blacken() -> None:
        (file,) = cache.glob("*/train.npy")
        whole = file.stat().st_size
        os.truncate(file, whole // 3)
        os.truncate(file, whole)
        verification._stamp(file.parent, verification._states(file.parent))  # as if it had been verified so

    def weights(run: genlab.Run) -> bytes:
        return (run.folder / "checkpoints" / "last" / "model.safetensors").read_bytes()

    whole = genlab.train("vae", steps=4, name="whole", **options)
    interrupted = genlab.train("vae", steps=2, name="interrupted", **options)
    blacken()
    resumed = genlab.resume(interrupted.folder, steps=4, quiet=True)
    assert weights(resumed) == weights(whole)
    assert [record.levelname for record in caplog.records] == ["WARNING"]
    blacken()
    monkeypatch.setattr(verification, "_boot", lambda: "another")
    assert weights(genlab.train("vae", steps=4, name="again", **options)) == weights(whole)
