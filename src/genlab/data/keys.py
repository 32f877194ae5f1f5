"""Finds images, labels and a held-out part among named arrays."""

from collections.abc import Collection

from genlab.core.errors import DataError

_HELD_OUT = ("held_out", "test")  # prefixes of the keys of a held-out part


def find_keys(names: Collection[str], what: str) -> tuple[list[str], list[str]]:
    """Return the keys of the images, one or two, and those of their labels, as many or none.

    Raises:
        DataError: no images, or labels for one of two parts only; `what` is the name in the message.
    """
    if "images" not in names:
        raise DataError(f'{what} has no array "images". It has: {", ".join(names) or "none"}.')
    prefix = next((prefix for prefix in _HELD_OUT if f"{prefix}_images" in names), None)
    images = ["images", f"{prefix}_images"] if prefix else ["images"]
    labels = ["labels", f"{prefix}_labels"] if prefix else ["labels"]
    present = [key for key in labels if key in names]
    if present and present != labels:
        raise DataError(f"{what} has {present[0]} but not {' and '.join(set(labels) - set(present))}.")
    return images, present
