"""geo_assets.liveness: what is known of the process of a run."""

import psutil
import pytest

from geo_assets.liveness import is_gone, worker_tag


@pytest.mark.parametrize("question", ["__init__", "status", "create_time"])
def test_a_process_that_ends_while_it_is_asked_for_is_gone(monkeypatch, question):
    tag = worker_tag()
    assert not is_gone(tag)

    def ended(process, *_):
        raise psutil.NoSuchProcess(process.pid)

    def never(_process, pid):
        raise psutil.NoSuchProcess(pid)

    is_first = question == "__init__"
    monkeypatch.setattr(psutil.Process, question, never if is_first else ended)
    assert is_gone(tag)
