"""Opens data to translate: pairs of sources and targets, two unpaired sides, labelled domains, styles."""

from dataclasses import replace
from typing import Any

from genlab.core.errors import UsageError
from genlab.core.reading import Direction, Pairs, Reads
from genlab.data.dataset import Source
from genlab.data.objects import as_source
from genlab.data.wrappers import Unpaired


def open_translation(
    data: object,
    reads: Reads,
    *,
    source: str | None = None,
    pairs: Pairs = "auto",
    side_by_side: bool = False,
    direction: Direction = "a-to-b",
    seed: int = 0,
    **options: Any,  # noqa: ANN401 (options of `as_source`)
) -> Source:
    """Open the data of a model that learns from what `reads` says.

    Args:
        data: examples as `as_source` takes them; of pairs, sides and styles: both sides, or only the targets if
            `source` is given.
        reads: "examples", "pairs", "sides", "domains" or "styles", as `Recipe.reads` explains.
        source: the sources, as `data`.
        pairs: whether sources belong to the targets of the same name.
        side_by_side: whether each image holds a source and its target.
        direction: which side is the source.
        seed: of the order of unpaired sources.
        **options: of `as_source`.

    Raises:
        UsageError: options that do not fit the data.
        DataError: data that cannot be used as they are.
    """
    opened = as_source(data, **options)
    if reads == "domains":
        if opened.train.spec.classes < 2:
            raise UsageError(f"{opened.name} has no classes to translate between.")
        train, held_out = (Unpaired(split, split, seed) for split in (opened.train, opened.held_out))
        return replace(opened, train=train, held_out=held_out)
    return opened
