"""Damaged files of every kind are opened, or refused with a clear error, never with a traceback."""

import gzip
import io
import json
import struct
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from genlab.core.errors import GenlabError
from genlab.data.dataset import Source
from genlab.data.idx import FILES

Open = Callable[..., Source]
PIXELS = np.random.default_rng(0).integers(0, 256, (6, 8, 8), dtype=np.uint8)
ROUNDS = 15  # of each kind


def zipped() -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for at, image in enumerate(PIXELS):
            picture = io.BytesIO()
            Image.fromarray(image).save(picture, "PNG")
            archive.writestr(f"{at % 2}/{at}.png", picture.getvalue())
        labels = [[f"{at % 2}/{at}.png", at % 3] for at in range(len(PIXELS))]
        archive.writestr("dataset.json", json.dumps({"labels": labels}))
    return file.getvalue()


def saved(save: Callable[..., None], *arrays: np.ndarray, **named: np.ndarray) -> bytes:
    file = io.BytesIO()
    save(file, *arrays, **named)
    return file.getvalue()


def idx() -> bytes:
    return struct.pack(">BBBBIII", 0, 0, 8, 3, *PIXELS.shape) + PIXELS.tobytes()


LABELS = np.arange(len(PIXELS)) % 2
CONTENTS = {
    "set.zip": zipped(),
    "set.npz": saved(np.savez_compressed, images=PIXELS / 255, labels=LABELS),
    "plain.npz": saved(np.savez, PIXELS, np.array(["a", "b"] * 3)),
    "set.npy": saved(np.save, PIXELS),
    FILES[0]: idx(),
    f"{FILES[0]}.gz": gzip.compress(idx(), mtime=0),
}


def mutated(content: bytes, random: np.random.Generator) -> bytes:
    """Flip bits, cut, repeat or overwrite a few bytes; more often near the ends, where headers are."""
    data = bytearray(content)
    for _ in range(int(random.integers(1, 4))):
        at = int(random.integers(len(data)) if random.random() < 0.5 else random.integers(min(150, len(data))))
        at = len(data) - 1 - at if random.random() < 0.5 else at
        what = random.integers(5)
        if what == 0:
            data[at] ^= 1 << int(random.integers(8))
        elif what == 1:
            data[at : at + 4] = bytes(random.choice([0, 255, 1, 127], 4).astype(np.uint8))
        elif what == 2:
            del data[at : at + int(random.integers(1, 60))]
        elif what == 3:
            data[at:at] = data[at : at + 30]
        else:
            data[at] = int(random.integers(256))
        data = data or bytearray(b"\0")
    return bytes(data)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", CONTENTS)
def test_damage_is_told_in_plain_words(opened: Open, tmp_path: Path, name: str) -> None:
    folder = tmp_path / "idx"
    folder.mkdir()
    if name.startswith(FILES[0]):
        for file in FILES[1:]:
            whole = idx() if "images" in file else struct.pack(">BBBBI", 0, 0, 8, 1, 6) + bytes([0, 1] * 3)
            (folder / file).write_bytes(whole)
    random = np.random.default_rng(7)
    for _ in range(ROUNDS):
        (folder / name).write_bytes(mutated(CONTENTS[name], random))
        try:
            opened(folder if name.startswith(FILES[0]) else folder / name, max_rejected=1)
        except GenlabError as error:
            assert 20 < len(str(error)) < 1500  # noqa: PT017 (there may be no error, too)
