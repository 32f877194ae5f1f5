"""Bits are those of the bound."""

import math

import pytest
import torch

from bits import bits_of
from genlab.architectures.flow import glow
from genlab.core.modality import Images
from genlab.core.random import generator
from genlab.families.flow import Flow


def test_bits_are_the_bound_over_the_numbers_of_an_image() -> None:
    modality = Images(3, 8, 8)
    model, images = Flow(glow(modality, 4, 1), modality), torch.rand(5, *modality.shape) * 2 - 1
    with torch.no_grad():
        expected = -model.evidence_bound(images, generator=generator(0, "bits")) / (3 * 8 * 8) / math.log(2)
        assert bits_of(model, images).tolist() == pytest.approx(expected.tolist())
