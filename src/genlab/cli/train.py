"""`genlab train`, with a subcommand for each preset whose flags are its options."""

import inspect
from collections.abc import Callable
from functools import partial
from typing import Any, get_args

from cyclopts import App, Group, Parameter

from genlab.cli.command import option, printing
from genlab.core.text import escaped
from genlab.recipes.fields import aliases, flag, options_of
from genlab.recipes.presets import PRESETS
from genlab.recipes.resolve import Plan, resolve
from genlab.recipes.summaries import SUMMARIES
from genlab.verbs.train import train
from genlab.verbs.verb import helps, summary


def training_app(typed: str | None) -> App:
    """Return the command `train`; `typed` is the preset or YAML file that the user typed, if any."""
    first = summary(train).partition("\n")[0]
    app = App(
        name="train",
        help=f"{first} `genlab train dcgan --help` lists the options of a preset.",
    )
    app.help_format = "markdown"
    for name in PRESETS:
        app.command(_command(name, resolve(name), SUMMARIES[name]), name=name)
    if typed and typed.endswith((".yaml", ".yml")):
        app.command(_command(typed, resolve(typed), f"Train the recipe in {typed}."), name=typed)
    return app


def _command(name: str, plan: Plan, about: str) -> Callable[..., None]:
    """Return a command with the options of `plan` as flags and their values as defaults."""
    run = _group("Run")
    quiet = Parameter(help=helps(train)["quiet"], negative_bool=(), group=run)
    parameters = [*_parameters(plan.recipe, "Model"), *_parameters(plan.settings, "Run")]
    return printing(partial(train, name), "train", about, [*parameters, option("quiet", False, bool, quiet)], run)


def _parameters(options: Any, title: str) -> list[inspect.Parameter]:  # noqa: ANN401 (any dataclass)
    group = _group(title)
    known, others = options_of(options), aliases(options)
    parameters = []
    for each in known.values():
        flags = [
            flag(each.name),
            *(flag(alias) for alias, targets in others.items() if targets == [each.name]),
        ]
        shown = escaped if isinstance(each.value, str) else None
        about = Parameter(
            name=flags,
            help=each.help,
            group=group,
            negative_iterable=(),
            show_default=shown,
            consume_multiple=get_args(each.hint)[1:] == (...,),  # --ignore a b
        )
        parameters.append(option(each.name, each.value, each.hint, about))
    for alias, targets in others.items():
        if len(targets) > 1:
            about = Parameter(help=f"sets {' and '.join(map(flag, targets))}", group=group)
            parameters.append(option(alias, None, known[targets[0]].hint | None, about))
    return parameters


def _group(title: str) -> Group:
    return Group(title, sort_key=1 if title == "Model" else 2)
