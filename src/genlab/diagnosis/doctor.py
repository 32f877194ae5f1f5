"""Examines a history with all rules."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from genlab.core.errors import UsageError
from genlab.core.parts import Part, Table, calling
from genlab.core.signals import signal
from genlab.diagnosis import (
    adversarial_rules,
    autoencoding_rules,
    data_rules,
    diffusion_rules,
    flow_rules,
    general_rules,
    inpainting_rules,
    restoration_rules,
    translation_rules,
)
from genlab.diagnosis.finding import Change, Finding, Remedy, Sign
from genlab.diagnosis.history import History
from genlab.diagnosis.rule import Context, Rule

MOST = 2000  # lines that a doctor keeps; of a longer history it drops every other line of the older half
LEAST_STEPS, SHARE = 20, 0.01  # between two examinations: steps, and a share of the steps so far

# In the order in which they are reported: causes before their effects.
RULES: Sequence[Rule] = (
    *data_rules.RULES,
    *general_rules.RULES,
    *adversarial_rules.RULES,
    *autoencoding_rules.RULES,
    *diffusion_rules.RULES,
    *flow_rules.RULES,
    *translation_rules.RULES,
    *restoration_rules.RULES,
    *inpainting_rules.RULES,
)


def own_rule(part: Part, own: Mapping[str, Any]) -> Rule:
    """Return a user's own rule: a `Rule`, or a function (history, context) -> Sign or None with traits.

    Raises:
        UsageError: it is neither, or lacks a trait.
    """
    if isinstance(part.value, Rule):
        return replace(part.value, name=part.name)
    missing = [trait for trait in ("symptom", "why") if trait not in part.traits]
    if missing or not callable(part.value):
        raise UsageError(
            f'the rule "{part.name}" must be a function (history, context) that returns a Sign or None, '
            f'registered as genlab.part("rule", "{part.name}", symptom="…", why="…", needs=["signal"]). '
            f"Missing: {', '.join(missing) or 'the function'}."
        )

    def check(history: History, context: Context) -> Sign | None:
        with calling(part):
            sign: Sign | None = part.value(history, context)
        return sign

    return Rule(part.name, check=check, **part.traits)


ALL_RULES: Table[Rule] = Table("rule", {rule.name: rule for rule in RULES}, own_rule)


@dataclass(frozen=True)
class Diagnosis:
    """The findings, the resolved ones, and the rules that could not be checked because they lack signals."""

    findings: Sequence[Finding]
    unchecked: Mapping[str, Sequence[str]]
    notes: Sequence[str] = ()  # how a log of another program was read
    past: Sequence[Finding] = ()  # resolved findings, the oldest first

    @property
    def healthy(self) -> bool:
        """Whether nothing is a failure."""
        return not any(finding.severity == "failure" for finding in self.findings)

    def values(self) -> dict[str, Any]:
        """Return it as plain values for JSON."""
        return {
            "healthy": self.healthy,
            "findings": [finding.values() for finding in self.findings],
            "past": [finding.values() for finding in self.past],
            "unchecked": {rule: list(needs) for rule, needs in self.unchecked.items()},
            "notes": list(self.notes),
        }

    def __str__(self) -> str:
        parts = ["\n".join(self.notes)] if self.notes else []
        if not self.findings:
            now = " now" if self.past else ""
            parts.append(f"Nothing is wrong{now}, according to the signals of this run.")
        parts += [finding.text() for finding in self.findings]
        if self.past:
            over = "\n".join(f"  {finding.severity}  {finding.line()}" for finding in self.past)
            parts.append(f"Resolved:\n{over}")
        if self.unchecked:
            rules = "\n".join(f"  {rule}: {', '.join(its)}{_after(rule)}" for rule, its in self.unchecked.items())
            parts.append(f"Not checked, because these signals are missing:\n{rules}")
        return "\n\n".join(parts)


def _after(rule: str) -> str:
    command = ALL_RULES[rule].after if rule in ALL_RULES else ""
    return f" (after {command})" if command else ""


def examine(history: History, context: Context, rules: Sequence[Rule] | None = None) -> Diagnosis:
    """Return the findings of the rules of the run's family at the end of `history`; by default of all rules."""
    findings, unchecked = _found(history, context, rules)
    return Diagnosis([with_possible_remedies(finding, context) for finding in findings], unchecked)


def examine_all(history: History, context: Context, earlier: Sequence[Finding] = ()) -> Diagnosis:
    """Return the findings at the end of `history`, and those of earlier steps that are resolved.

    Args:
        history: of the run.
        context: of the run.
        earlier: findings that were reported while the run trained. One that is not found again, because a
            treatment or another phase has replaced its part of the history, counts as resolved at the step of its
            report.
    """
    present: dict[str, Finding] = {}
    past: list[Finding] = []
    for step in _examined_steps(history, [finding.step for finding in earlier]):
        found = {finding.rule: finding for finding in _found(history.until(step), context)[0]}
        past += [present.pop(rule) for rule in present.keys() - found.keys()]
        present |= {rule: replace(present.get(rule, its), until=step, remedies=()) for rule, its in found.items()}
    known = [(each.rule, each.step, each.until or 0) for each in (*past, *present.values())]
    for finding in earlier:
        if not any(rule == finding.rule and step <= finding.step <= until for rule, step, until in known):
            past.append(replace(finding, until=finding.step, remedies=()))
    return replace(examine(history, context), past=sorted(past, key=lambda each: (each.since, each.rule)))


def _examined_steps(history: History, others: Sequence[int]) -> list[int]:
    """Return the steps at which a history is examined: of every line at first, then less often, and `others`."""
    looks, place = {int(step) for step in others if step <= history.step}, 0
    while place < len(history):
        looks.add(int(history.steps[place]))
        place += max(1, int(2 * SHARE * place))
    return sorted(looks | {history.step})


def _found(
    history: History, context: Context, rules: Sequence[Rule] | None = None
) -> tuple[list[Finding], dict[str, list[str]]]:
    """Return the findings with all their remedies, and the missing signals of rules that cannot be checked."""
    findings, unchecked = [], {}
    for rule in rules if rules is not None else ALL_RULES.values():
        if context.family and rule.families and context.family not in rule.families:
            continue
        missing = rule.missing(history)
        if missing:
            unchecked[rule.name] = missing
        elif finding := rule(history, context):
            findings.append(finding)
    return findings, unchecked


def with_possible_remedies(finding: Finding, context: Context) -> Finding:
    """Return a finding with only the possible remedies.

    If the run's recipe is known, a remedy must change it, and its changes are given as new values.
    """
    remedies = list(finding.remedies)
    if context.options:
        changed = [(remedy.apply(context.options, context.published), remedy.why) for remedy in remedies]
        remedies = [Remedy([Change(n, to=v) for n, v in values.items()], why) for values, why in changed if values]
    possible = [r for r in remedies if context.possible({change.option: change.to for change in r.changes})]
    return replace(finding, remedies=possible)


class Doctor:
    """Watches a run while it trains, and reports each finding once."""

    def __init__(
        self,
        context: Context,
        lines: Iterable[Mapping[str, Any]] = (),
        reported: Iterable[str] = (),
        earlier: Iterable[Finding] = (),
    ) -> None:
        """Start with the context of the run, its history, the rules not to report again, and earlier findings."""
        self.context = context
        self.earlier = list(earlier)
        self.lines = [_plain(line) for line in lines]
        self.reported = set(reported)
        self.due = 0  # the next step at which it examines

    def update(self, step: int, values: Mapping[str, Any]) -> list[Finding]:
        """Add the values of a step to the history; return new findings."""
        self.lines.append(_plain({"step": step, **values}))
        if len(self.lines) > MOST:
            half = MOST // 2
            self.lines = self.lines[:half:2] + self.lines[half:]
        if step < self.due:
            return []
        self.due = step + max(LEAST_STEPS, int(SHARE * step))
        found = [f for f in examine(History(self.lines), self.context).findings if f.rule not in self.reported]
        self.reported |= {finding.rule for finding in found}
        self.earlier += found
        return found

    def now(self) -> Diagnosis:
        """Return the present diagnosis with the resolved findings."""
        return examine_all(History(self.lines), self.context, self.earlier)


def _plain(line: Mapping[str, Any]) -> dict[str, Any]:
    """Return a line without profiles (kl[0], kl[1], …), which no rule reads."""
    return {name: value for name, value in line.items() if not signal(name).profile}
