"""`genlab train` and `genlab resume`: a subcommand for each preset, its flags those of its recipe."""

import inspect
from collections.abc import Callable, Mapping
from dataclasses import fields
from typing import TYPE_CHECKING, Annotated, Any, get_type_hints

from cyclopts import App, Group, Parameter

from genlab.cli.options import RUNS, Root, Run
from genlab.recipes.fields import aliases, flag
from genlab.recipes.presets import PRESETS, SUMMARIES
from genlab.recipes.resolve import Plan, resolve
from genlab.recipes.settings import DeviceName, FailureName, PrecisionName

if TYPE_CHECKING:
    from genlab.runs.train import Result


def training_app(asked: str | None) -> App:
    """Return the command `train`; `asked` is what the user wants trained, if that is known yet."""
    app = App(
        name="train", help="Train a preset, or what a YAML file says. `genlab train dcgan --help` has its options."
    )
    app.help_format = "markdown"
    for name in PRESETS:
        app.command(_command(resolve(name), SUMMARIES[name]), name=name)
    if asked and asked.endswith((".yaml", ".yml")):
        app.command(_command(resolve(asked), f"Train what {asked} says."), name=asked)
    return app


def _command(plan: Plan, summary: str) -> Callable[..., None]:
    """Return a function whose keyword arguments are the options of `plan`, with its values as defaults."""

    def command(**options: Any) -> None:  # noqa: ANN401 (checked by the recipe)
        changed = plan.changed(options)  # refused, if it is, before torch is imported

        from genlab.runs.train import train

        conclude(train(changed))

    parameters = [*_parameters(plan.recipe, "Model"), *_parameters(plan.settings, "Run")]
    command.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    command.__annotations__ = {p.name: p.annotation for p in parameters}
    command.__doc__ = summary
    return command


def _parameters(options: Any, title: str) -> list[inspect.Parameter]:  # noqa: ANN401 (any dataclass)
    group = Group(title, sort_key=1 if title == "Model" else 2)
    hints = get_type_hints(type(options))
    others = aliases(options)
    parameters = []
    for f in fields(options):
        flags = [flag(f.name), *(flag(alias) for alias, targets in others.items() if targets == [f.name])]
        about = Parameter(name=flags, help=f.metadata["help"], group=group, negative_iterable=())
        parameters.append(_parameter(f.name, getattr(options, f.name), hints[f.name], about))
    for alias, targets in others.items():
        if len(targets) > 1:
            about = Parameter(help=f"sets {' and '.join(map(flag, targets))}", group=group)
            parameters.append(_parameter(alias, None, hints[targets[0]] | None, about))
    return parameters


def _parameter(name: str, default: Any, hint: Any, about: Parameter) -> inspect.Parameter:  # noqa: ANN401
    annotation = Annotated[hint, about]
    return inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=annotation)


def resume(
    run: Run = "latest",
    *,
    steps: int | None = None,
    minutes: float | None = None,
    patience: int | None = None,
    on_failure: FailureName | None = None,
    device: DeviceName | None = None,
    precision: PrecisionName | None = None,
    root: Root = RUNS,
) -> None:
    """Go on with a run from its last checkpoint, to the same bits as if it had never stopped.

    Parameters
    ----------
    steps
        Train to this many steps in all.
    minutes
        Train for this many minutes in all.
    patience
        Stop after so many evaluations without a better one.
    on_failure
        What to do where the doctor finds a failure: warn, stop or treat.
    device
        Where to compute from here on.
    precision
        What networks multiply in from here on: auto, bf16 or float32.
    """
    from genlab.runs import train

    options: Mapping[str, Any] = {
        "steps": steps,
        "minutes": minutes,
        "patience": patience,
        "on_failure": on_failure,
        "device": device,
        "precision": precision,
    }
    conclude(train.resume(run, {name: value for name, value in options.items() if value is not None}, root=root))


def conclude(result: "Result") -> None:
    """Say where everything is and what to try next."""
    from genlab.core.distributed import WHOLE, launched
    from genlab.training.report import duration

    if launched().rank != WHOLE.rank:
        return
    folder, progress = result.folder, result.progress
    further = result.planned_steps if progress.step < result.planned_steps else 2 * progress.step
    use = "interpolate" if result.has_latents else "sample"
    over = "\nThis run was over; give --steps to go on." if progress.step == result.start_step else ""
    print(
        f"\n{progress.step:,} steps in {duration(progress.seconds)}{over}\n\n"
        f"  pictures  {folder}/previews\n"
        f"  report    {folder}/report.html\n"
        f"  model     {folder}/checkpoints/{'best' if progress.best_step else 'last'}/model.safetensors\n\n"
        f"Try next:\n"
        f"  genlab info {folder}\n"
        f"  genlab {use} {folder}\n"
        f"  genlab resume {folder} --steps {further}"
    )
