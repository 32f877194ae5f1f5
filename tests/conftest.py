"""What all tests share: cache, folder, one thread, digits resized once, no curves, SIGINT, no parts left over."""

import signal
from collections.abc import Iterator
from functools import cache

import hypothesis
import pytest

hypothesis.settings.register_profile("busy machine", deadline=None)
hypothesis.settings.load_profile("busy machine")


@pytest.fixture(autouse=True, scope="session")
def _interruptible() -> None:
    """Shells let what they start in the background ignore SIGINT, and children inherit that."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(autouse=True)
def _parts_are_forgotten() -> Iterator[None]:
    """Forget the user's parts that a test registers."""
    from genlab.core import parts

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(parts, "_PARTS", parts.everything())
        yield


@pytest.fixture(autouse=True, scope="session")
def _own_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    import torch

    torch.set_num_threads(1)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GENLAB_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture(autouse=True, scope="session")
def _own_folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Keep what is written without a place, such as the picture of `genlab.data`, out of the checkout."""
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(tmp_path_factory.mktemp("here"))
        yield


@pytest.fixture(autouse=True, scope="session")
def _digits_once() -> Iterator[None]:
    """Resize the digits once for each size: this takes a third of a short run."""
    from genlab.data import source

    with pytest.MonkeyPatch.context() as patch:
        for name in ("open_digits", "open_paired_digits"):
            patch.setattr(source, name, cache(getattr(source, name)))
        yield


@pytest.fixture(autouse=True, scope="session")
def _no_curves() -> Iterator[None]:
    """Write a blank picture instead of curves, whose drawing takes four fifths of a short run."""
    from genlab.training import report

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(report, "draw", lambda *_: [])
        yield
