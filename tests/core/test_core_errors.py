"""Suggestions: what was probably meant, and nothing where nothing is near."""

import pytest

from genlab.core.errors import UsageError, lookup, suggestion
from genlab.recipes.presets import PRESETS
from genlab.verbs import COMMANDS


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("dgcan", "dcgan"),
        ("vea", "vae"),
        ("cgn", "cgan"),
        ("DCGAN", "dcgan"),
        ("wgangp", "wgan-gp"),
        ("wgan_gp", "wgan-gp"),
        ("dc-gan", "dcgan"),
        ("ddpn", "ddpm"),
        ("condtional-vae", "conditional-vae"),
        ("conditional", "conditional-vae"),
        *((name, None) for name in ("musegan", "mocogan", "vqvae", "pixelcnn", "x", "", "--data")),
    ],
)
def test_a_preset_is_suggested_only_if_it_is_near(name: str, meant: str | None) -> None:
    assert suggestion(name, PRESETS) == (f' Did you mean "{meant}"?' if meant else "")


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("trian", "train"),
        ("smaple", "sample"),
        ("evalute", "evaluate"),
        ("compre", "compare"),
        ("recpies", "recipes"),
        *((name, None) for name in ("export", "list", "load", "generate", "remove", "help")),
    ],
)
def test_a_command_is_suggested_only_if_it_is_near(name: str, meant: str | None) -> None:
    assert suggestion(name, COMMANDS) == (f' Did you mean "{meant}"?' if meant else "")


def test_the_nearest_of_several_is_suggested() -> None:
    assert suggestion("checkpont", ["checkpoints", "checkpoint", "check"]) == ' Did you mean "checkpoint"?'


@pytest.mark.parametrize("name", [None, 3, {}, ["dcgan"]])
def test_what_is_no_text_is_not_looked_up(name: object) -> None:
    with pytest.raises(UsageError, match="unknown preset"):
        lookup({"dcgan": 1}, name, "preset")  # type: ignore[arg-type]
