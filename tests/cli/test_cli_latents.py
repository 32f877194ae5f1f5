"""decode, map, cluster, neighbours, probe: from a run to files."""

import csv
import shutil
from functools import partial
from pathlib import Path
from unittest.mock import Mock

import numpy as np
import pytest
import torch
from PIL import Image

import genlab as package
from genlab.applications.rows import Rows
from genlab.core.errors import DataError, GenlabError, UsageError


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("runs")


@pytest.fixture(scope="module")
def run(root: Path) -> package.Run:
    return package.train("vae", data="digits", size=16, width=32, latent=6, steps=30, root=root, quiet=True)


@pytest.fixture(scope="module")
def codes(run: package.Run, root: Path) -> Path:
    return package.encode(run, "digits", out=root / "codes.npz").path


# decode


def test_decoding_what_was_encoded_gives_the_reconstructions(
    run: package.Run, codes: Path, tmp_path: Path
) -> None:
    done = package.decode(run, codes, out=tmp_path / "grid.png")
    x = package.data("digits", size=16).source.held_out.batch(np.arange(done.rows)).x
    assert done.examples is not None
    assert torch.allclose(done.examples, package.load(run).reconstruct(x), atol=1e-5)
    assert (tmp_path / "grid.png").is_file()


def test_a_folder_has_a_picture_for_each_row_and_an_interrupted_one_is_completed(
    run: package.Run, codes: Path, tmp_path: Path
) -> None:
    done = package.decode(run, codes, out=tmp_path / "all")
    files = sorted((tmp_path / "all").glob("*.png"))
    assert len(files) == done.rows
    before = files[3].read_bytes()
    files[3].write_bytes(before[:-5])
    files[4].unlink()
    again = package.decode(run, codes, out=tmp_path / "all")
    assert again.resumed == done.rows - 2
    assert files[3].read_bytes() == before


def test_a_folder_of_other_latents_is_refused(run: package.Run, codes: Path, tmp_path: Path) -> None:
    package.decode(run, codes, out=tmp_path / "all")
    table = package.encode(run, "digits", out=tmp_path / "codes.csv").path
    lines = table.read_text().splitlines()
    table.write_text("\n".join(lines[:5]) + "\n")
    with pytest.raises(UsageError, match="other latents or weights"):
        package.decode(run, table, out=tmp_path / "all")


def test_tables_that_do_not_fit_are_refused_in_plain_words(run: package.Run, tmp_path: Path) -> None:
    table = tmp_path / "codes.csv"
    with pytest.raises(UsageError, match="there is no table"):
        package.decode(run, table)
    table.write_text("file,z0\na.png,1\n")
    with pytest.raises(UsageError, match="1 number a row, and this model takes 6 latents"):
        package.decode(run, table)
    table.write_text("file," + ",".join(f"z{at}" for at in range(6)) + "\na.png,1,2,3,4,5,nan\n")
    for use in (package.decode, partial(package.edit, towards=7)):
        with pytest.raises(UsageError, match=r'the latents of "a\.png" hold NaN or infinity'):
            use(run, table)
    table.write_text("file,z0,z1\na.png,1\n")
    with pytest.raises(DataError, match="a row has 2 cells, and the first line 3"):
        package.decode(run, table)
    for text in ("nothing", ""):
        table.write_text(text)
        with pytest.raises(DataError, match=r'no table that genlab wrote .* no column "file"'):
            package.decode(run, table)
    (tmp_path / "codes.npz").write_text("nothing")
    with pytest.raises(DataError, match=r"it is no \.npz archive"):
        package.decode(run, tmp_path / "codes.npz")


def test_a_table_is_no_folder_of_pictures_and_is_not_written_over(run: package.Run, tmp_path: Path) -> None:
    table = package.encode(run, "digits", out=tmp_path / "codes.csv").path
    before = table.read_bytes()
    for out in (table, tmp_path / "other.npz", tmp_path / "other.csv"):
        with pytest.raises(UsageError, match="--out"):
            package.decode(run, table, out=out)
    assert table.read_bytes() == before
    assert not (tmp_path / "other.npz").exists()


@pytest.fixture(scope="module")
def conditional(root: Path) -> package.Run:
    given = {"data": "digits", "size": 16, "width": 4, "latent": 3, "steps": 3, "root": root, "quiet": True}
    return package.train("conditional-vae", **given)  # type: ignore[arg-type]


def test_pictures_of_unknown_class_are_encoded_and_decoded_under_the_class_that_is_inferred(
    conditional: package.Run, tmp_path: Path
) -> None:
    x = package.data("digits", size=16).source.held_out.batch(np.arange(5)).x
    codes = package.encode(conditional, x.numpy(), out=tmp_path / "codes.csv")
    model = package.load(conditional)
    assert codes.table.labels == [str(label) for label in model.classify(x).tolist()]
    done = package.decode(conditional, codes.path, out=tmp_path / "grid.png")
    assert done.examples is not None
    assert torch.allclose(done.examples, model.reconstruct(x), atol=1e-5)


def test_classes_in_turn_stay_the_same_when_an_interrupted_folder_is_completed(
    conditional: package.Run, tmp_path: Path
) -> None:
    table = tmp_path / "codes.csv"
    table.write_text("file,z0,z1,z2\n" + "".join(f"{at},0,0,0\n" for at in range(4)))
    done = package.decode(conditional, table, out=tmp_path / "all")
    assert "4 rows without a class" in str(done)
    before = (tmp_path / "all" / "3.png").read_bytes()
    (tmp_path / "all" / "3.png").unlink()
    package.decode(conditional, table, out=tmp_path / "all")
    assert (tmp_path / "all" / "3.png").read_bytes() == before


def test_latents_of_rows_become_rows_again(tmp_path: Path) -> None:
    table = tmp_path / "people.csv"
    lines = [f"{20 + at % 50},{'yes' if at % 3 else 'no'},{'ab'[at % 2]}" for at in range(120)]
    table.write_text("age,member,kind\n" + "\n".join(lines) + "\n")
    run = package.train("table-vae", data=str(table), label="kind", steps=3, root=tmp_path, quiet=True)
    codes = package.encode(run, table, out=tmp_path / "codes.npz").path
    done = package.decode(run, codes, out=tmp_path / "new" / "rows.csv")
    with done.path.open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == done.rows == 120
    assert {row["member"] for row in rows} <= {"yes", "no"}
    assert all(20 <= int(row["age"]) <= 69 for row in rows)
    assert [row["kind"] for row in rows] == ["ab"[at % 2] for at in range(120)]
    assert package.decode(run, codes).path.suffix == ".csv"
    assert package.encode(run, done.path).rows == 120


def test_a_model_with_classes_decodes_each_row_under_its_class(conditional: package.Run, tmp_path: Path) -> None:
    run, table = conditional, tmp_path / "codes.csv"
    table.write_text("file,class,z0,z1,z2\n" + "".join(f"{at},{label},0,0,0\n" for at, label in enumerate("773")))
    done = package.decode(run, table)
    assert done.examples is not None
    want = package.load(run).decode(torch.zeros(3, 3), {"label": torch.tensor([7, 7, 3])})
    assert torch.allclose(done.examples, want, atol=1e-5)
    table.write_text("file,class,z0,z1,z2\na,77,0,0,0\n")
    with pytest.raises(UsageError, match='no class "77"'):
        package.decode(run, table)


# probe


def test_a_probe_measures_latents_beside_components_and_pixels(run: package.Run, tmp_path: Path) -> None:
    done = package.probe(run, number=400, out=tmp_path / "curves.png")
    found = {(each.space, each.probe, each.labels): each.mean for each in done.accuracies}
    spaces = list(dict.fromkeys(space for space, _, _ in found))
    assert spaces == ["latents", "6 principal components of the pixels", "pixels"]
    assert all(0 <= accuracy <= 1 for accuracy in found.values())
    assert found["pixels", "linear", 100] > 0.7
    assert found["pixels", "k-NN", 10] < found["pixels", "k-NN", 100]
    assert 300 < done.train < 500
    assert "chosen by a hash" in str(done)
    with Image.open(tmp_path / "curves.png") as picture:
        assert picture.width > 2 * picture.height


def test_a_probe_needs_classes(root: Path) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (60, 8, 8), np.uint8)
    run = package.train("vae", data=pixels, size=8, steps=2, width=4, root=root, quiet=True)
    with pytest.raises(UsageError, match="needs data with classes"):
        package.probe(run)


# cluster


def test_every_example_gets_a_cluster_and_each_cluster_a_sheet(run: package.Run, tmp_path: Path) -> None:
    done = package.cluster(run, clusters=4, out=tmp_path / "groups")
    table = done.table
    assert sum(each.size for each in done.clusters) == len(table.names)
    assert set(table.values[:, 0].astype(int)) <= set(range(4))
    assert len(list((tmp_path / "groups").glob("cluster-*.png"))) == 4
    assert set(done.agreement) == {"latents", "6 principal components of the pixels"}
    assert all(sum(each.classes.values()) == each.size for each in done.clusters)
    again = package.cluster(run, clusters=4, out=tmp_path / "again")
    assert np.array_equal(table.values, again.table.values)


def test_a_killed_command_goes_on_with_the_same_clusters(
    run: package.Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = package.cluster(run, clusters=4, out=tmp_path / "whole").table
    with monkeypatch.context() as patch:
        patch.setattr(Rows, "finish", Mock(side_effect=KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            package.cluster(run, clusters=4, out=tmp_path / "killed")
    with pytest.raises(UsageError, match="another command that was interrupted"):
        package.cluster(run, clusters=5, out=tmp_path / "killed")
    values = tmp_path / "killed" / "clusters.csv.part" / "values"
    values.write_bytes(values.read_bytes()[:-30])
    again = package.cluster(run, clusters=4, out=tmp_path / "killed").table
    assert np.allclose(again.values, whole.values, atol=1e-5)
    assert again.names == whole.names


def test_files_that_are_no_pictures_are_listed_and_the_others_grouped(run: package.Run, tmp_path: Path) -> None:
    for at in range(6):
        Image.new("L", (20, 30), 40 * at).save(tmp_path / f"{at}.png")
    (tmp_path / "bad.png").write_bytes(b"no picture")
    done = package.cluster(run, tmp_path, clusters=2, out=tmp_path.parent / "found")
    assert [item.path for item in done.rejected] == ["bad.png"]
    assert sum(each.size for each in done.clusters) == 6
    assert not done.agreement
    with pytest.raises(UsageError, match="7 clusters need 7 examples or more, not 6"):
        package.cluster(run, tmp_path, clusters=7)


# neighbours


def test_a_training_picture_is_found_among_the_training_pictures(run: package.Run, tmp_path: Path) -> None:
    train = package.data("digits", size=16).source.train
    pixels = train.values[np.array([11])][0, 0]
    Image.fromarray(pixels).save(tmp_path / "mine.png")
    for space in (None, "pixels"):
        done = package.neighbours(run, tmp_path / "mine.png", space=space, neighbours=3, out=tmp_path / "near.png")
        assert done.nearest(0)[0] == ("11", pytest.approx(0, abs=1e-5))
        assert len(done.nearest(0)) == 3
    lines = list(csv.reader((tmp_path / "near.csv").read_text().splitlines()))
    assert lines[0] == ["file", "class", "neighbour", "rank", "distance"]
    assert lines[1] == ["mine.png", "", "11", "1", "0"]


def test_samples_are_compared_with_held_out_examples(run: package.Run, tmp_path: Path) -> None:
    done = package.neighbours(run, samples=3, neighbours=2, out=tmp_path / "near.png")
    assert list(done.names) == ["sample 0", "sample 1", "sample 2"]
    assert len(done.copies) == len(done.spaces) == 2
    assert all(each.usual > 0 for each in done.copies.values())
    assert len((tmp_path / "near.csv").read_text().splitlines()) == 1 + 3 * 2


def test_neighbours_need_pictures_or_samples_but_not_both(run: package.Run) -> None:
    for given in ({}, {"path": "digits", "samples": 3}):
        with pytest.raises(UsageError, match=r"either PATH, .* or --samples"):
            package.neighbours(run, **given)  # type: ignore[arg-type]


# map


def test_a_map_is_a_picture_and_a_page(run: package.Run, tmp_path: Path) -> None:
    done = package.map(run, by=["pca"], number=100, out=tmp_path / "map.png")
    assert [panel.title for panel in done.panels] == ["latents by PCA", "pixels by PCA"]
    assert (tmp_path / "map.png").is_file()
    assert "data:image/png;base64," in (tmp_path / "map.html").read_text()


def test_a_gan_is_mapped_by_the_features_of_its_discriminator(tmp_path: Path) -> None:
    given = {"data": "digits", "size": 16, "width": 4, "steps": 2, "root": tmp_path, "quiet": True}
    done = package.map(package.train("dcgan", **given), by=["pca"], number=60)  # type: ignore[arg-type]
    assert done.panels[0].title == "features of the discriminator by PCA"
    labelled = package.train("cgan", **given)  # type: ignore[arg-type]
    with pytest.raises(GenlabError, match=r"needs a model that can encode.*give --space features or pixels"):
        package.map(labelled)
    with pytest.raises(GenlabError, match="give --space features or pixels"):
        package.map(labelled, space="discriminator")
    shutil.rmtree(tmp_path)


def test_every_verb_says_how_many_pictures_it_squashed(run: package.Run, tmp_path: Path) -> None:
    photos, out = tmp_path / "photos", tmp_path / "out"
    photos.mkdir()
    for at in range(14):
        size = (20, 30) if at < 2 else (20, 20)
        Image.new("L", size, 10 * at).save(photos / f"{at}.png")
    done = {
        "encode": package.encode(run, photos, out=out / "codes.npz"),
        "map": package.map(run, photos, by=["pca"], out=out / "map.png"),
        "cluster": package.cluster(run, photos, clusters=2, out=out / "clusters"),
        "neighbours": package.neighbours(run, photos, out=out / "near.png"),
        "edit": package.edit(run, photos, towards=3, examples=5, out=out / "edited.png"),
    }
    for name, result in done.items():
        assert result.values()["squashed"] == 2, name
        assert "squashed to the model's 16x16 pixels in grey, because their aspect ratio differs: 2" in str(result)
