"""Logs of other programs: whatever they call their losses, and whatever state the file is in."""

import json
import math
import struct
from collections.abc import Callable, Iterable
from pathlib import Path

import pytest

from genlab.core.errors import GenlabError, UsageError
from genlab.diagnosis.log_files import MOST
from genlab.diagnosis.logs import read_log

Row = dict[str, float]
ROWS: list[Row] = [{"step": 10 * i, "d_loss": 1.0 + i, "g_loss": 2.0 + i} for i in range(20)]


def write_csv(path: Path, rows: Iterable[Row], separator: str = ",") -> Path:
    rows = list(rows)
    names = list(rows[0])
    lines = [separator.join(names), *(separator.join(str(row[name]) for name in names) for row in rows)]
    path.write_text("\n".join(lines) + "\n")
    return path


def write_jsonl(path: Path, rows: Iterable[Row]) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def write_printed(path: Path, rows: Iterable[Row]) -> Path:
    """As a well-known tutorial prints it."""
    line = "[0/5][{step}/1583]\tLoss_D: {d_loss:.4f}\tLoss_G: {g_loss:.4f}\tD(x): 0.5\tD(G(z)): 0.4 / 0.3\n"
    path.write_text("Starting Training Loop...\n" + "".join(line.format(**row) for row in rows))
    return path


def varint(value: int) -> bytes:
    out = b""
    while value > 127:
        out += bytes([value & 127 | 128])
        value >>= 7
    return out + bytes([value])


def write_events(path: Path, rows: Iterable[Row]) -> Path:
    """TensorBoard's records, one value each, every other as a tensor."""
    data = b""
    for row in rows:
        for place, name in enumerate(n for n in row if n != "step"):
            tag = f"Loss/{name}".encode()
            number = struct.pack("<f", row[name])
            plain = b"\x15" + number
            tensor = b"\x08\x01\x2a\x04" + number
            value = b"\x0a" + varint(len(tag)) + tag
            value += plain if place % 2 else b"\x42" + varint(len(tensor)) + tensor
            summary = b"\x0a" + varint(len(value)) + value
            event = b"\x09" + struct.pack("<d", 1.7e9) + b"\x10" + varint(int(row["step"]))
            event += b"\x2a" + varint(len(summary)) + summary
            data += struct.pack("<Q", len(event)) + b"CRC!" + event + b"CRC!"
    path.write_bytes(data)
    return path


@pytest.mark.parametrize("write", [write_csv, write_jsonl, write_printed])
def test_the_same_losses_in_any_format(write: Callable[[Path, list[Row]], Path], tmp_path: Path) -> None:
    log = read_log(write(tmp_path / "log.txt", ROWS))
    assert log.family == "gan"
    assert log.history["discriminator_loss"].values.tolist() == pytest.approx([row["d_loss"] for row in ROWS])
    assert log.history["generator_loss"].values.tolist() == pytest.approx([row["g_loss"] for row in ROWS])
    if write is not write_printed:
        assert log.history["discriminator_loss"].steps.tolist() == [row["step"] for row in ROWS]


@pytest.mark.parametrize("folder", [True, False])
def test_event_files(folder: bool, tmp_path: Path) -> None:
    rows = [{"step": row["step"], "D": row["d_loss"], "G": row["g_loss"]} for row in ROWS]
    path = write_events(tmp_path / "events.out.tfevents.1.host", rows)
    path.write_bytes(path.read_bytes()[:-3])  # the program is still writing
    log = read_log(tmp_path if folder else path)
    assert log.history["discriminator_loss"].steps.tolist() == [row["step"] for row in ROWS]
    assert log.history["discriminator_loss"].values.tolist() == pytest.approx([row["d_loss"] for row in ROWS])
    assert len(log.history["generator_loss"]) == len(ROWS) - 1


def test_event_files_that_the_library_wrote(tmp_path: Path) -> None:
    tensorboard = pytest.importorskip("torch.utils.tensorboard")
    with tensorboard.SummaryWriter(str(tmp_path)) as writer:
        for row in ROWS:
            writer.add_scalar("Loss/D", row["d_loss"], int(row["step"]))
            writer.add_scalar("val/fid", row["g_loss"], int(row["step"]), new_style=True)
    log = read_log(tmp_path)
    assert log.history["discriminator_loss"].values.tolist() == pytest.approx([row["d_loss"] for row in ROWS])


@pytest.mark.parametrize(
    ("theirs", "ours"),
    [
        *(
            ("errD", "discriminator_loss"),
            ("Loss_D", "discriminator_loss"),
            ("loss/disc", "discriminator_loss"),
            ("D loss", "discriminator_loss"),
        ),
        *(("g_loss", "generator_loss"), ("LossG", "generator_loss"), ("generator_loss", "generator_loss")),
        *(("D(x)", "D(x)"), ("D_G_z", "D(G(z))"), ("FID", "criterion"), ("fid50k_full", "criterion")),
        *(("kld_loss", "rate"), ("KL", "rate"), ("recon_loss", "distortion"), ("val_loss", "validation_loss")),
        *(("grad_norm_G", "generator_gradient_norm"), ("real_acc", "accuracy_real")),
    ],
)
def test_names_are_recognised(theirs: str, ours: str, tmp_path: Path) -> None:
    log = read_log(write_csv(tmp_path / "log.csv", [{"Iteration": i, theirs: float(i)} for i in range(5)]))
    assert ours in log.history
    assert log.history[ours].steps.tolist() == list(range(5))


def test_a_name_can_be_mapped(tmp_path: Path) -> None:
    path = write_csv(tmp_path / "log.csv", [{"n": i, "a": 1.0 * i, "b": 2.0} for i in range(5)])
    with pytest.raises(
        GenlabError, match=r"no column .* is recognised. It has: n, a, b. .*--map discriminator_loss=NAME"
    ):
        read_log(path)
    log = read_log(path, {"discriminator_loss": "a", "step": "n"})
    assert log.history["discriminator_loss"].values.tolist() == [0, 1, 2, 3, 4]
    assert log.ignored == ["b"]
    with pytest.raises(UsageError, match=r'no column "aa"\. Did you mean "a"'):
        read_log(path, {"discriminator_loss": "aa"})
    with pytest.raises(UsageError, match=r'no signal "discriminator_los"\. Did you mean "discriminator_loss"'):
        read_log(path, {"discriminator_los": "a"})


def test_lines_out_of_order_are_sorted_and_gaps_are_gaps(tmp_path: Path) -> None:
    rows = [dict(row) for row in ROWS]
    rows[3], rows[4] = rows[4], rows[3]
    log = read_log(write_csv(tmp_path / "log.csv", rows))
    assert log.history["discriminator_loss"].values.tolist() == [row["d_loss"] for row in ROWS]
    assert any("out of order" in note for note in log.notes)
    path = tmp_path / "gaps.csv"
    path.write_text("step;d_loss;g_loss\n1;0.5;\n2;;0.25\n3;nan;1\n")
    history = read_log(path).history
    assert history["discriminator_loss"].steps.tolist() == [1]
    assert history["generator_loss"].steps.tolist() == [2, 3]
    assert history.not_finite == {"discriminator_loss": 3}


def test_steps_that_start_again_in_each_epoch_are_counted_on(tmp_path: Path) -> None:
    rows = [{"epoch": e, "iter": i, "d_loss": 1.0} for e in range(3) for i in range(5)]
    log = read_log(write_csv(tmp_path / "log.csv", rows))
    assert log.history["discriminator_loss"].steps.tolist() == list(range(15))
    assert any("start again" in note for note in log.notes)


@pytest.mark.parametrize(
    "text", ["step,d_loss,g_loss\n1,0.5,0.7\n", '{"step": 1, "d_loss": 0.5}\n', "d_loss: 0.5"]
)
def test_one_line_is_read(text: str, tmp_path: Path) -> None:
    path = tmp_path / "log"
    path.write_text(text)
    assert read_log(path).history["discriminator_loss"].values.tolist() == [0.5]


@pytest.mark.parametrize(
    "text", ["", "\n\n", "hello\nworld\n", "step,time\n1,2\n", "\x00\x01\xff", "{broken\n{}\n"]
)
def test_files_without_a_signal_are_refused(text: str, tmp_path: Path) -> None:
    path = tmp_path / "log"
    path.write_text(text)
    with pytest.raises(GenlabError):
        read_log(path)


def test_a_missing_file_and_an_empty_folder_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="there is no file"):
        read_log(tmp_path / "no.csv")
    with pytest.raises(UsageError, match="no TensorBoard event files"):
        read_log(tmp_path)


def test_of_a_long_log_every_nan_is_seen(tmp_path: Path) -> None:
    lines = [f"{i},{0.5 if i != 77_777 else 'nan'},1.0" for i in range(120_000)]
    path = tmp_path / "long.csv"
    path.write_text("step,d_loss,g_loss\n" + "\n".join(lines))
    log = read_log(path)
    assert len(log.history) <= MOST + 1
    assert log.history.not_finite == {"discriminator_loss": 77_777}
    assert log.history["discriminator_loss"].last == 0.5
    assert any("every 6th" in note for note in log.notes)
    assert math.isclose(log.history.step, 119_994, abs_tol=6)


def test_lines_without_a_step_are_counted_as_they_stand_in_the_file(tmp_path: Path) -> None:
    """Also where only some of them are read: a finding names the line at which one has to look."""
    path = tmp_path / "printed.txt"
    path.write_text("\n".join(f"Loss_D: {number % 7} Loss_G: 1" for number in range(3 * MOST)))
    log = read_log(path)
    assert log.history.step == 3 * (MOST - 1)
    assert any("lines are counted" in note for note in log.notes)


def test_a_cell_too_long_to_be_read_is_left_out(tmp_path: Path) -> None:
    path = tmp_path / "cells.csv"
    path.write_text(f'step,d_loss\n0,1.0\n1,"{"9" * 200_000}"\n2,0.5\n')
    assert list(read_log(path).history["discriminator_loss"].values) == [1.0, 0.5]
