"""sentry-sdk in the same process, as it is while a program moves from one to the other."""

from __future__ import annotations

import importlib.util

import pytest

from tests.process.test_entry_points import run

pytestmark = pytest.mark.skipif(importlib.util.find_spec("sentry_sdk") is None, reason="sentry-sdk is not installed")

BRIDGE = "bridge.init(traces_sample_rate=1.0, transport=ours)"
SENTRY = "sentry_sdk.init('http://k@127.0.0.1:9/1', transport=Kept())"
PROGRAM = """
import threading
from concurrent.futures import ThreadPoolExecutor
import sentry_sdk
from sentry_sdk.transport import Transport
import bridge
from bridge.testing import CapturingTransport

kept = []
class Kept(Transport):
    def __init__(self, options=None):
        super().__init__(options)
    def capture_envelope(self, envelope):
        kept.append(envelope)
ours = CapturingTransport()
"""


@pytest.mark.parametrize("order", [(BRIDGE, SENTRY), (SENTRY, BRIDGE)], ids=["bridge first", "sentry-sdk first"])
def test_threads_run_with_both(order: tuple[str, str]) -> None:
    """Threads and executors run and carry both contexts, whichever patched them first."""
    program = f"""
{PROGRAM}
{order[0]}
{order[1]}
seen = []
def work():
    seen.append((bridge.get_current_span().description, sentry_sdk.get_isolation_scope()._tags))
sentry_sdk.set_tag("a", "b")
with bridge.start_span("root"):
    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    with ThreadPoolExecutor(1) as pool:
        pool.submit(work).result()
print(seen)
"""
    done = run(program)
    assert (done.stderr, done.stdout.strip()) == ("", str([("root", {"a": "b"})] * 2))


def test_errors_of_sentry_sdk_link_to_our_spans() -> None:
    """An error that sentry-sdk captures is in the trace, at the span, where it is told who knows the span."""
    program = f"""
{PROGRAM}
from opentelemetry import trace
from sentry_sdk.scope import register_external_propagation_context

def where():
    here = trace.get_current_span().get_span_context()
    return (trace.format_trace_id(here.trace_id), trace.format_span_id(here.span_id)) if here.is_valid else None

{BRIDGE}
{SENTRY}
register_external_propagation_context(where)
with bridge.start_span("root") as span:
    sentry_sdk.capture_exception(ValueError("x"))
at = kept[0].get_event()["contexts"]["trace"]
print(at["trace_id"] == span.trace_id, at["span_id"] == span.span_id, [t["transaction"] for t in ours.transactions])
"""
    done = run(program)
    assert (done.stderr, done.stdout.strip()) == ("", "True True ['root']")
