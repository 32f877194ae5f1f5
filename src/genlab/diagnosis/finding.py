"""A finding: its evidence, its causes and its remedies."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias

Severity: TypeAlias = Literal["warning", "failure"]


@dataclass(frozen=True)
class Evidence:
    """A signal that shows a symptom."""

    signal: str
    value: float
    expected: str  # in words: "above 0.5"

    def values(self) -> dict[str, Any]:
        """Return it as plain values for JSON, with NaN as None."""
        return {
            "signal": self.signal,
            "value": self.value if math.isfinite(self.value) else None,
            "expected": self.expected,
        }

    def __str__(self) -> str:
        return f"{self.signal} {self.value:.3g}, expected {self.expected}"


@dataclass(frozen=True)
class Change:
    """A change of one option of a recipe: to a value, by a factor, or to the preset's value (times a factor).

    With `only` "down" or "up" nothing changes if the preset's value lies in the other direction.
    """

    option: str
    to: Any = None
    times: float | None = None
    published: bool = False
    only: Literal["down", "up"] | None = None

    def value(self, now: Any, published: Any) -> Any:  # noqa: ANN401
        """Return the new value of an option whose value is `now`, and `published` in the preset."""
        if (self.only == "down" and published > now) or (self.only == "up" and published < now):
            return now
        before = published if self.published else now
        if self.times is None:
            return before if self.published else self.to
        if isinstance(before, int):
            return max(1, round(before * self.times))
        return float(f"{before * self.times:.6g}")  # so that 0.1 × 0.1 is 0.01

    def __str__(self) -> str:
        option = f"--{self.option.replace('_', '-')}"
        if self.times is not None:
            return f"{option} {self.times:g} × the published" if self.published else f"{option} × {self.times:g}"
        return option if self.published else f"{option} {self.to}"


@dataclass(frozen=True)
class Remedy:
    """Changes of a recipe that can be applied automatically."""

    changes: Sequence[Change]
    why: str

    def apply(self, options: Mapping[str, Any], published: Mapping[str, Any]) -> dict[str, Any]:
        """Return the options that change and their new values; none if `options` lacks one of them.

        Args:
            options: of the run's recipe.
            published: those of its preset.
        """
        if any(change.option not in options for change in self.changes):
            return {}
        values = {c.option: c.value(options[c.option], published.get(c.option)) for c in self.changes}
        return {name: value for name, value in values.items() if value != options[name]}

    def __str__(self) -> str:
        returns = [change for change in self.changes if change.published and change.times is None]
        changed = [str(change) for change in self.changes if change not in returns]
        back = ", ".join(map(str, returns))
        return ", ".join([*changed, *([f"{back} as published"] if back else [])])


@dataclass(frozen=True)
class Sign:
    """A symptom that a rule has recognised."""

    since: int  # the first step of the symptom
    evidence: Sequence[Evidence]
    severity: Severity = "failure"


@dataclass(frozen=True)
class Finding:
    """A symptom, its first step, its evidence, why it happens and what to do.

    If it is resolved, `until` is the last step at which it was found.
    """

    rule: str
    symptom: str
    severity: Severity
    since: int
    step: int  # at which it was found
    evidence: Sequence[Evidence]
    why: str
    references: str
    remedies: Sequence[Remedy] = field(default=())
    until: int | None = None

    @classmethod
    def of(cls, event: Mapping[str, Any]) -> "Finding":
        """Return the finding of an event, without its remedies."""
        evidence = [
            Evidence(e["signal"], math.nan if e["value"] is None else e["value"], e["expected"])
            for e in event["evidence"]
        ]
        names = ("rule", "symptom", "severity", "since", "step", "why", "references")
        return cls(**{name: event[name] for name in names}, evidence=evidence)

    def line(self) -> str:
        """Return it in one line."""
        if self.until is not None:
            return f"{self.symptom}, {span(self.since, self.until)} (resolved)."
        first = f" Try {self.remedies[0]}." if self.remedies else ""
        shown = "; ".join(map(str, self.evidence))
        return f"{self.symptom}, since step {self.since:,} ({shown}).{first}"

    def text(self) -> str:
        """Return it in full: a line for each evidence, reason, remedy and reference."""
        lines = [f"{self.severity.upper()}  {self.symptom}, since step {self.since:,}."]
        lines += [f"  shown by   {evidence}" for evidence in self.evidence]
        lines += [f"  why        {self.why}"]
        lines += [f"  try        {remedy}: {remedy.why}" for remedy in self.remedies]
        lines += [f"  read       {self.references}"] if self.references else []
        return "\n".join(lines)

    def values(self) -> dict[str, Any]:
        """Return it as plain values for JSON."""
        return {
            "rule": self.rule,
            "line": self.line(),
            "symptom": self.symptom,
            "severity": self.severity,
            "since": self.since,
            "step": self.step,
            "evidence": [evidence.values() for evidence in self.evidence],
            "why": self.why,
            "references": self.references,
            "remedies": [{"changes": str(remedy), "why": remedy.why} for remedy in self.remedies],
            **({} if self.until is None else {"until": self.until}),
        }


def span(since: int, until: int) -> str:
    """Return the steps of a resolved finding in words."""
    return f"from step {since:,} to step {until:,}"
