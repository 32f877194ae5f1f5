"""`genlab train`, with a subcommand for each preset whose flags are its options, and `genlab resume`."""

import inspect
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import App, Group, Parameter

from genlab.cli.options import RUNS, Root, Run
from genlab.recipes.fields import aliases, flag, options_of
from genlab.recipes.presets import PRESETS, SUMMARIES
from genlab.recipes.resolve import Plan, resolve
from genlab.recipes.settings import DeviceName, FailureName, PrecisionName

if TYPE_CHECKING:
    from genlab.runs.train import Result


def training_app(typed: str | None) -> App:
    """Return the command `train`; `typed` is the preset or YAML file that the user typed, if any."""
    app = App(
        name="train",
        help="Train a preset or a YAML file. `genlab train dcgan --help` lists the options of a preset.",
    )
    app.help_format = "markdown"
    for name in PRESETS:
        app.command(_command(resolve(name), SUMMARIES[name]), name=name)
    if typed and typed.endswith((".yaml", ".yml")):
        app.command(_command(resolve(typed), f"Train the recipe in {typed}."), name=typed)
    return app


def _command(plan: Plan, summary: str) -> Callable[..., None]:
    """Return a function with the options of `plan` as keyword arguments and their values as defaults."""

    def command(**options: Any) -> None:  # noqa: ANN401 (checked by the recipe)
        changed = plan.changed(options)  # raises errors before torch is imported

        from genlab.runs.train import train

        conclude(train(changed))

    parameters = [*_parameters(plan.recipe, "Model"), *_parameters(plan.settings, "Run")]
    command.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    command.__annotations__ = {p.name: p.annotation for p in parameters}
    command.__doc__ = summary
    return command


def _parameters(options: Any, title: str) -> list[inspect.Parameter]:  # noqa: ANN401 (any dataclass)
    group = Group(title, sort_key=1 if title == "Model" else 2)
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
    """Continue a run from its last checkpoint, bit for bit as if it had never stopped.

    Parameters
    ----------
    steps
        Train up to this many steps in total.
    minutes
        Train for this many minutes in total.
    patience
        Stop after this many evaluations without improvement.
    on_failure
        What to do if the doctor finds a failure; treat goes back and applies a remedy.
    device
        Device to compute on from now on.
    precision
        Precision inside the networks from now on.
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
    """Print where the results are and what to try next."""
    from genlab.core.distributed import WHOLE, torchrun_shard
    from genlab.training.report import duration

    if torchrun_shard().rank != WHOLE.rank:
        return
    folder, progress = result.folder, result.progress
    further = result.planned_steps if progress.step < result.planned_steps else 2 * progress.step
    use = "interpolate" if result.has_latents else "sample"
    over = "\nThis run was complete. Give --steps to continue it." if progress.step == result.start_step else ""
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
