"""Each logger gets what the run folder gets."""

import importlib.util
import re
import resource
import sys
import types
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import genlab
from genlab.core.errors import GenlabError, StorageError
from genlab.core.signals import signal
from genlab.training.loggers import TensorBoard, find_logger
from genlab.training.run_folder import RunFolder
from sabotage import TINY, in_child

RUN = {**TINY, "steps": 6, "log_every": 2, "preview_every": 3, "evaluate_every": 4, "checkpoint_every": 5}


def test_tensorboard_holds_scalars_images_and_evaluations(tmp_path: Path) -> None:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
    from tensorboard.plugins.hparams.plugin_data_pb2 import HParamsPluginData

    genlab.train("vae", quiet=True, root=tmp_path, logger="tensorboard", **RUN)
    run = RunFolder(tmp_path / "run")
    written = EventAccumulator(str(run.path / "tensorboard"), size_guidance={"images": 0})
    written.Reload()
    history = run.history()
    assert [line["step"] for line in history] == [1, 2, 4, 6]
    tags = {f"{signal(name).kind.group}/{name}": name for name in history[0].keys() - {"step"}}
    assert {"loss/rate", "optimizer/gradient_norm", "probe/diversity", "latent/kl[0]"} <= tags.keys()
    for tag, name in tags.items():
        points = [(point.step, point.value) for point in written.Scalars(tag)]
        assert points == [(line["step"], pytest.approx(line[name], rel=1e-6)) for line in history if name in line]
    evaluations = run.events("evaluation")
    bound = [(point.step, point.value) for point in written.Scalars("evaluation/negative_bound")]
    assert bound == [(e["step"], pytest.approx(e["negative_bound"], rel=1e-6)) for e in evaluations]
    assert [e["step"] for e in evaluations] == [4, 6]
    images = written.Images("preview")
    assert [image.step for image in images] == [3, 6]
    assert {(image.width, image.height) for image in images} == {(256 + 16 + 256, 512 + 2)}
    assert "started/text_summary" in written.Tags()["tensors"]
    told = written.SummaryMetadata("_hparams_/session_start_info").plugin_data.content
    given = HParamsPluginData.FromString(told).session_start_info.hparams
    assert given["preset"].string_value == "vae"
    assert given["width"].number_value == TINY["width"]
    assert given["betas"].string_value == "[0.9, 0.999]"
    told = written.SummaryMetadata("_hparams_/experiment").plugin_data.content
    compared = [info.name.tag for info in HParamsPluginData.FromString(told).experiment.metric_infos]
    assert "evaluation/negative_bound" in compared


def test_tensorboard_has_the_options_of_a_run_that_was_never_evaluated(tmp_path: Path) -> None:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    TensorBoard(tmp_path, {"lr": 0.1, "attention": None}).close()
    written = EventAccumulator(str(tmp_path / "tensorboard"))
    written.Reload()
    assert written.PluginTagToContent("hparams").keys() >= {"_hparams_/session_start_info"}


def test_tensorboard_on_a_full_disk_is_a_storage_error(tmp_path: Path) -> None:
    end = in_child(_log_much, tmp_path)
    assert end.said[0] == "StorageError"
    assert re.match(r"cannot write \S+tensorboard: File too large", end.said[1])
    assert end.code == StorageError.exit_code


def _log_much(folder: Path) -> None:
    resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, resource.RLIM_INFINITY))
    logger = TensorBoard(folder, {})
    for step in range(2000):
        logger.scalars(step, {"loss": 1.0})
    logger.close()


class Wandb(types.ModuleType):
    """What genlab uses of wandb, written down."""

    def __init__(self) -> None:
        super().__init__("wandb")
        self.__spec__ = importlib.util.spec_from_loader("wandb", None)
        self.begun: dict[str, Any] = {}
        self.lines: list[tuple[int, dict[str, Any]]] = []
        self.finished = 0
        self.alerts: list[tuple[str, str]] = []

    def init(self, **options: Any) -> "Wandb":
        self.begun = options
        return self

    def log(self, values: dict[str, Any], *, step: int) -> None:
        assert not self.finished
        self.lines.append((step, values))

    def alert(self, title: str, text: str) -> None:
        self.alerts.append((title, text))

    def finish(self) -> None:
        self.finished += 1

    @staticmethod
    def Image(pixels: np.ndarray) -> np.ndarray:
        assert pixels.dtype == np.uint8
        assert pixels.ndim == 2 or pixels.shape[2] == 3
        return pixels

    def steps(self, name: str) -> list[int]:
        return [step for step, values in self.lines if name in values]


def test_wandb_gets_scalars_images_and_evaluations(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    wandb = Wandb()
    monkeypatch.setitem(sys.modules, "wandb", wandb)
    genlab.train("vae", quiet=True, root=tmp_path, logger="wandb", **RUN)
    run = RunFolder(tmp_path / "run")
    assert wandb.begun.pop("id").startswith("run-")
    assert wandb.begun.pop("config") == run.read_yaml("recipe.yaml")
    assert wandb.begun.pop("allow_val_change")
    assert wandb.begun == {"project": "genlab", "name": "run", "dir": str(run.path), "resume": "allow"}
    assert wandb.finished == 1
    told = [{"step": step, **values} for step, values in wandb.lines if "loss" in values]
    assert told == run.history()
    assert wandb.steps("preview") == [3, 6]
    assert wandb.steps("evaluation/negative_bound") == [4, 6]
    assert [step for step, _ in wandb.lines] == sorted(step for step, _ in wandb.lines)  # it drops older ones


@pytest.mark.parametrize("name", ["wandb", "tensorboard"])
def test_a_missing_package_is_named_before_anything_is_written(
    tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda n, *a: None if n == name else found(n, *a))
    with pytest.raises(GenlabError, match=re.escape(f"pip install 'genlab[{name}]'")):
        genlab.train("vae", quiet=True, root=tmp_path, logger=name, **RUN)
    assert list(tmp_path.iterdir()) == []


def test_none_is_none() -> None:
    assert find_logger("none") is None
