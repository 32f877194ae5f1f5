"""Commands that show data, presets and this machine."""

from pathlib import Path

from genlab.core.errors import UsageError, suggestion


def data(
    source: str,
    *,
    size: int | None = None,
    channels: int | None = None,
    max_rejected: float = 0.01,
    out: Path | None = None,
) -> None:
    """Describe a data source and draw some of its images.

    Parameters
    ----------
    source
        A folder, zip or .npz of images, or a name such as digits or fashion-mnist.
    size
        Side of the images in pixels, after resizing and cropping.
    channels
        1 for grey, 3 for colour.
    max_rejected
        Largest share of unusable files; with more the source is refused.
    out
        The .png to write. By default data-NAME.png in the current folder.
    """
    import numpy as np

    from genlab.core.files import write
    from genlab.core.pictures import png
    from genlab.data.describe import describe
    from genlab.data.objects import as_source

    opened = as_source(source, size=size, channels=channels, max_rejected=max_rejected)
    _print(describe(opened))
    target = opened.train.spec.target
    chosen = np.random.default_rng(0).permutation(len(opened.train))[: target.shown]
    place = out or Path(f"data-{Path(source).stem}.png")
    write(place, png(target.draw(opened.train.batch(chosen).x)))
    print(place)


def recipes(pattern: str = "*") -> None:
    """List the presets, with the paper of each.

    Parameters
    ----------
    pattern
        Part of a name, or a pattern such as '*vae'.
    """
    from fnmatch import fnmatch

    from genlab.recipes.presets import PRESETS, SUMMARIES

    names = [name for name in PRESETS if fnmatch(name, pattern) or pattern in name]
    if not names:
        raise UsageError(
            f'no preset matches "{pattern}".{suggestion(pattern, PRESETS)} Choices: {", ".join(PRESETS)}.'
        )
    for name in names:
        print(f"{name:<21} {PRESETS[name].family:<12} {SUMMARIES[name].partition(chr(10))[0]}")


def checks() -> None:
    """Show versions, device, bf16 support and cache of this machine."""
    import platform

    import torch

    from genlab.core.device import bf16_units, find_device, float16_units
    from genlab.data.cache import cache_folder
    from genlab.version import __version__

    folder = cache_folder()
    size = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file()) if folder.exists() else 0
    _print(
        {
            "genlab": __version__,
            "python": platform.python_version(),
            "torch": torch.__version__,
            "device": str(find_device("auto")),
            "threads": torch.get_num_threads(),
            "bf16 units": ", ".join(bf16_units()) or "none",
            "float16 units": ", ".join(float16_units()) or "none",
            "cache": f"{folder} ({size / 2**20:,.0f} MiB)",
        }
    )


def _print(values: dict[str, object], margin: str = "") -> None:
    """Write names and values in columns, nested ones indented."""
    for name, value in values.items():
        if isinstance(value, dict):
            print(f"{margin}{name}")
            _print(value, margin + "  ")
        elif isinstance(value, list) and any(isinstance(item, dict) for item in value):
            print(f"{margin}{name}")
            for item in value:
                print(f"{margin}  {'  '.join(str(part) for part in item.values())}")
        else:
            shown = f"{value:.4g}" if isinstance(value, float) else value
            print(f"{margin}{name:<{20 - len(margin)}} {shown}")
