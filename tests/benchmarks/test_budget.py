"""Work that is broken off goes on where it was."""

from pathlib import Path

from budget import known, work_off


def test_results_are_added_to_those_that_are_there(tmp_path: Path) -> None:
    results = tmp_path / "results.jsonl"
    assert known(results, "preset", "seed") == set()
    first = work_off(dict, [([("preset", "glow"), ("seed", 0)],)], results, workers=1)
    both = work_off(dict, [([("preset", "glow"), ("seed", 1)],)], results, workers=1)
    assert both == [*first, {"preset": "glow", "seed": 1}]
    assert known(results, "preset", "seed") == {("glow", 0), ("glow", 1)}
    assert work_off(dict, [], results, workers=1) == both
