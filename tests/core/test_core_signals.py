"""The table of signals: every name that a run reports is in it, and nothing else."""

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import genlab
from genlab.core.signal_kinds import CRITERION, Kind, Signal
from genlab.core.signals import ALIASES, SIGNALS, signal
from genlab.diagnosis.doctor import RULES, examine
from genlab.diagnosis.history import History, Series
from genlab.diagnosis.logs import COLUMNS, RECOGNISED
from genlab.diagnosis.rule import Context
from genlab.runs.diagnose import records
from genlab.training.criterion import CRITERIA, values_of
from genlab.training.run_folder import RunFolder

DIGITS = {"data": "digits", "size": 16}
PAIRS = {"data": "paired-digits", "size": 16, "discriminator": "patch-16"}
# A preset of each family, with parts that report signals of their own.
FAMILIES: list[tuple[str, dict[str, Any]]] = [
    ("acgan", {**DIGITS, "width": 4, "r1": 1.0, "r2": 1.0, "dragan": 1.0, "historical_averaging": 0.1}),
    ("stylegan2", {**DIGITS, "width": 4, "latent": 8, "mapping_layers": 1}),
    ("vae", {"data": "ring8", "width": 8}),
    ("sparse-autoencoder", {**DIGITS, "width": 8, "corruption": "gaussian", "corruption_level": 0.1}),
    ("pix2pix", {**PAIRS, "width": 4}),
    ("cyclegan", {**PAIRS, "width": 4, "blocks": 1}),
    ("cut", {**PAIRS, "size": 32, "width": 4, "pairs": "unaligned"}),
    ("stargan", {**DIGITS, "width": 4, "blocks": 1}),
    ("style-transfer", {"data": "paired-digits", "size": 16, "width": 4}),
    ("edsr", {**DIGITS, "width": 4, "blocks": 1}),
    (
        "gated-inpainting",
        {
            **DIGITS,
            "width": 4,
            "discriminator": "patch-16",
            "perceptual_weight": 0.1,
            "style_weight": 1.0,
            "smoothness_weight": 0.1,
        },
    ),
    (
        "srgan",
        {
            **DIGITS,
            "size": 32,
            "width": 4,
            "blocks": 1,
            "discriminator": "patch-16",
            "discriminator_width": 4,
            "steps": 20,
            "style_weight": 1e-3,
            "smoothness_weight": 1e-3,
        },
    ),
    ("glow", {**DIGITS, "width": 4, "flow_steps": 1}),
    (
        "ddpm",
        {
            "data": "ring8",
            "architecture": "mlp",
            "width": 8,
            "timesteps": 4,
            "dropout": 0.0,
            "prediction": "velocity",
        },
    ),
]


SCORES = {"auroc_chance_error": 0.1, "figures": [{"score": "latent", "auroc": 0.9}]}


@pytest.fixture(scope="module")
def reported(tmp_path_factory: pytest.TempPathFactory) -> set[str]:
    """All names in the history, the evaluations and the diagnosis of a tiny run of each family."""
    root, names = tmp_path_factory.mktemp("signals"), set[str]()
    for preset, options in FAMILIES:
        folder = RunFolder(
            Path(genlab.train(preset, quiet=True, root=root, log_every=1, **{"batch": 16, "steps": 2, **options}))
        )
        lines, _ = records(folder)
        names |= {name for line in lines for name in line} - {"step"}
        names |= {name for event in folder.events("evaluation") for name in values_of(event)}
    folder.event(2, "scores", SCORES)
    names |= {name for line in records(folder)[0] for name in line} - {"step"}
    return names


def test_everything_that_is_reported_is_in_the_table(reported: set[str]) -> None:
    assert [name for name in sorted(reported) if signal(name) not in SIGNALS] == []


def test_everything_in_the_table_is_reported_but_what_only_other_programs_log(reported: set[str]) -> None:
    rows = {signal(name).name for name in reported}
    assert [row.name for row in SIGNALS if (row.name in rows) == row.foreign] == []


def test_each_row_is_the_only_one_for_its_name_and_says_what_it_means() -> None:
    assert len({row.name for row in SIGNALS}) == len(SIGNALS)
    for row in SIGNALS:
        assert signal(re.sub(r"\{\w+\}", "7", row.name)) == row
        assert re.fullmatch(r"[^a-z].*\.", row.meaning)
    kinds = {row.kind.name: row.kind for row in SIGNALS}
    assert all(row.kind == kinds[row.kind.name] for row in SIGNALS)


def test_a_name_that_is_in_no_row_has_an_axis_of_its_own() -> None:
    assert signal("temperature") == Signal("temperature", Kind("temperature"), "none", "")
    assert signal("entropy[3]") == signal("entropy[12]")
    assert signal("entropy[3]").profile
    assert not signal("fd[pixels]").profile


def test_the_criteria_are_rows_whose_lower_value_is_better() -> None:
    rows = {row.name: row for row in SIGNALS}
    assert {rows[name].better for name in (*CRITERIA, CRITERION)} == {"lower"}


class Anything(History):
    """A history that has every signal, and remembers for which it is asked."""

    def __init__(self) -> None:
        super().__init__([{"step": 100}])
        self.asked: set[str] = set()

    def __getitem__(self, name: str) -> Series:
        self.asked.add(name)
        return Series(np.arange(1.0, 101.0), np.ones(100))

    def __contains__(self, name: str) -> bool:
        self.asked.add(name)
        return True


@pytest.mark.parametrize("family", ["gan", "vae", "autoencoder", "diffusion", "flow"])
def test_rules_need_and_read_signals_of_the_table_only(family: str) -> None:
    history = Anything()
    examine(history, Context(family, options={"beta": 1.0}, facts={"classes": 2.0}))
    needed = {name for rule in RULES if family in rule.families for name in rule.signals}
    assert [name for name in sorted(needed | history.asked) if signal(name) not in SIGNALS] == []


def test_each_alias_of_other_programs_means_one_signal() -> None:
    aliases = [alias for names in (*ALIASES.values(), *COLUMNS.values()) for alias in names]
    assert len(set(aliases)) == len(aliases)
    assert all(re.fullmatch("[a-z0-9]+", alias) for alias in aliases)
    assert [name for name in ALIASES if signal(name) not in SIGNALS] == []
    assert ALIASES.keys() | COLUMNS.keys() <= set(RECOGNISED)


def test_without_a_direction_of_improvement_the_meaning_says_what_is_good() -> None:
    undirected = [row for row in SIGNALS if row.better == "none" and row.name != "seconds"]
    assert [row.name for row in undirected if "good" not in row.meaning] == []


def test_every_kind_of_the_table_is_in_a_group_of_loggers() -> None:
    groups = {row.kind.group for row in SIGNALS}
    assert groups == {"loss", "discriminator", "optimizer", "probe", "latent", "evaluation"}
    assert signal("temperature").kind.group == "own"
