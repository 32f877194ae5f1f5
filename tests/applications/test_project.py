from collections.abc import Mapping

import pytest
import torch
from torch import Tensor, nn

from genlab.applications.capability import need
from genlab.applications.edit import direction, moved
from genlab.applications.interpolate import ends_of, interpolate
from genlab.applications.project import Codes, Projecting, codes_of, descend, project
from genlab.core.condition import NONE, Condition, fill
from genlab.core.contract import Inverts
from genlab.core.errors import DataError, GenlabError, UsageError
from genlab.core.modality import Classes, DataSpec, Modality, Points
from genlab.core.random import generator, normal
from genlab.families.flow import Flow
from genlab.recipes.presets import PRESETS


class Linear(nn.Module):
    """x = W z + the offset of its class."""

    def __init__(self, classes: int = 0, numbers: int = 8, latent: int = 3) -> None:
        super().__init__()
        self.weight = torch.randn(numbers, latent, generator=generator(0, "weight"))
        self.offsets = 3 * torch.randn(max(classes, 1), numbers, generator=generator(0, "offsets"))
        label = {"label": Classes(tuple(map(str, range(classes))))}
        self.conditions: Mapping[str, Modality] = label if classes else {}
        self.anchor = nn.Parameter(torch.zeros(1), requires_grad=False)

    def prior(self, count: int, generator: torch.Generator | None = None) -> Tensor:
        return normal(generator, count, self.weight.shape[1])

    def decode(self, latents: Tensor, condition: Condition = NONE) -> Tensor:
        given = fill(self.conditions, condition, len(latents))
        offsets = self.offsets[given["label"]] if given else self.offsets[0]
        return latents @ self.weight.T + offsets

    def sample(self, count: int, condition: Condition = NONE, generator: torch.Generator | None = None) -> Tensor:
        return self.decode(self.prior(count, generator), condition)


def draws(*shape: int) -> Tensor:
    return torch.randn(*shape, generator=generator(1, "draws"))


@pytest.mark.parametrize("noise", [0.0, 0.5])
def test_the_projection_on_a_linear_generator_is_the_mode_of_the_posterior(noise: float) -> None:
    model, x = Linear(), draws(5, 8)
    codes = project(model, x, Projecting(steps=600, starts=3, noise=noise))
    weight = model.weight
    wanted = torch.linalg.solve(weight.T @ weight + noise**2 * torch.eye(3), weight.T @ (x - model.offsets[0]).T).T
    torch.testing.assert_close(codes.latents, wanted, atol=0.02, rtol=0)


def test_a_path_is_never_worse_than_its_start_and_depends_on_no_other_row() -> None:
    def loss(latents: Tensor) -> Tensor:
        return (10 * latents).sin().sum(1) + latents.square().sum(1)

    starts = draws(6, 2)
    found, losses = descend(loss, starts, steps=20, rate=0.5)
    torch.testing.assert_close(losses, loss(found))
    assert (losses <= loss(starts)).all()
    assert (losses < loss(starts)).any()
    alone, _ = descend(loss, starts[3:4], steps=20, rate=0.5)
    torch.testing.assert_close(alone, found[3:4])


def test_the_class_is_the_one_with_which_an_example_is_found_best_unless_it_is_known() -> None:
    model, labels = Linear(classes=4), torch.tensor([3, 0, 2, 1])
    x = model.decode(0.1 * draws(4, 3), {"label": labels})
    how = Projecting(steps=40, starts=2)
    assert project(model, x, how).condition["label"].tolist() == [3, 0, 2, 1]
    given = torch.tensor([1, -1, 2, -1])
    assert project(model, x, how, given).condition["label"].tolist() == [1, 0, 2, 1]
    assert project(model, x, how, torch.zeros(4, dtype=torch.int64)).condition["label"].tolist() == [0] * 4


def test_too_many_classes_to_try_are_refused() -> None:
    model = Linear(classes=30)
    with pytest.raises(UsageError, match="30 classes, too many to try"):
        project(model, draws(2, 8), Projecting(steps=1))
    known = project(model, draws(2, 8), Projecting(steps=1), torch.tensor([7, 29]))
    assert known.condition["label"].tolist() == [7, 29]


def test_codes_of_a_model_that_inverts_are_exact() -> None:
    flow = PRESETS["spline-flow"].model(DataSpec(Points(2)))
    flow.eval().requires_grad_(False)
    assert isinstance(flow, Flow)
    x = draws(4, 2).clamp(-1, 1)
    assert need(flow, Inverts, "this")
    torch.testing.assert_close(project(flow, x, Projecting(noise=5.0)).latents, flow.encode(x))


def test_a_model_without_prior_and_encoder_cannot_project() -> None:
    class Decoder(nn.Module):
        def decode(self, latents: Tensor, condition: Condition = NONE) -> Tensor:
            return latents

    with pytest.raises(GenlabError, match="needs a model with a prior or an encoder"):
        project(Decoder(), draws(2, 3), Projecting())


def test_a_path_between_examples_without_encoder_leads_through_their_projections() -> None:
    model = Linear(classes=2)
    x = model.decode(draws(3, 3), {"label": torch.tensor([0, 1, 1])})
    ends = ends_of(model, 3, 0, x)
    frames = interpolate(model, ends, 5)
    found = model.decode(ends.latents, ends.condition)
    torch.testing.assert_close(frames[:, 0], found[:-1])
    torch.testing.assert_close(frames[:, -1], found[1:])
    torch.testing.assert_close(found, x, atol=0.05, rtol=0)
    again = codes_of(model, x, Projecting())
    torch.testing.assert_close(again.latents, ends.latents)


def test_a_step_of_one_leads_from_one_mean_to_the_other() -> None:
    towards, rest = draws(40, 3) + 2, draws(30, 3)
    step = direction(towards, rest)
    torch.testing.assert_close(rest.mean(0) + step, towards.mean(0))
    frames = moved(Linear(), Codes(rest[:2], NONE), step, [0.0, 1.0])
    torch.testing.assert_close(frames[:, 0], Linear().decode(rest[:2]))
    torch.testing.assert_close(frames[:, 1], Linear().decode(rest[:2] + step))


def test_the_direction_of_a_probe_leaves_out_what_only_goes_along() -> None:
    """Two numbers that always change together; only the first differs between the sides for its own reason."""
    first, noise = draws(4000, 1), torch.randn(4000, 2, generator=generator(2, "noise"))
    with_it = torch.rand(4000, generator=generator(3, "with it")) < 0.5
    attribute = first + 2 * with_it[:, None]
    latents = torch.cat([attribute, attribute + 0.3 * noise[:, :1], noise[:, 1:]], 1)
    difference = direction(latents[with_it], latents[~with_it])
    probe = direction(latents[with_it], latents[~with_it], probe=True)
    assert difference[1] > 0.9 * difference[0]
    assert probe[1].abs() < 0.3 * probe[0]
    torch.testing.assert_close(difference @ probe, probe @ probe, rtol=1e-4, atol=0)


@pytest.mark.parametrize(("towards", "rest"), [(0, 3), (3, 0)])
def test_a_direction_needs_both_sides(towards: int, rest: int) -> None:
    with pytest.raises(DataError, match="examples on both sides"):
        direction(torch.ones(towards, 2), torch.ones(rest, 2))
    with pytest.raises(DataError, match="the same mean"):
        direction(torch.ones(3, 2), torch.ones(4, 2))
