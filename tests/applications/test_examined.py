"""Spaces, subsets, neighbours, clusters, probes and maps of examples."""

import json
import re

import numpy as np
import pytest
import torch
from torch import nn

from genlab.applications.cluster import agreement, fit, nearest
from genlab.applications.examples import Examples, Thinned, gather
from genlab.applications.map_page import page
from genlab.applications.mapping import Panel, chosen, maps
from genlab.applications.neighbours import Nearest, copies, search
from genlab.applications.probe import accuracy, numbered, pca, probe_all
from genlab.applications.spaces import find_space, pixels_of, reduced
from genlab.core.errors import GenlabError, UsageError
from genlab.core.modality import Images, Points
from genlab.data.dataset import make_dataset
from genlab.data.originals import Originals, of_split

GREY = Images(1, 8, 8)


def split_of(count: int, seed: int = 0) -> Originals:
    """Return bright and dark pictures, sorted by class."""
    labels = np.sort(np.arange(count) % 2)
    noise = np.random.default_rng(seed).integers(0, 100, (count, 1, 8, 8))
    pixels = (noise + 150 * labels[:, None, None, None]).astype(np.uint8)
    return of_split("pictures", make_dataset("pictures", pixels, labels, ("dark", "bright")))


class Halves(nn.Module):
    """Encodes a picture as the means of its halves."""

    def __init__(self) -> None:
        super().__init__()
        self.unused = nn.Parameter(torch.zeros(1))

    def encode(self, x: torch.Tensor, condition: object = None) -> torch.Tensor:
        return x.flatten(2).unflatten(2, (2, -1)).mean((1, 3))


# spaces and subsets


def test_latents_are_what_the_model_encodes_and_pixels_keep_their_distances() -> None:
    x = torch.rand(3, 1, 8, 8) * 2 - 1
    latents, pixels = find_space(Halves(), GREY, None, "pixels", "it"), pixels_of(GREY)
    assert (latents.size, pixels.size) == (2, 64)
    assert np.allclose(latents.of(x), Halves().encode(x))
    assert np.allclose(pixels.of(x), x.flatten(1))


def test_large_pictures_are_averaged_and_the_title_says_so() -> None:
    assert reduced(torch.zeros(1, 3, 64, 128), 32).shape == (1, 3, 16, 32)
    assert torch.allclose(reduced(torch.ones(1, 1, 64, 64), 32), torch.ones(1, 1, 32, 32))
    assert pixels_of(Images(1, 64, 64)).title == "pixels at 32×32"
    assert pixels_of(Points(2)).title == "numbers of the points"


def test_a_model_without_a_space_says_which_presets_have_it() -> None:
    with pytest.raises(GenlabError, match=r"Try: .*conv-vae"):
        find_space(nn.Linear(1, 1), GREY, None, "pixels", "genlab map")
    with pytest.raises(GenlabError, match=r"Try: .*dcgan"):
        find_space(Halves(), GREY, "discriminator", "pixels", "genlab map")
    with pytest.raises(UsageError, match="Choices: latent, pixels"):
        find_space(Halves(), Points(2), "features", "pixels", "genlab map")


def test_a_subset_of_sorted_examples_has_all_classes_in_their_shares() -> None:
    found = gather(split_of(2000), [pixels_of(GREY)], 400, progress=False)
    assert 330 < len(found.names) < 470
    assert 0.4 < np.mean([label == "dark" for label in found.labels]) < 0.6
    assert f"{len(found.names)} of 2,000" in found.note
    again = gather(split_of(2000), [pixels_of(GREY)], 400, progress=False)
    assert found.names == again.names
    whole = gather(split_of(20), [pixels_of(GREY)], 400, progress=False)
    assert whole.note == "20 examples"


def test_a_larger_subset_contains_a_smaller_one() -> None:
    few, many = Thinned(0.2), Thinned(0.5)
    left = {str(at) for at in range(500)}
    assert {name for name in left if name not in few} < {name for name in left if name not in many}


# neighbours


def test_neighbours_found_in_chunks_are_those_of_all_distances() -> None:
    random = np.random.default_rng(0)
    queries, among = (random.normal(size=(count, 5)).astype(np.float32) for count in (4, 90))
    found = Nearest(queries, 7)
    for start in range(0, 90, 13):
        found.add(among[start : start + 13], start)
    distances = np.linalg.norm(queries[:, None] - among, axis=2)
    assert np.array_equal(found.rows, distances.argsort(1)[:, :7])
    assert np.allclose(found.distances, np.sort(distances, 1)[:, :7], atol=1e-5)


def test_a_picture_is_its_own_nearest_neighbour_at_distance_0() -> None:
    pictures, pixels = split_of(300), pixels_of(GREY)
    asked = gather(pictures, [pixels], 300, progress=False)
    found = search(pictures, [pixels], [asked.vectors[0][250:253]], 3, 3, progress=False)
    assert found.found[0].rows[:, 0].tolist() == [250, 251, 252]
    assert not found.found[0].distances[:, 0].any()
    assert torch.allclose(found.shown(0)[0], asked.shown([250])[0])
    assert len(found.kept) <= 9
    assert found.same_class(0, ["bright"] * 3) == 1
    assert found.same_class(0, [None] * 3) is None


def test_fewer_examples_than_neighbours_are_all_returned() -> None:
    pictures, pixels = split_of(2), pixels_of(GREY)
    found = search(pictures, [pixels], [np.zeros((1, 64), np.float32)], 5, 1, progress=False)
    assert sorted(found.found[0].rows[0].tolist()) == [-1, -1, -1, 0, 1]
    assert len(found.shown(0)) == 2


def test_samples_that_are_copies_are_counted() -> None:
    usual = np.linspace(1, 2, 101)
    assert copies(np.array([0.0, 0.0, 1.5]), usual).copies == 2
    assert copies(usual, usual).copies <= 2


# clusters


def test_agreement_is_1_under_any_names_and_0_for_a_single_cluster() -> None:
    labels = ["a", "a", "b", "b", "c", "c"]
    assert agreement(labels, np.array([2, 2, 0, 0, 1, 1])) == pytest.approx({"NMI": 1, "ARI": 1, "purity": 1})
    single = agreement(labels, np.zeros(6, np.int64))
    assert single == pytest.approx({"NMI": 0, "ARI": 0, "purity": 1 / 3})


def test_separate_groups_are_found_and_their_sheets_begin_with_the_middle() -> None:
    vectors = np.concatenate([np.arange(-2, 3), np.arange(98, 103)])[:, None].astype(np.float32)
    pixels = pixels_of(Points(1))
    found = fit("numbers", pixels, vectors, 2, seed=0)
    sheets = nearest(found, vectors, 3)
    assert sorted(sheet[0] for sheet in sheets) == [2, 7]
    assert all(len(sheet) == 3 for sheet in sheets)
    same = fit("numbers", pixels, np.zeros((4, 1), np.float32), 3, seed=0)
    assert sorted(len(sheet) for sheet in nearest(same, np.zeros((4, 1), np.float32), 4)) == [0, 0, 4]


# probes


def groups(count: int, seed: int, apart: float = 6) -> tuple[np.ndarray, np.ndarray]:
    labels = np.arange(count) % 3
    noise = np.random.default_rng(seed).normal(size=(count, 3))
    return (noise + apart * np.eye(3)[labels]).astype(np.float32), labels


def test_separate_classes_are_told_with_few_labels_and_noise_is_not() -> None:
    (x, labels), (test, truth) = groups(600, 0), groups(300, 1)
    noise = {"noise": np.random.default_rng(2).normal(size=(600, 3)).astype(np.float32)}
    found = probe_all({"own": x, **noise}, labels, {"own": test, "noise": noise["noise"][:300]}, truth, seed=0)
    own = {(each.probe, each.labels): each for each in found if each.space == "own"}
    assert {labels for _, labels in own} == {3, 30, 300, 600}
    assert all(own[probe, 30].mean > 0.97 for probe in ("linear", "k-NN"))
    assert own["linear", 600].deviation is None
    assert own["linear", 3].deviation is not None
    chance = [each.mean for each in found if each.space == "noise" and each.labels == 30]
    assert max(chance) < 0.45


@pytest.mark.parametrize("name", ["linear", "k-NN"])
def test_a_probe_depends_neither_on_the_scale_nor_on_the_origin_of_a_space(name: str) -> None:
    (x, labels), (test, truth) = groups(60, 0, apart=1), groups(300, 1, apart=1)
    one = accuracy(name, x, labels, test, truth)  # type: ignore[arg-type]
    assert accuracy(name, 100 * x + 7, labels, 100 * test + 7, truth) == pytest.approx(one, abs=0.01)  # type: ignore[arg-type]


def test_principal_components_are_at_most_as_many_as_there_are() -> None:
    assert pca(np.random.default_rng(0).normal(size=(5, 9)).astype(np.float32), 64).n_components_ == 5
    assert numbered(["b", "a"], ["a", "b"]).tolist() == [1, 0]


# maps


def test_a_map_by_pca_of_points_in_a_plane_keeps_all_neighbours() -> None:
    points = Points(3)
    x = np.pad(np.random.default_rng(0).normal(size=(40, 2)), ((0, 0), (0, 1))).astype(np.float32)
    examples = Examples([str(at) for at in range(40)], [None] * 40, [x, x], torch.from_numpy(x), [], 40)
    found = maps(examples, [pixels_of(points)] * 2, ["pca", "tsne"], 0)
    assert [panel.points.shape for panel in found] == [(40, 2)] * 4
    assert found[0].trustworthiness == pytest.approx(1)
    assert found[1].trustworthiness > 0.8
    with pytest.raises(UsageError, match="12 examples or more"):
        maps(
            Examples(["0"], [None], [x[:1], x[:1]], torch.zeros(1, 3), [], 1), [pixels_of(points)] * 2, ["pca"], 0
        )


def test_unknown_methods_of_maps_are_refused_with_the_choices() -> None:
    with pytest.raises(UsageError, match=r'"tsn"\. Did you mean .*tsne.* Choices: pca, tsne, umap'):
        chosen(["tsn"])
    assert chosen(["tsne", "tsne"]) == ["tsne"]


def test_names_in_a_page_stay_text_and_it_loads_nothing() -> None:
    hostile = "</script><script>alert(1)</script>"
    examples = Examples([hostile, "b"], [hostile, None], [], torch.zeros(2, 1, 4, 4, dtype=torch.uint8), [], 2)
    text = page(hostile, examples, [Panel("latents by PCA", np.array([[0, 0], [1, 3]], np.float32), 1.0)])
    assert text.count("</script>") == 1
    assert "alert(1)</script>" not in text
    assert not re.search(r"https?:|//[a-z]+\.", text)
    found = json.loads(re.search(r"const data = (.*);\n", text)[1])  # type: ignore[index]
    assert found["names"] == [hostile, "b"]
    assert found["labels"] == [0, -1]
    assert found["panels"][0]["points"] == [
        [pytest.approx(1 / 3, abs=1e-3), 0],
        [pytest.approx(2 / 3, abs=1e-3), 1],
    ]
    assert found["atlas"].startswith("data:image/png;base64,")
