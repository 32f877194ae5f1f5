"""The options of CUT and StarGAN: each has an effect, and what cannot go together is refused."""

from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor

from genlab.core.batch import Batch
from genlab.core.errors import UsageError
from genlab.core.modality import Classes, DataSpec, Images, Modality
from genlab.core.random import Randomness
from genlab.recipes.presets import PRESETS
from genlab.recipes.resolve import resolve
from genlab.runs import phases

GREY, COLOUR, SMALL = Images(1, 16, 16), Images(3, 16, 16), Images(1, 8, 8)
LABEL = Classes(("a", "b"))
SIDES = DataSpec(GREY, {"source": GREY}, aligned=False)
DOMAINS = DataSpec(GREY, {"label": LABEL, "source": GREY, "source_label": LABEL}, aligned=False)


@pytest.mark.parametrize(
    ("preset", "options", "words"),
    [
        ("cut", {"architecture": "unet"}, "compares layers of the generator, which --architecture unet does not"),
        ("cut", {"contrastive_weight": 0, "identity_weight": 0}, "nothing ties a translation to its source"),
        ("fastcut", {"contrastive_weight": 0}, "Set one of them above 0"),
        ("cut", {"positions": 1}, "--positions"),
        ("cut", {"temperature": 0}, "--temperature"),
    ],
)
def test_parts_that_cannot_go_together(preset: str, options: dict[str, Any], words: str) -> None:
    with pytest.raises(UsageError, match=words):
        resolve(preset, options)


@pytest.mark.parametrize(
    ("preset", "given", "words"),
    [
        ("cut", {}, "have no sources"),
        ("cut", {"source": COLOUR}, r"sources are \(3, 16, 16\) and targets \(1, 16, 16\).*or use cyclegan"),
        ("cut", {"source": SMALL}, r"sources are \(1, 8, 8\)"),
        ("stargan", {"source": GREY}, "classes of the data, but these have none"),
        ("stargan", {"source": GREY, "label": Classes(("a",))}, "these have only one"),
        ("stargan", {"source": COLOUR, "label": LABEL, "source_label": LABEL}, "come from another one"),
        ("stargan", {"source": GREY, "label": LABEL}, "come from another one.*without --source"),
    ],
)
def test_data_that_do_not_fit(preset: str, given: dict[str, Modality], words: str) -> None:
    with pytest.raises(UsageError, match=words):
        PRESETS[preset].refuse(DataSpec(GREY, given, aligned=False))


@pytest.mark.parametrize(("preset", "spec"), [("cut", SIDES), ("fastcut", SIDES), ("stargan", DOMAINS)])
def test_data_that_fit(preset: str, spec: DataSpec) -> None:
    PRESETS[preset].refuse(spec)
    assert PRESETS[preset].reads == ("domains" if spec is DOMAINS else "sides")


def after_two_steps(preset: str, spec: DataSpec, **changes: Any) -> dict[str, Tensor]:
    small = {"width": 4, "blocks": 1, "discriminator": "patch-16", "batch_size": 4, "positions": 50}
    if preset == "stargan":
        small = {"width": 4, "blocks": 1, "batch_size": 4, "discriminator_steps": 1}
    torch.manual_seed(0)
    training = phases.build(replace(PRESETS[preset], **{**small, **changes}), spec, Randomness(0))
    x, source = torch.rand(2, 4, 1, 16, 16, generator=torch.Generator().manual_seed(0)) * 2 - 1
    labels = torch.tensor([0, 1, 0, 1])
    given = {"source": source, "label": labels, "source_label": labels.flip(0)}
    batches = [Batch(x.roll(turn, 0), torch.arange(4), given) for turn in range(8)]
    for step in range(2):
        training.step(step, iter(batches))
    return training.model.state_dict()


@pytest.mark.parametrize(
    ("preset", "options"),
    [
        ("cut", {"contrastive_weight": 1.0}),
        ("cut", {"identity_weight": 1.0}),
        ("cut", {"temperature": 0.2}),
        ("cut", {"positions": 5}),
        ("cut", {"flip_equivariance": True}),
        ("stargan", {"classification_weight": 5.0}),
        ("stargan", {"cycle_weight": 0.0}),
        ("stargan", {"cycle_noise": 0.1}),
        ("stargan", {"gradient_penalty": 0.0}),
        ("stargan", {"discriminator_steps": 3}),
        ("stargan", {"norm": "none"}),
    ],
    ids=str,
)
def test_no_option_is_without_effect(preset: str, options: dict[str, Any]) -> None:
    spec = DOMAINS if preset == "stargan" else SIDES
    before, after = after_two_steps(preset, spec), after_two_steps(preset, spec, **options)
    assert before.keys() != after.keys() or any(not torch.equal(before[name], after[name]) for name in before)


def test_the_doctor_knows_whether_the_slope_is_bounded() -> None:
    stargan = PRESETS["stargan"]
    assert stargan.facts() == {"slope_bounds": 1.0}
    assert replace(stargan, gradient_penalty=0.0).facts() == {"slope_bounds": 0.0}  # type: ignore[call-arg]
    assert replace(stargan, loss="least-squares").facts() == {}  # type: ignore[call-arg]
