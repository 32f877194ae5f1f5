from pathlib import Path

import numpy as np
import pytest
import torch

from genlab.applications.latent_code import LEVELS, TOTAL, Code, Scales, fit, frequencies, gains, load, save
from genlab.core.errors import DataError, GenlabError


@pytest.fixture(scope="module")
def latents() -> np.ndarray:
    draws = np.random.default_rng(0)
    return (draws.standard_normal((5000, 3)) * [1.0, 30.0, 0.0] + [5.0, -2.0, 0.0]).astype(np.float32)


@pytest.fixture(scope="module")
def scales(latents: np.ndarray) -> Scales:
    return fit(latents, np.array([127.5, 12.75, 0.0], np.float32))


def test_rounded_latents_are_decoded_exactly_and_lie_within_a_step(scales: Scales, latents: np.ndarray) -> None:
    for step in (1, 7, 60):
        code = Code(scales, step)
        rounded, beyond = code.rounded(latents)
        assert np.array_equal(code.unpack(code.pack(rounded), len(latents)), rounded)
        error = np.abs(code.restored(rounded) - latents)[:, :2] / (step * scales.unit[:2])
        assert beyond == 0
        assert error.max() < 1.01


def test_the_length_is_the_entropy_of_the_rounded_latents(scales: Scales, latents: np.ndarray) -> None:
    code = Code(scales, 32)
    rounded, _ = code.rounded(latents)
    entropy = 0.0
    for column in rounded.T:
        shares = np.unique(column, return_counts=True)[1] / len(column)
        entropy -= float((shares * np.log2(shares)).sum())
    bits = 8 * len(code.pack(rounded)) / len(latents)
    assert entropy <= bits < 1.02 * entropy + 0.02


def test_a_larger_step_takes_fewer_bits(scales: Scales, latents: np.ndarray) -> None:
    lengths = []
    for step in (4, 16, 64, 256):
        code = Code(scales, step)
        lengths.append(len(code.pack(code.rounded(latents)[0])))
    assert lengths == sorted(lengths, reverse=True)


def test_the_step_is_the_error_in_grey_levels_of_an_orthonormal_decoder() -> None:
    weights = torch.linalg.qr(torch.randn(16, 16, generator=torch.Generator().manual_seed(0)))[0]
    found = gains(lambda z: z @ weights.T, torch.zeros(64, 16), torch.Generator().manual_seed(1), draws=16)
    assert torch.allclose(found, torch.full((16,), 127.5), rtol=0.05)


def test_a_latent_that_moves_nothing_takes_no_bits(scales: Scales) -> None:
    code = Code(scales, 60)
    assert code.prices[2][-code.lowest[2]] < 0.001


def test_frequencies_are_whole_numbers_that_sum_up_and_leave_no_value_out() -> None:
    levels, quantiles = np.array([0, TOTAL // 2, TOTAL]), np.array([-100, 0, 100])
    for step in (1, 3, 64, 1000):
        first, counts = frequencies(levels, quantiles, step)
        assert counts.dtype == np.int64
        assert counts.min() > 0
        assert counts.sum() - TOTAL == 16 * len(counts)
        assert first * step < -200
        assert (first + len(counts)) * step > 200


def test_equal_quantiles_are_no_problem() -> None:
    first, counts = frequencies(np.array([0, TOTAL // 2, TOTAL]), np.array([0, 0, 0]), 10)
    assert counts[-first] >= TOTAL // 2


def test_latents_far_beyond_the_training_pictures_are_counted_and_moved(scales: Scales) -> None:
    code = Code(scales, 60)
    rounded, beyond = code.rounded(np.array([[1e6, 0.0, 0.0]], np.float32))
    assert beyond == 1
    assert np.array_equal(code.unpack(code.pack(rounded), 1), rounded)


def test_nan_is_refused(scales: Scales) -> None:
    with pytest.raises(GenlabError, match="NaN"):
        Code(scales, 60).rounded(np.full((1, 3), np.nan, np.float32))


def test_a_class_is_coded_beside_the_latents(scales: Scales, latents: np.ndarray) -> None:
    code = Code(scales, 60, classes=10)
    rounded, _ = code.rounded(latents[:100])
    symbols = np.concatenate([rounded, np.arange(100)[:, None] % 10], 1)
    assert np.array_equal(code.unpack(code.pack(symbols), 100), symbols)


def test_scales_are_read_as_they_were_written(scales: Scales, tmp_path: Path) -> None:
    save(scales, tmp_path / "scales.npz")
    assert load(tmp_path / "scales.npz", 3).digest == scales.digest
    assert scales.quantiles.shape == (3, LEVELS + 1)
    with pytest.raises(DataError, match="another model"):
        load(tmp_path / "scales.npz", 4)
    (tmp_path / "scales.npz").write_bytes(b"PK\x03\x04 no")
    with pytest.raises(DataError, match="damaged"):
        load(tmp_path / "scales.npz", 3)
