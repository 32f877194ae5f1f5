"""A run as Python and notebooks see it: a view of its folder."""

import json
import os
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, TypeAlias

from genlab.core.errors import GenlabError
from genlab.core.files import read
from genlab.metrics.figures import Figure
from genlab.recipes.fields import checked
from genlab.recipes.resolve import Plan, from_values
from genlab.recipes.settings import CheckpointName
from genlab.runs.columns import Columns
from genlab.runs.display import Preview, page
from genlab.training.choice import best_evaluation
from genlab.training.criterion import recorded_criterion, values_of
from genlab.training.lines import MOST
from genlab.training.report import verdict
from genlab.training.run_folder import TIME, RunFolder, find

if TYPE_CHECKING:
    from torch import nn

    from genlab.diagnosis.doctor import Diagnosis
    from genlab.diagnosis.finding import Finding

State: TypeAlias = Literal["new", "training", "finished", "interrupted", "stopped"]
_ENDS: Mapping[str, State] = {  # the events that end a run
    "diagnosis": "finished",
    "patience": "finished",
    "interrupted": "interrupted",
    "fault": "stopped",
}


class Best(NamedTuple):
    """The best evaluation of a run."""

    criterion: str
    value: float
    step: int


class Run(os.PathLike[str]):
    """A run: what was trained, how far it came, what was recorded, and its model.

    It is a view of the run's folder: it is read again for every value, so that a run can be followed while it
    trains, from another process too. It can be used as the path of its folder.

    >>> run = Run("runs/dcgan")  # or Run("latest"), or what `genlab.train` returned
    >>> run.state, run.step
    ('training', 1200)
    >>> run.history["generator_loss"]
    >>> model = run.load()

    Args:
        run: a run folder, a name in `root`, or "latest".
        root: the folder of the runs.

    Raises:
        UsageError: there is no such run.
    """

    folder: Path

    def __init__(self, run: str | os.PathLike[str] = "latest", *, root: str | Path = "runs") -> None:
        named = [checked(name, value, str | os.PathLike) for name, value in (("run", run), ("root", root))]
        self.folder = find(*map(Path, named)).path

    def __fspath__(self) -> str:
        return str(self.folder)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Run) and self.folder.resolve() == other.folder.resolve()

    def __hash__(self) -> int:
        return hash(self.folder.resolve())

    @property
    def _files(self) -> RunFolder:
        return RunFolder(self.folder)

    @property
    def name(self) -> str:
        """The name of its folder."""
        return self.folder.name

    @property
    def plan(self) -> Plan:
        """Its preset, recipe and settings: `run.plan.recipe.batch_size`, `run.plan.settings.seed`.

        Own parts of the run may be missing: it names them, but lacks their options.

        Raises:
            GenlabError: recipe.yaml is damaged, or has an option that this version of genlab lacks.
        """
        where = str(self.folder / "recipe.yaml")
        return from_values(self._files.read_yaml("recipe.yaml"), where, needs_parts=False)

    @property
    def preset(self) -> str:
        """The preset that it trains."""
        return self.plan.preset

    @property
    def data(self) -> str:
        """Its data, as --data names them."""
        return self.plan.settings.data

    @property
    def step(self) -> int:
        """The newest recorded step; 0 before the first."""
        files = self._files
        newest = next(files.newest("history"), None), next(files.newest("events"), None)
        return max((line["step"] for line in newest if line), default=0)

    @property
    def state(self) -> State:
        """What has become of it.

        "new": before its first step; "training" in any process now; "finished": by its steps, minutes or patience;
        "stopped" by NaN or Inf, or by the doctor; "interrupted": it ended in any other way, and can be resumed.
        """
        if self._files.in_training():
            return "training"
        plan = self.plan
        for event in self._files.newest("events"):
            kind = str(event.get("event"))
            if kind in _ENDS:
                return _ENDS[kind]
            if kind == "finding" and event["severity"] == "failure" and plan.settings.on_failure != "warn":
                return "stopped"
            if kind in ("started", "resumed"):
                break
        step = self.step
        return "new" if not step else "finished" if step >= plan.recipe.steps else "interrupted"

    @property
    def best(self) -> Best | None:
        """The evaluation of the checkpoint that is used by default; None before the first that counts."""
        event = best_evaluation(self._files)
        return Best(*recorded_criterion(event), event["step"]) if event else None

    @property
    def history(self) -> Columns:
        """The signals of each logged step; empty before the first."""
        return Columns(self._files.history())

    @property
    def evaluations(self) -> Columns:
        """The evaluations during training, with the number of `images` and whether each was the `best` so far."""
        kept = ("step", "images", "best")
        events = self._files.events("evaluation")
        return Columns({n: e[n] for n in kept if n in e} | values_of(e) for e in events)

    @property
    def figures(self) -> Sequence[Figure]:
        """The figures that `genlab evaluate` has stored, those of the newest checkpoint first.

        Raises:
            GenlabError: a stored result is damaged.
        """
        paths = sorted(self._files.evaluations.glob("*.json"), key=_evaluated, reverse=True)
        return [figure for path in paths for figure in _figures(path)]

    @property
    def findings(self) -> Sequence["Finding"]:
        """What the doctor finds in its present state."""
        return self._diagnosis().findings

    @property
    def past_findings(self) -> Sequence["Finding"]:
        """The resolved findings, the oldest first; `until` is the last step of each."""
        return self._diagnosis().past

    def _diagnosis(self) -> "Diagnosis":
        from genlab.runs.diagnose import diagnose_run

        return diagnose_run(self._files)

    @property
    def pictures(self) -> Sequence[Preview]:
        """Its previews, oldest first."""
        return [Preview(int(path.stem), path) for path in self._files.previews()]

    def load(
        self,
        *,
        checkpoint: CheckpointName | None = None,
        device: str = "cpu",
        **sampling: Any,  # noqa: ANN401 (checked by the recipe)
    ) -> "nn.Module":
        """Return its model, as `genlab.load` does."""
        from genlab.runs.load import load_model

        return load_model(self._files, checkpoint, device, sampling)

    def values(self) -> dict[str, Any]:
        """Return a summary as plain values for JSON.

        Raises:
            GenlabError: a file of the run is damaged.
        """
        plan, best = self.plan, self.best
        return {
            "name": self.name,
            "folder": str(self.folder),
            "preset": plan.preset,
            "data": plan.settings.data,
            "step": self.step,
            "steps": plan.recipe.steps,
            "state": self.state,
            "best": best._asdict() if best else None,
            "changed": self._changed(),
        }

    def _changed(self) -> str:
        """Return when it last reported anything, in UTC, or was created."""
        newest = next(self._files.newest("events"), {})
        created = (self.folder / "recipe.yaml").stat().st_mtime
        return str(newest.get("time") or time.strftime(TIME, time.gmtime(created)))

    def __repr__(self) -> str:
        return f"Run({str(self.folder)!r})"

    def __str__(self) -> str:
        return (
            f"{self._title()}\n{verdict(self._files)}\n"
            f"  pictures  {self.folder}/previews\n"
            f"  report    {self.folder}/report.html"
        )

    def _repr_html_(self) -> str:
        return page(self._files, self._title(), self._diagnosis())

    def _title(self) -> str:
        plan = self.plan
        return f"{self.name}: {plan.preset} on {plan.settings.data} ({self.state})"


def _evaluated(path: Path) -> tuple[int, float]:
    """Return the step of the checkpoint of a stored result, and when it was stored."""
    step = path.name.split("-")[1:2]
    return int(step[0]) if step and step[0].isdecimal() else 0, path.stat().st_mtime


def _figures(path: Path) -> list[Figure]:
    try:
        return [Figure.of(plain) for plain in json.loads(read(path, MOST))["figures"]]
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        raise GenlabError(f"{path} is damaged ({error!r}); delete it and run `genlab evaluate` again") from None
