import logging

import pytest

from genlab.data import progress


def test_where_no_bar_can_be_drawn_a_line_says_how_far_a_task_is(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    caplog.set_level(logging.INFO, "genlab")
    monkeypatch.setattr(progress, "SECONDS", 0)
    with progress.bar(show=True) as shown:
        task = shown.add_task("decoding", total=2000)
        shown.advance(task, 1200)
        shown.update(task, completed=2000)
    assert caplog.messages == ["decoding: 1,200 of 2,000", "decoding: 2,000 of 2,000"]


@pytest.mark.parametrize(("show", "seconds"), [(False, 0), (True, 10)])
def test_it_is_silent_if_it_is_to_be_and_before_ten_seconds(
    show: bool, seconds: int, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    caplog.set_level(logging.INFO, "genlab")
    monkeypatch.setattr(progress, "SECONDS", seconds)
    with progress.bar(show=show) as shown:
        shown.advance(shown.add_task("decoding", total=3))
    assert caplog.messages == []
