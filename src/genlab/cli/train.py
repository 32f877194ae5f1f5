"""`genlab train`, with a subcommand for each preset whose flags are its options."""

import inspect
from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import App, Group, Parameter

from genlab.cli.command import show, signed
from genlab.recipes.fields import aliases, flag, options_of
from genlab.recipes.presets import PRESETS, SUMMARIES
from genlab.recipes.resolve import Plan, resolve
from genlab.verbs.train import train
from genlab.verbs.verb import helps, summary

if TYPE_CHECKING:
    from genlab.runs.train import Result


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


def _command(name: str, plan: Plan, summary: str) -> Callable[..., None]:
    """Return a function with the options of `plan` as keyword arguments and their values as defaults."""

    def command(**options: Any) -> None:  # noqa: ANN401 (checked by the recipe)
        result = train(name, **options)
        if not options.get("quiet"):
            show(conclusion(result))

    command.__doc__ = summary
    return signed(command, [*_parameters(plan.recipe, "Model"), *_parameters(plan.settings, "Run"), _quiet()])


def _parameters(options: Any, title: str) -> list[inspect.Parameter]:  # noqa: ANN401 (any dataclass)
    group = _group(title)
    known, others = options_of(options), aliases(options)
    parameters = []
    for option in known.values():
        flags = [
            flag(option.name),
            *(flag(alias) for alias, targets in others.items() if targets == [option.name]),
        ]
        about = Parameter(name=flags, help=option.help, group=group, negative_iterable=())
        parameters.append(_parameter(option.name, option.value, option.hint, about))
    for alias, targets in others.items():
        if len(targets) > 1:
            about = Parameter(help=f"sets {' and '.join(map(flag, targets))}", group=group)
            parameters.append(_parameter(alias, None, known[targets[0]].hint | None, about))
    return parameters


def _quiet() -> inspect.Parameter:
    about = Parameter(help=helps(train)["quiet"], group=_group("Run"), negative_bool=())
    return _parameter("quiet", False, bool, about)


def _group(title: str) -> Group:
    return Group(title, sort_key=1 if title == "Model" else 2)


def _parameter(name: str, default: Any, hint: Any, about: Parameter) -> inspect.Parameter:  # noqa: ANN401
    annotation = Annotated[hint, about]
    return inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=annotation)


def conclusion(result: "Result") -> str:
    """Return where the results of a run are, and what to try next."""
    from genlab.training.report import duration

    folder, progress = result.folder, result.progress
    further = result.planned_steps if progress.step < result.planned_steps else 2 * progress.step
    use = "interpolate" if result.has_latents else "sample"
    over = "\nThis run was complete. Give --steps to continue it." if progress.step == result.start_step else ""
    return (
        f"\n{progress.step:,} steps in {duration(progress.seconds)}{over}\n\n"
        f"  pictures  {folder}/previews\n"
        f"  report    {folder}/report.html\n"
        f"  model     {folder}/checkpoints/{'best' if progress.best_step else 'last'}/model.safetensors\n\n"
        f"Try next:\n"
        f"  genlab info {folder}\n"
        f"  genlab {use} {folder}\n"
        f"  genlab resume {folder} --steps {further}"
    )
