"""Commands that use a trained model."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

from genlab.cli.options import AS_TRAINED, RUNS, Checkpoint, Device, Root, Run, Sampling
from genlab.recipes.settings import CheckpointName

MOST_COLUMNS = 16  # in a grid with a column for each class

if TYPE_CHECKING:
    from torch import Tensor, nn

    from genlab.core.modality import Modality
    from genlab.training.run_folder import RunFolder


def sample(
    run: Run = "latest",
    *,
    number: Annotated[int, Parameter(name=["--number", "-n"])] = 64,
    label: str | None = None,
    out: Path | None = None,
    seed: int = 0,
    sampling: Sampling = AS_TRAINED,
    checkpoint: Checkpoint = None,
    device: Device = "auto",
    root: Root = RUNS,
) -> None:
    """Generate images: a PNG with a grid, or a folder with a PNG for each image.

    Parameters
    ----------
    number
        Number of images.
    label
        Class to generate, by name or number, for models trained with labels. By default all classes in turn.
    out
        A .png for a grid, or a folder for single images. By default a grid in the run folder.
    seed
        Seed of the noise; the same seed gives the same images.
    """
    from genlab.applications.sample import sample as draw
    from genlab.core.errors import UsageError
    from genlab.core.pictures import columns_of, stacked
    from genlab.runs.data import find_class, sampling_condition, spec_of

    if number < 1:
        raise UsageError(f"-n must be at least 1, not {number}")
    if out and out.suffix.lower() in (".jpg", ".jpeg", ".webp", ".gif", ".bmp", ".tif", ".tiff"):
        raise UsageError(f"--out {out} must be a .png for a grid, or a folder for single PNGs")
    into = out if out and out.suffix.lower() != ".png" else None
    folder, model, step = _load(run, root, checkpoint, device, sampling.given())
    if into:
        _refuse_as_folder(into, spec_of(folder, step).target)  # before sampling, which may take minutes
    chosen = None if label is None else find_class(folder, label)
    spec = spec_of(folder, step)
    condition = sampling_condition(folder, step, model, number, chosen)
    samples = draw(model, number, seed, condition, progress=True)
    if into:
        _write_singly(samples, into)
        return
    columns = None
    if label is None and 1 < spec.classes <= MOST_COLUMNS and "label" in getattr(model, "conditions", {}):
        columns = columns_of(number, spec.classes)
    sources = [spec.conditions[name].draw(value) for name, value in condition.items() if name != "label"]
    name = _named(step, number, chosen, seed=seed, **sampling.given())
    _write_png(out or folder.path / "samples" / name, stacked([*sources, spec.target.draw(samples, columns)]))


def reconstruct(
    run: Run,
    path: Path,
    *,
    draw: bool = False,
    seed: int = 0,
    out: Path | None = None,
    checkpoint: Checkpoint = None,
    device: Device = "auto",
    root: Root = RUNS,
) -> None:
    """Encode and decode images: a PNG in which each row of images is above the row of their reconstructions.

    Parameters
    ----------
    path
        An image or a folder of images.
    draw
        Decode a draw from each image's posterior instead of its mean.
    seed
        Seed of the draws.
    out
        The .png to write. By default in the run folder.
    """
    from genlab.applications.reconstruct import reconstruct as send
    from genlab.core.device import device_of
    from genlab.data.read import read_images
    from genlab.runs.data import spec_of
    from genlab.training.preview import side_by_side

    _refuse_other_than_png(out)
    folder, model, step = _load(run, root, checkpoint, device)
    names, images, rejected = read_images(path, spec_of(folder, step).target)
    again, errors = send(model, images.to(device_of(model)), seed if draw else None)
    for name, error in zip(names, errors.tolist(), strict=True):
        print(f"{error:.5f}  {name}")
    for item in rejected:
        print(f"rejected  {item.path}: {item.reason}")
    print(f"mean squared error per pixel in [-1, 1]: {errors.mean():.5f}; images: {len(names)}")
    name = _named(step, path.stem or "pictures", seed=seed if draw else None)
    drawn = side_by_side(spec_of(folder, step).target, images, again.cpu())
    _write_png(out or folder.path / "reconstructions" / name, drawn)


def interpolate(
    run: Run = "latest",
    *,
    between: Path | None = None,
    stretches: int = 6,
    frames: int = 10,
    out: Path | None = None,
    seed: int = 0,
    checkpoint: Checkpoint = None,
    device: Device = "auto",
    root: Root = RUNS,
) -> None:
    """Interpolate in latent space: a PNG with a row for each pair of endpoints, and a GIF of all rows.

    Models with a normal prior interpolate on great circles between draws from it, autoencoders on straight lines
    between held-out images.

    Parameters
    ----------
    between
        Folder of images to interpolate between, for models that encode.
    stretches
        Number of rows.
    frames
        Images per row.
    out
        The .png to write; the .gif is written next to it. By default in the run folder.
    seed
        Seed of the draws.
    """
    from genlab.applications.interpolate import interpolate as walk
    from genlab.core.errors import UsageError
    from genlab.core.files import write
    from genlab.core.pictures import gif
    from genlab.runs.data import spec_of

    if stretches < 1 or frames < 2:
        raise UsageError(
            f"an interpolation needs --stretches 1 and --frames 2 or more, not {stretches} and {frames}"
        )
    _refuse_other_than_png(out)
    folder, model, step = _load(run, root, checkpoint, device)
    images = _ends(folder, step, model, between, stretches + 1)
    paths = walk(model, stretches + 1, frames, seed, images).cpu()
    name = _named(step, between and (between.stem or "pictures"), f"{stretches}x{frames}", seed=seed)
    target = out or folder.path / "interpolations" / name
    draw = spec_of(folder, step).target.draw
    _write_png(target, draw(paths.flatten(0, 1), frames))
    animation = target.with_suffix(".gif")
    write(animation, gif([draw(frame[None], 1) for frame in paths.flatten(0, 1)]))
    print(animation)


def info(run: Run = "latest", *, root: Root = RUNS) -> None:
    """Show a run: preset, data, progress, last evaluation, and what its model can do."""
    from genlab.core.contract import Samples, capabilities
    from genlab.runs.data import spec_of
    from genlab.runs.load import load_model
    from genlab.training.evaluation import values_of
    from genlab.training.report import verdict
    from genlab.training.run_folder import find

    folder = find(run, root)
    recipe, data = folder.read_yaml("recipe.yaml"), folder.read_yaml("data.yaml")
    print(f"{folder.path}\n{recipe['preset']} on {data['source']}: {verdict(folder)}")
    _columns("data", {n: v for n, v in data.items() if n not in ("source", "notes")})
    _columns("recipe", {n: v for n, v in recipe.items() if n != "preset"})
    for evaluation in folder.events("evaluation")[-1:]:
        values = {n: f"{v:.5g}" for n, v in values_of(evaluation).items()}
        _columns(f"evaluation at step {evaluation['step']}", values)
    if folder.last.exists():
        model = load_model(folder)
        parts = {n: f"{sum(p.numel() for p in m.parameters()):,} weights" for n, m in model.named_children()}
        _columns("model", parts)
        print(f"\nthe model can {', '.join(capabilities(model))}")
        if isinstance(model, Samples) and "label" in model.conditions:
            print(f"classes for --label: {', '.join(spec_of(folder).class_names)}")


def report(run: Run = "latest", *, root: Root = RUNS) -> None:
    """Write results.csv, results.png and report.html of a run again, even while it trains."""
    from genlab.training.report import write_report
    from genlab.training.run_folder import find

    folder = find(run, root)
    write_report(folder)
    print(folder.path / "report.html")


def _load(
    run: str,
    root: Path,
    checkpoint: CheckpointName | None,
    device: str,
    sampling: dict[str, Any] | None = None,
) -> "tuple[RunFolder, nn.Module, int]":
    """Return a run's folder, its model, and the step of its weights."""
    from genlab.runs.load import load_model, saved_step
    from genlab.training.run_folder import find

    folder = find(run, root)
    return folder, load_model(folder, checkpoint, device, sampling), saved_step(folder, checkpoint)[1]


def _ends(folder: "RunFolder", step: int, model: "nn.Module", between: Path | None, count: int) -> "Tensor | None":
    """Return the images to interpolate between, or None for draws from the prior."""
    from genlab.core.contract import HasPrior
    from genlab.core.device import device_of
    from genlab.core.errors import UsageError
    from genlab.data.read import read_images
    from genlab.runs.data import held_out_of, spec_of

    if between:
        _, images, _ = read_images(between, spec_of(folder, step).target)
    elif isinstance(model, HasPrior):
        return None
    else:
        images = held_out_of(folder, step).x
    if len(images) < count:
        place = between or "the held-out part"
        raise UsageError(f"{place} has {len(images)} images, but --stretches {count - 1} needs {count}")
    return images[:count].to(device_of(model))


def _named(step: int, *parts: object, **options: object) -> str:
    """Return a file name with all options in it, so that other options do not overwrite the file."""
    given = [(name.replace("_", "-"), value) for name, value in options.items() if value is not None]
    words = [f"{step:06d}", *(f"{part}" for part in parts if part is not None)]
    words += [f"{name}-{value}" for name, value in given]
    return "-".join(words) + ".png"


def _refuse_other_than_png(out: Path | None) -> None:
    from genlab.core.errors import UsageError

    if out and out.suffix.lower() != ".png":
        raise UsageError(f"--out {out} must be a .png")


def _write_png(path: Path, picture: Any) -> None:  # noqa: ANN401 (a Picture, not imported for --help)
    from genlab.core.files import storage, write
    from genlab.core.pictures import png

    with storage(path):
        path.parent.mkdir(parents=True, exist_ok=True)
    write(path, png(picture))
    print(path)


def _refuse_as_folder(folder: Path, target: "Modality") -> None:
    from genlab.core.errors import UsageError
    from genlab.core.files import storage

    if target.spatial != 2:
        raise UsageError(
            f"--out {folder} would be a folder of single images, but these samples are {target.noun}. Give a .png "
            "for a plot."
        )
    with storage(folder):
        if folder.exists() and any(folder.iterdir()):
            raise UsageError(f"{folder} is not empty. Choose a new --out, so that images are not mixed")


def _write_singly(images: "Tensor", folder: Path) -> None:
    from genlab.core.files import storage, write
    from genlab.core.pictures import png, to_bytes

    with storage(folder):
        folder.mkdir(parents=True, exist_ok=True)
    for number, picture in enumerate(to_bytes(images)):
        write(folder / f"{number:06d}.png", png(picture))
    print(f"{len(images)} images in {folder}")


def _columns(title: str, values: dict[str, Any]) -> None:
    print(f"\n{title}")
    for name, value in values.items():
        print(f"  {name:<20} {value}")
