"""Reads the labels in the `dataset.json` of StyleGAN's folders and zips."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from genlab.core.errors import DataError
from genlab.data.decode import reason
from genlab.data.labels import encode, label_array
from genlab.data.layout import Layout, splits
from genlab.data.listing import Listing

FILE = "dataset.json"
_LIMIT = 2**28  # bytes


@dataclass(frozen=True)
class GivenLabels:
    """The label of each picture by its path; None if the file says that there are none."""

    labels: Mapping[str, object] | None

    def lay_out(self, paths: Sequence[str]) -> Layout:
        """Return these labels, and the splits that the folders give. Other folders are shards, not classes.

        Raises:
            DataError: labels that are no whole numbers or text.
        """
        held_out, rule, _ = splits(paths)
        if self.labels is None:
            return Layout(None, (), held_out, rule, f"none, as {FILE} says")
        what = f"the labels in {FILE}"
        given = label_array([self.labels[path] for path in paths], what)
        classes, (labels,) = encode([given], [len(paths)], [what])
        return Layout(labels, classes, held_out, rule, f"the labels in {FILE}")

    def missing(self, paths: Sequence[str]) -> list[int]:
        """Return the positions of pictures without a label."""
        return [] if self.labels is None else [at for at, path in enumerate(paths) if path not in self.labels]


def given_labels(listing: Listing) -> GivenLabels | None:
    """Return the labels in the topmost `dataset.json` of a listing; None if there is none with `labels`.

    Raises:
        DataError: it is damaged.
    """
    found = [at for at, entry in enumerate(listing.entries) if entry.path.rpartition("/")[2] == FILE]
    if not found:
        return None
    at = min(found, key=lambda at: listing.entries[at].path.count("/"))
    path = listing.entries[at].path
    folder = path[: -len(FILE)]
    try:
        with listing.open(at) as file:
            content = json.loads(file.read(_LIMIT))
        if not isinstance(content, dict) or "labels" not in content:
            return None
        if content["labels"] is None:
            return GivenLabels(None)
        return GivenLabels({f"{folder}{name}": label for name, label in content["labels"]})
    except Exception as error:  # for damaged files zipfile raises almost any type
        raise DataError(
            f'"{path}" does not say which label each picture has: {reason(error)}. Its format is {{"labels": '
            f'[["00000/img.png", 3], …]}}; repair it, or delete it to use the folders as classes.'
        ) from error
