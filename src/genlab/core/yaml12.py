"""Reads and writes YAML: PyYAML's safe subset, with the numbers of YAML 1.2.

In YAML 1.1, which PyYAML implements, `1e-3` without a dot is text.
"""

import re
from pathlib import Path
from typing import Any

import yaml

from genlab.core import files

MOST_BYTES = 1 << 23  # of a file
MOST_VALUES = 200_000  # in lists and mappings
MOST_SLOW = 1 << 16  # characters of a text that libyaml cannot read

_SafeLoader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # ten times as fast, if there is libyaml


class _Loader(_SafeLoader):  # type: ignore[misc]
    """Reads 1e-3 as a number."""


class _SlowLoader(yaml.SafeLoader):
    """Reads the bytes of file names that are not UTF-8, which libyaml refuses."""


class _Dumper(yaml.SafeDumper):
    """Puts the text "1e-3" in quotes."""


_HALF = re.compile(r"\\u[dD][89a-fA-F]")  # of a surrogate pair
_WITH_EXPONENT = re.compile(r"[-+]?(\d+\.?\d*|\.\d+)[eE][-+]?\d+$")
for _kind in (_Loader, _SlowLoader, _Dumper):
    _kind.add_implicit_resolver("tag:yaml.org,2002:float", _WITH_EXPONENT, list("-+.0123456789"))


def load(path: Path) -> Any:  # noqa: ANN401 (whatever the file holds)
    """Return the value of a YAML file.

    Raises:
        OSError: it is missing, no regular file or too long.
        yaml.YAMLError: as `read`.
    """
    try:
        text = files.read(path, MOST_BYTES).decode()
    except UnicodeDecodeError as error:
        raise yaml.YAMLError(f"it is not text in UTF-8: {error}") from None
    return read(text)


def read(text: str) -> Any:  # noqa: ANN401 (whatever the text holds)
    """Return the value of a YAML text.

    Raises:
        yaml.YAMLError: it is not YAML, or has too many values.
    """
    slow = _HALF.search(text)
    if slow and len(text) > MOST_SLOW:
        raise yaml.YAMLError(f"it has more than {MOST_SLOW:,} characters, and names that are not UTF-8")
    loader = _SlowLoader if slow else _Loader
    try:
        _refuse_many(text, loader)
        return yaml.load(text, loader)
    except (ValueError, RecursionError) as error:  # a number of 10,000 digits, the 99th of May, deep nesting
        raise yaml.YAMLError(f"it is not YAML: {error}") from None


def _refuse_many(text: str, loader: Any) -> None:  # noqa: ANN401 (a class of PyYAML, which has no types)
    """Refuse a text that has too many values when each alias is replaced by what it stands for."""
    sizes: dict[str, int] = {}  # by anchor; not yet of a value that is still open
    counts = [0]  # of the values in each open list and mapping
    anchors: list[str | None] = [None]
    for event in yaml.parse(text, loader):
        if isinstance(event, yaml.CollectionStartEvent):
            counts.append(1)
            anchors.append(event.anchor)
            continue
        if isinstance(event, yaml.CollectionEndEvent):
            size, anchor = counts.pop(), anchors.pop()
        elif isinstance(event, yaml.ScalarEvent):
            size, anchor = 1, event.anchor
        elif isinstance(event, yaml.AliasEvent):
            if event.anchor not in sizes:
                raise yaml.YAMLError(f"the alias *{event.anchor} stands for nothing, or for itself")
            size, anchor = sizes[event.anchor], None
        else:
            continue
        if anchor:
            sizes[anchor] = size
        counts[-1] += size
        if counts[-1] > MOST_VALUES:
            raise yaml.YAMLError(f"it has more than {MOST_VALUES:,} values")


def written(values: dict[str, Any]) -> str:
    """Return `values` as YAML text, in their order; `read` gives them back."""
    return yaml.dump(values, Dumper=_Dumper, sort_keys=False, allow_unicode=True)
