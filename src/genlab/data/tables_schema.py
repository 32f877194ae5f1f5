"""Decides which columns of a table become entries, and which are labels, keys, constant or left out."""

from collections.abc import Mapping, Sequence

from genlab.core.column import Column
from genlab.core.errors import DataError, UsageError, suggestion
from genlab.core.table import MOST_ENTRIES, Table
from genlab.core.text import counted, few
from genlab.data.tables_cells import Raw
from genlab.data.tables_columns import MOST_CHOICES, RULE, Survey

_SHOWN = 10  # columns in a note


def check_columns(raw: Raw, label: str | None, ignore: Sequence[str]) -> None:
    """Check that a table has the columns that options name.

    Raises:
        UsageError: it has not, or one is named twice.
    """
    for option, names in (("--label", [label] if label else []), ("--ignore", ignore)):
        for name in names:
            if name not in raw.names:
                raise UsageError(
                    f'{option} {name}: "{raw.name}" has no such column.{suggestion(name, raw.names)} Choices: '
                    f"{few(raw.names, 40)}."
                )
    if label in ignore:
        raise UsageError(f"--label {label} and --ignore {label}: give one of them. Labels are not trained on.")


def decide(
    raw: Raw, surveys: Mapping[str, Survey], label: str | None, ignore: Sequence[str], share: float
) -> tuple[Table, Column | None, dict[str, str]]:
    """Return the table, the column of the labels, and notes on what was decided.

    Args:
        raw: the table.
        surveys: what its columns hold, without those to ignore.
        label: the column of the labels.
        ignore: columns that are left out.
        share: the largest share of cells of text in a column of numbers.

    Raises:
        DataError: no column to train on, too many entries, categories or labels.
    """
    columns, constants, keys = list[Column](), dict[str, str](), dict[str, str]()
    for name, survey in surveys.items():
        if name == label:
            continue
        if (why := survey.key()) is not None:
            keys[name] = why
        elif (value := survey.constant()) is not None:
            constants[name] = value
        else:
            columns.append(survey.column(share))
    if not columns:
        why = _listed("Constant", constants) + _listed("Keys", keys) or "All are left out by --ignore or --label. "
        raise DataError(
            f'"{raw.name}" has no column to train on. {why}A column needs values that differ; of texts, some that '
            "repeat."
        )
    if (width := sum(column.width for column in columns)) > MOST_ENTRIES:
        raise DataError(
            f'"{raw.name}" has {width:,} entries in a row; the most are {MOST_ENTRIES:,}. Use --ignore.'
        )
    labels = None if label is None else _label(raw.name, surveys[label])
    header = tuple(name for name in raw.names if name not in {*ignore, *keys})
    table = Table(tuple(columns), header, tuple(constants.items()), (*ignore, *keys), label)
    left_out = [f'"{name}" ({why}; to say so: --ignore)' for name, why in keys.items()]
    left_out += [f'"{name}" (--ignore)' for name in ignore]
    left_out += [f'"{name}" (constant: {value or "empty"})' for name, value in constants.items()]
    return table, labels, _notes(raw, surveys, table, labels, left_out)


def _notes(
    raw: Raw, surveys: Mapping[str, Survey], table: Table, labels: Column | None, left_out: Sequence[str]
) -> dict[str, str]:
    """Return what was decided, in words."""
    numbers = sum(not column.choices for column in table.columns)
    categories = len(table.columns) - numbers
    notes = {
        "columns": f"{counted(numbers, 'column')} of numbers, {categories} of categories: {RULE}",
        "scaling": "(x - mean) / standard deviation of the training rows; categories are -1 and 1",
    }
    if left_out:
        notes["left out"] = few(left_out, _SHOWN)
    empty = {column.name: surveys[column.name].empty for column in table.columns}
    if missing := [f'"{name}" in {count:,}' for name, count in empty.items() if count]:
        notes["missing values"] = f"{few(missing, _SHOWN)} of {raw.count:,} rows; an entry of its own says so"
    if labels is not None:
        single = "; there is only one, so that nothing can be told apart by it" if len(labels.choices) == 1 else ""
        notes["labels"] = f'column "{labels.name}", not trained on: {few(labels.choices, _SHOWN)}{single}'
    return notes


def _listed(what: str, names: Mapping[str, str]) -> str:
    return f"{what}: {few(names, _SHOWN)}. " if names else ""


def _label(name: str, survey: Survey) -> Column:
    """Return the labels as a column of categories.

    Raises:
        DataError: too many different ones, or none.
    """
    choices = survey.kept or {f"{value:.15g}" for value in survey.values}
    if not 0 < len(choices) <= MOST_CHOICES:
        found = f"more than {MOST_CHOICES} different values" if choices else "none"
        raise DataError(f'"{name}": the column of labels "{survey.name}" has {found}. Choose another --label.')
    try:
        return Column(survey.name, tuple(sorted(choices, key=float)))
    except ValueError:
        return Column(survey.name, tuple(sorted(choices)))
