"""A small table with every kind of column, as a source."""

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import one_hot

from genlab.core.column import Column
from genlab.core.modality import Modality
from genlab.core.table import Table
from genlab.data.dataset import Dataset, Source, fingerprint

TABLE = Table(
    (
        Column("age", mean=40, deviation=10, low=0, high=100, decimals=0, missing=True),
        Column("paid by", ("card", "cash", "")),
        Column("amount", deviation=2),
        Column("member", ("no", "yes")),
    )
)


@dataclass(frozen=True, repr=False)
class Rows(Dataset):
    """Rows in memory."""

    table: Table = TABLE

    @property
    def modality(self) -> Modality:
        """The table."""
        return self.table


def rows(count: int, seed: int, *, independent: bool = False) -> Tensor:
    """Return rows (count, D) whose columns depend on each other, unless they are `independent`."""
    noise = torch.Generator().manual_seed(seed)

    def latent() -> Tensor:
        nonlocal shared
        shared = torch.randn(count, generator=noise) if independent else shared
        return shared

    shared = torch.randn(count, generator=noise)
    missing = torch.rand(count, generator=noise) < 0.2
    age = latent()
    kind = latent()
    paid = kind.gt(0).long() + kind.gt(1).long()
    amount = latent() + 0.3 * torch.randn(count, generator=noise)
    member = (torch.rand(count, generator=noise) < 0.2 + 0.6 * latent().gt(0)).long()
    entries = [age, 2.0 * missing - 1, 2.0 * one_hot(paid, 3) - 1, amount, 2.0 * one_hot(member, 2) - 1]
    return TABLE.snap(torch.cat([part.view(count, -1) for part in entries], 1))


def source(train: int = 400, held_out: int = 200) -> Source:
    """Return the table as a source."""
    parts = []
    for seed, count in enumerate((train, held_out)):
        values = rows(count, seed).numpy()
        parts.append(Rows(f"people {seed}", values, None, (), fingerprint(values, None)))
    return Source("people", *parts, train + held_out)
