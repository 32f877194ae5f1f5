"""How data are read: what a model learns from, and which side of pairs is translated. Never imports torch."""

from typing import Literal, TypeAlias

Reads: TypeAlias = Literal["examples", "pairs", "sides", "domains", "styles", "degraded"]
"""What a model learns from: examples, pairs of source and target, two unpaired sides, labelled domains that are
translated into each other, contents with the pictures whose style they take, or pictures with degraded copies."""

Pairs: TypeAlias = Literal["auto", "aligned", "unaligned"]
"""Whether a source belongs to the target of the same name."""

Direction: TypeAlias = Literal["a-to-b", "b-to-a"]
"""Which side is translated into the other."""
