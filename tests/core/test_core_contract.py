import pytest
import torch
from torch import Tensor, nn

from genlab.core import device, distributed
from genlab.core.batch import Batch
from genlab.core.contract import CAPABILITIES, Encodes, Samples, capabilities
from genlab.core.errors import (
    CheckpointError,
    DataError,
    GenlabError,
    NonFiniteError,
    StorageError,
    UsageError,
    lookup,
    suggestion,
)


class Encoder(nn.Module):
    def encode(self, images: Tensor) -> Tensor:
        return images.flatten(1)


def test_a_model_can_do_what_it_has_methods_for() -> None:
    assert capabilities(Encoder()) == ["encode"]
    assert capabilities(nn.Linear(1, 1)) == []
    assert isinstance(Encoder(), Encodes)
    assert not isinstance(Encoder(), Samples)
    assert len({id(p) for p in CAPABILITIES.values()}) == len(CAPABILITIES)


def test_a_batch_moves_whole() -> None:
    condition = {"label": torch.tensor([1, 0, 1]), "source": torch.ones(3, 1, 2, 2)}
    batch = Batch(torch.zeros(3, 1, 2, 2), torch.arange(3), condition)
    moved = batch.to(torch.device("meta"))
    assert len(batch) == len(moved) == 3
    assert moved.x.is_meta
    assert moved.condition.keys() == condition.keys()
    assert all(value.is_meta for value in moved.condition.values())
    assert Batch(batch.x, batch.index).to(torch.device("meta")).condition == {}
    assert batch.to(torch.device("cpu")).x is batch.x


def test_a_wrong_name_is_answered_with_the_nearest_and_all() -> None:
    table = {"dcgan": 1, "vae": 2}
    assert lookup(table, "vae", "preset") == 2
    with pytest.raises(UsageError) as caught:
        lookup(table, "dgcan", "preset")
    assert str(caught.value) == 'unknown preset "dgcan". Did you mean "dcgan"? Choices: dcgan, vae.'
    assert suggestion("xyzzy", table) == ""


def test_exit_codes_are_those_of_the_manual() -> None:
    codes = {GenlabError: 1, UsageError: 2, DataError: 1, CheckpointError: 1, StorageError: 1, NonFiniteError: 4}
    assert {kind: kind.exit_code for kind in codes} == codes
    assert all(issubclass(kind, GenlabError) for kind in codes)


def test_the_device_is_there_or_refused() -> None:
    assert device.find_device("cpu") == torch.device("cpu")
    assert device.find_device("auto").type in ("cpu", "cuda", "mps")
    with pytest.raises(UsageError, match=r'no device "tpu" here\. Choices on this machine: auto, .*cpu'):
        device.find_device("tpu")
    model = nn.Sequential(nn.Conv2d(2, 3, 3), nn.Linear(2, 2))
    placed = device.to_device(model, "cpu")
    assert device.device_of(placed) == torch.device("cpu")
    assert placed[0].weight.is_contiguous(memory_format=torch.channels_last)


def test_one_process_is_the_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    tensor = torch.tensor([1.0, 2.0], requires_grad=True)
    assert distributed.join(torch.device("cpu")) == distributed.WHOLE == distributed.torchrun_shard()
    assert distributed.world_size() == 1
    assert distributed.all_reduce_mean(tensor) is tensor
    assert torch.equal(distributed.all_reduce_mean_(tensor.detach().clone()), tensor)
    assert distributed.broadcast_object("runs/vae") == "runs/vae"
    monkeypatch.setenv("RANK", "2")
    monkeypatch.setenv("WORLD_SIZE", "4")
    assert distributed.torchrun_shard() == distributed.Shard(2, 4)
