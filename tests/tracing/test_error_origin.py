"""Exceptions remember the span that they came through, and stay what they are to everybody else."""

from __future__ import annotations

import copy
import pickle
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context

import pytest

import bridge
from bridge.testing import BridgeCapture


def fail_in_a_span() -> None:
    with bridge.start_span("work"):
        raise ValueError("in a span")


def set_up() -> None:
    bridge.init("http://public@127.0.0.1:9/1", traces_sample_rate=1.0, transport=lambda envelope: None)


def caught() -> ValueError:
    with pytest.raises(ValueError, match="in a span") as info, bridge.start_span("root"):
        fail_in_a_span()
    return info.value


@pytest.mark.parametrize("move", [lambda error: pickle.loads(pickle.dumps(error)), copy.deepcopy])
def test_an_exception_that_came_through_a_span_can_be_pickled_and_copied(sent: BridgeCapture, move) -> None:
    """Queues of jobs and pools of processes pickle exceptions: one that came through a span is no exception to that."""
    moved = move(caught())
    assert (type(moved), moved.args) == (ValueError, ("in a span",))
    assert bridge.capture_exception(moved)


def test_a_pickled_exception_needs_no_bridge_to_be_read(sent: BridgeCapture) -> None:
    """Whoever reads the result of a job need not have the bridge installed."""
    error = caught()
    bridge.capture_exception(error)
    assert b"bridge." not in pickle.dumps(error)


def test_an_exception_of_a_pool_of_processes_arrives_as_it_was_raised(sent: BridgeCapture) -> None:
    """What failed in a child process under a span fails in the parent with the same exception."""
    with (
        ProcessPoolExecutor(1, mp_context=get_context("spawn"), initializer=set_up) as pool,
        pytest.raises(ValueError, match="in a span"),
    ):
        pool.submit(fail_in_a_span).result(60)
