"""Ways to damage a file or to craft a hostile one, drawn from a seed."""

import hashlib
import json
import os
import random
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import safetensors.torch
import torch
from torch import Tensor

Mutate = Callable[[Path, random.Random], None]

ODD: tuple[Any, ...] = (
    *(
        None,
        True,
        [],
        {},
        [1],
        "",
        "x",
        "\x1b[31m",
        "../../outside",
        0,
        -1,
        10**9,
        10**400,
        1e308,
        float("nan"),
        0.5,
    ),
)


def flip(path: Path, rng: random.Random) -> None:
    """Change up to three bits."""
    data = bytearray(path.read_bytes() or b"\0")
    for _ in range(rng.randint(1, 3)):
        data[rng.randrange(len(data))] ^= 1 << rng.randrange(8)
    path.write_bytes(bytes(data))


def cut(path: Path, rng: random.Random) -> None:
    """Keep the beginning, perhaps nothing."""
    data = path.read_bytes()
    path.write_bytes(data[: rng.choice((0, 1, len(data) // 3, rng.randint(0, len(data)), max(len(data) - 1, 0)))])


def lose(path: Path, rng: random.Random) -> None:
    """Keep the length, but replace the end by zeros, as a power cut does."""
    data = path.read_bytes()
    kept = rng.randint(0, len(data))
    path.write_bytes(data[:kept] + bytes(len(data) - kept))


def grow(path: Path, rng: random.Random) -> None:
    """Append bytes, or the file itself."""
    data = path.read_bytes()
    path.write_bytes(data + rng.choice((b"\0", b"garbage\n", b"\xff\xfe\n", b"[1]\n{}\n", data, bytes(1 << 20))))


def swap(path: Path, rng: random.Random) -> None:
    """Put something else in its place."""
    path.write_bytes(rng.choice((b"", b"null", b"[]", b"{}", b"1", b"\x00" * 64, b"[" * 100_000, b"a: &a [*a]\n")))


def forget(path: Path, rng: random.Random) -> None:
    """Remove it."""
    path.unlink()


def become_link(path: Path, rng: random.Random) -> None:
    """Be a link to a file that matters, to an endless device, to itself or to nothing."""
    outside = next(parent / "outside" for parent in path.parents if (parent / "outside").is_dir())
    path.unlink()
    path.symlink_to(
        rng.choice((outside / "precious.txt", Path("/dev/zero"), Path(path.name), Path("nothing"), outside))
    )


def become_other(path: Path, rng: random.Random) -> None:
    """Be a FIFO, a folder or a sparse file of 40 GB."""
    path.unlink()
    kind = rng.choice(("fifo", "folder", "sparse"))
    if kind == "fifo":
        os.mkfifo(path)
    elif kind == "folder":
        path.mkdir()
    else:
        path.touch()
        os.truncate(path, 40 << 30)


def edit_json(path: Path, rng: random.Random) -> None:
    """Replace or remove a value somewhere in a JSON file, or in a line of a .jsonl file."""
    lines = path.read_text().splitlines() if path.suffix == ".jsonl" else [path.read_text()]
    at = rng.randrange(len(lines))
    lines[at] = json.dumps(_edited(json.loads(lines[at]), rng))
    path.write_text("\n".join(lines) + "\n" * (path.suffix == ".jsonl"))


def edit_yaml(path: Path, rng: random.Random) -> None:
    """Replace or remove the value of a line of a YAML file."""
    lines = path.read_text().splitlines()
    at = rng.randrange(len(lines))
    name, colon, _ = lines[at].partition(":")
    lines[at] = rng.choice(("", f"{name}{colon} {json.dumps(rng.choice(ODD))}", f"{name}-{colon} 1"))
    path.write_text("\n".join(lines) + "\n")


def edit_tensors(path: Path, rng: random.Random) -> None:
    """Change the shape, type, name or values of a tensor, or lose it."""
    tensors = safetensors.torch.load(path.read_bytes())
    name = rng.choice(sorted(tensors))
    tensors[name] = _other(tensors[name], rng)
    if rng.random() < 0.2:
        tensors[f"{name}.other"] = tensors.pop(name)
    if rng.random() < 0.1:
        tensors.pop(rng.choice(sorted(tensors)))
    path.write_bytes(safetensors.torch.save(tensors))


def _other(tensor: Tensor, rng: random.Random) -> Tensor:
    kinds: tuple[Callable[[], Tensor], ...] = (
        lambda: torch.zeros(1),
        lambda: torch.zeros(0),
        lambda: tensor.flatten()[: tensor.numel() // 2].clone(),
        lambda: tensor.double(),
        lambda: tensor.to(torch.int64),
        lambda: tensor.unsqueeze(0).clone(),
        lambda: torch.full_like(tensor, float("nan") if tensor.is_floating_point() else -1),
    )
    return rng.choice(kinds)()


def _edited(value: Any, rng: random.Random) -> Any:
    if not isinstance(value, dict | list) or not value or rng.random() < 0.1:
        return rng.choice(ODD)
    key, old = rng.choice(list(value.items() if isinstance(value, dict) else enumerate(value)))
    if isinstance(value, dict) and rng.random() < 0.2:
        return {name: other for name, other in value.items() if name != key}
    changed = value.copy()
    changed[key] = _edited(old, rng)
    return changed


DAMAGE: Mapping[str, Mutate] = {
    "flip": flip,
    "cut": cut,
    "lose": lose,
    "grow": grow,
    "swap": swap,
    "forget": forget,
    "link": become_link,
    "other": become_other,
}
EDITS: Mapping[str, Mutate] = {
    ".json": edit_json,
    ".jsonl": edit_json,
    ".yaml": edit_yaml,
    ".safetensors": edit_tensors,
}


def mutate(path: Path, rng: random.Random) -> str:
    """Damage a file in one way that suits it, and return the name of the way."""
    edit = EDITS.get(path.suffix)
    if edit and rng.random() < 0.4:
        edit(path, rng)
        return "edit"
    way = rng.choice(sorted(DAMAGE))
    DAMAGE[way](path, rng)
    return way


def make_manifest_agree(folder: Path) -> None:
    """Let the manifest of a checkpoint name the files that are there, as somebody who has crafted them would."""
    manifest = json.loads((folder / "manifest.json").read_bytes())
    for name in manifest["files"]:
        data = (folder / name).read_bytes()
        manifest["files"][name] = {"bytes": len(data), "sha256": hashlib.sha256(data).hexdigest()}
    (folder / "manifest.json").write_text(json.dumps(manifest))


def contents(folder: Path) -> dict[str, bytes | str]:
    """Return what a folder holds: the bytes of each file, and where each link leads."""
    found: dict[str, bytes | str] = {}
    for path in sorted(folder.rglob("*")):
        if path.is_symlink():
            found[str(path)] = str(path.readlink())
        elif path.is_file():
            found[str(path)] = path.read_bytes()
        else:
            found[str(path)] = "folder"
    return found


def copy(source: Path, target: Path) -> Path:
    """Copy a folder with its links and return the copy."""
    shutil.copytree(source, target, symlinks=True)
    return target
