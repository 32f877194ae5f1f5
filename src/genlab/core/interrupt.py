"""What an interrupted command says."""

from collections.abc import Callable, Iterator, Sized
from contextlib import contextmanager


@contextmanager
def kept(what: Callable[[], str]) -> Iterator[None]:
    """Add a note to a `KeyboardInterrupt` inside the context: `what` is kept, if not "", and how to go on."""
    try:
        yield
    except KeyboardInterrupt as interrupt:
        if said := what():
            interrupt.add_note(f"{said}; give the same command again to go on")
        raise


def first_kept(names: Sized, place: object) -> str:
    """Return what to say of examples that are written one after the other."""
    return f"the first {len(names):,} are kept in {place}" if names else ""
