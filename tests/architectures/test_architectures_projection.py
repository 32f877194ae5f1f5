import torch

from genlab.architectures.projection import UNITS, ProjectionHeads, at


def test_positions_count_row_by_row() -> None:
    maps = torch.arange(2 * 3 * 4 * 5).view(2, 3, 4, 5).float()
    found = at(maps, torch.tensor([[0, 7], [19, 5]]))
    assert found.shape == (2, 2, 3)
    torch.testing.assert_close(found[0, 1], maps[0, :, 1, 2])
    torch.testing.assert_close(found[1, 0], maps[1, :, 3, 4])


def test_each_map_gets_unit_vectors_from_its_own_head_at_its_own_positions() -> None:
    torch.manual_seed(0)
    heads = ProjectionHeads([3, 6])
    maps = [torch.randn(2, 3, 8, 8), torch.randn(2, 6, 4, 4)]
    positions = [torch.randint(64, (2, 10)), torch.randint(16, (2, 7))]
    first, second = heads(maps, positions)
    assert (first.shape, second.shape) == ((2, 10, UNITS), (2, 7, UNITS))
    torch.testing.assert_close(second.norm(dim=2), torch.ones(2, 7))
    elsewhere = maps[1].clone()
    elsewhere[0, :, 3, 3] += 1
    changed = heads([maps[0], elsewhere], positions)[1] != second
    assert torch.equal(changed.any(2)[0], positions[1][0] == 15)
    assert not changed[1].any()
