"""Finds the columns of images and of labels in a data set whose items are dictionaries."""

from collections.abc import Callable, Mapping, Sequence

from genlab.core.errors import DataError

_LABELS = ("label", "labels", "fine_label")


def find_columns(
    name: str, item: Mapping[str, object], features: object, is_example: Callable[[object], bool]
) -> tuple[str, str | None, Sequence[str] | None]:
    """Return the column of the images, that of the labels if there is one, and the names of the classes.

    Args:
        name: of the data set, in messages.
        item: the first item.
        features: the types of the columns, if the data set knows them: those called "Image" are images, those
            with `names` are labels.
        is_example: whether a value may be an image.

    Raises:
        DataError: no column of images, or several of images or labels.
    """
    types = features if isinstance(features, Mapping) else {}
    images = [key for key in item if type(types.get(key)).__name__ == "Image"]
    named = {key: types[key].names for key in item if getattr(types.get(key), "names", None)}
    labels = list(named) or [key for key in _LABELS if key in item]
    images = images or [key for key, value in item.items() if key not in labels and is_example(value)]
    for found, kind in ((images, "images"), (labels, "labels")):
        if len(found) > 1:
            others = [key for key in item if key not in found[1:]]
            raise DataError(
                f"{name} has several columns of {kind}: {', '.join(found)}. Choose one of them, for example with "
                f"data.select_columns({others})."
            )
    if not images:
        raise DataError(
            f"{name} has no column of images. It has: {', '.join(map(str, item))}. Images are PIL images or "
            'arrays; lists become arrays by data.with_format("numpy").'
        )
    column = labels[0] if labels else None
    return images[0], column, named.get(column) if column else None
