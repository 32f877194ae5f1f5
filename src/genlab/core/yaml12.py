"""Reads and writes YAML: PyYAML's safe subset, with the numbers of YAML 1.2.

In YAML 1.1, which PyYAML implements, `1e-3` without a dot is text.
"""

import re
from typing import Any

import yaml

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


def read(text: str) -> Any:  # noqa: ANN401 (whatever the text holds)
    """Return the value of a YAML text; raises `yaml.YAMLError` if it is not YAML."""
    return yaml.load(text, _SlowLoader if _HALF.search(text) else _Loader)


def written(values: dict[str, Any]) -> str:
    """Return `values` as YAML text, in their order; `read` gives them back."""
    return yaml.dump(values, Dumper=_Dumper, sort_keys=False, allow_unicode=True)
