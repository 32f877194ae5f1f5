"""The page of anomaly scores holds the best preset to its aim, and the baselines beside it."""

from uses_anomalies import AIM, section


def test_the_best_score_of_a_preset_has_the_aim_and_baselines_are_listed_once() -> None:
    scores = {"combined": [0.9, 0.98], "reconstruction": [0.8, 0.9], "features": [0.9, 0.92], "pca": [0.9, 0.91]}
    vae = {"likelihood": [0.7, 0.8], "features": [0.9, 0.92]}
    solar = {"autoencoder": {"combined": 0.6, "reconstruction": 0.65, "features": 0.7}}
    line = {"minutes": 10, "classes": ["a", "b"], "fashion": {"autoencoder": scores, "vae": vae}, "solar": solar}
    rows = {row.what: row for row in section(line).rows}
    assert len(rows) == len(section(line).rows)
    best = rows["Fashion-MNIST: autoencoder by combined, the best"]
    assert (best.value, best.least, best.met) == (0.94, AIM, True)
    assert rows["Fashion-MNIST: vae by likelihood"].value == 0.75
    assert not rows["solar cells: autoencoder by reconstruction, the best"].met
    assert rows["Fashion-MNIST: 5 nearest neighbours in pixels"].value == 0.91
