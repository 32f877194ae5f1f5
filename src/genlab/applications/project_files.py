"""Projects examples one after the other into rows of latents, and measures what the latents are decoded to."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor, nn

from genlab.applications.capability import need
from genlab.applications.project import Codes, Projecting, project
from genlab.applications.project_baselines import Baselines
from genlab.applications.rows import Rows
from genlab.core.contract import Decodes
from genlab.core.device import device_of
from genlab.core.errors import UsageError
from genlab.data.dataset import Rejected
from genlab.data.originals import Original, Originals, squashed_of, stacked
from genlab.data.progress import bar
from genlab.metrics.similarity import mse

AT_ONCE = 64  # examples that are projected before they are written
SHOWN = 16  # examples that are kept for the picture


def project_each(
    model: nn.Module, given: Originals, rows: Rows, how: Projecting, classes: Sequence[str], *, progress: bool
) -> list[Rejected]:
    """Append the latents of all examples to `rows`, except of those that are there; return what is no picture.

    The label of a row is the class under which it is decoded, for a model with classes.

    Raises:
        GenlabError: as `project`.
        StorageError: the disk refused.
    """
    rejected = list[Rejected]()
    with bar(progress) as shown:
        task = shown.add_task("projecting", total=given.count, completed=len(rows.names))
        for chunk in given.chunks(rejected, done=set(rows.names), most=AT_ONCE):
            x = stacked(chunk).to(device_of(model))
            codes = project(model, x, how, labels_of(chunk, classes).to(x.device))
            rows.add([each.name for each in chunk], _classes(codes, chunk, classes), codes.latents.cpu().numpy())
            shown.update(task, completed=len(rows.names) + len(rejected))
    return rejected


def labels_of(examples: Sequence[Original], classes: Sequence[str]) -> Tensor:
    """Return the positions of the examples' classes among `classes`, (B,); −1 for those that are none of them."""
    known = {name: at for at, name in enumerate(classes)}
    return torch.tensor([known.get(each.label or "", -1) for each in examples])


def _classes(codes: Codes, examples: Sequence[Original], classes: Sequence[str]) -> list[str | None]:
    if "label" not in codes.condition:
        return [each.label for each in examples]
    return [classes[label] for label in codes.condition["label"].tolist()]


def conditions_of(labels: Sequence[str | None], classes: Sequence[str]) -> dict[str, Tensor]:
    """Return the condition of rows of latents, for a model with `classes`.

    Raises:
        UsageError: the label of a row is no class of the model.
    """
    if not classes:
        return {}
    known = {name: at for at, name in enumerate(classes)}
    for label in labels:
        if label not in known:
            given = f'the class "{label}"' if label else "no class"
            raise UsageError(f"a row of latents has {given}; the model knows {', '.join(classes)}.")
    return {"label": torch.tensor([known[label] for label in labels if label])}


@dataclass
class Projected:
    """How near the decoded latents are to the examples, beside the baselines."""

    errors: dict[str, list[float]] = field(default_factory=dict)  # mean squared errors, by what is compared
    columns: dict[str, list[Tensor]] = field(default_factory=dict)  # the first examples, and what is compared
    squashed: int = 0  # pictures whose aspect ratio is not the model's


def measure_each(
    model: nn.Module, given: Originals, rows: Rows, classes: Sequence[str], baselines: Baselines | None
) -> Projected:
    """Decode the latents in `rows`, and compare them with their examples, in the order of the rows.

    Raises:
        GenlabError: the model does not decode.
    """
    done, place = Projected(), {name: at for at, name in enumerate(rows.names)}
    errors = dict[str, list[float]]()
    found = list[int]()
    for chunk in given.chunks([]):
        at = [place[each.name] for each in chunk]
        x, compared = stacked(chunk), {"projection": _decoded(model, rows, at, classes)}
        if baselines:
            compared |= {"nearest": baselines.nearest(x), "PCA": baselines.principal(x)}
        for name, made in compared.items():
            errors.setdefault(name, []).extend(mse(made, x).tolist())
        kept = max(0, SHOWN - len(found))
        for name, each in {"source": x, **compared}.items():
            done.columns.setdefault(name, []).append(each[:kept])
        found += at
        done.squashed += squashed_of([each.size for each in chunk], given.modality.shape)
    order = np.argsort(found)
    done.errors = {name: [values[at] for at in order] for name, values in errors.items()}
    return done


def _decoded(model: nn.Module, rows: Rows, at: Sequence[int], classes: Sequence[str]) -> Tensor:
    device = device_of(model)
    latents = torch.from_numpy(np.array(rows.values[list(at)])).to(device)
    condition: Mapping[str, Tensor] = conditions_of([rows.labels[row] for row in at], classes)
    given = {name: value.to(device) for name, value in condition.items()}
    return need(model, Decodes, "genlab project").decode(latents, given).cpu()
