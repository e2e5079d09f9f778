"""OpenTelemetry's variables, as docs/configuration.md has them, each in a process of its own."""

from __future__ import annotations

import json

from tests.process.test_entry_points import run

PROGRAM = """
import json
import bridge
from bridge.testing import CapturingTransport

sent = CapturingTransport()
bridge.init(traces_sample_rate=1.0, transport=sent)
bridge.set_tag("customer", "c-42")
with bridge.start_span("checkout", attributes={"first": "a" * 50}) as span:
    span.set_attribute("second", 2)
    span.set_attribute("third", 3)
    span.add_event("one")
    span.add_event("two")
    headers = sorted(bridge.trace_headers())
bridge.capture_message("hello")
(transaction,) = sent.transactions or [None]
print(json.dumps([transaction, sent.events[0]["tags"], headers]))
"""


def test_the_service_is_named() -> None:
    """OTEL_SERVICE_NAME and OTEL_RESOURCE_ATTRIBUTES say what the process is."""
    done = run(PROGRAM, OTEL_SERVICE_NAME="shop", OTEL_RESOURCE_ATTRIBUTES="service.version=1.2,team=t")
    assert done.stderr == ""
    transaction, _, _ = json.loads(done.stdout)
    resource = transaction["contexts"]["otel"]["resource"]
    assert (resource["service.name"], resource["team"], transaction["release"]) == ("shop", "t", "1.2")


def test_a_disabled_sdk_makes_no_spans() -> None:
    """OTEL_SDK_DISABLED leaves errors, scopes and headers."""
    done = run(PROGRAM, OTEL_SDK_DISABLED="true")
    assert done.stderr == ""
    assert json.loads(done.stdout) == [None, {"customer": "c-42"}, ["baggage", "sentry-trace"]]


def test_limits_of_spans_are_the_sdks() -> None:
    """What is over OpenTelemetry's limits is left out, the oldest first, as in the SDK."""
    limits = {"OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT": "2", "OTEL_SPAN_EVENT_COUNT_LIMIT": "1"}
    transaction, _, _ = json.loads(run(PROGRAM, **limits).stdout)
    data = transaction["contexts"]["trace"]["data"]
    assert ("first" in data, data["second"], data["third"]) == (False, 2, 3)
    assert [event["name"] for event in data["otel.events"]] == ["two"]


def test_long_values_are_cut() -> None:
    """OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT cuts texts."""
    transaction, _, _ = json.loads(run(PROGRAM, OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT="5").stdout)
    assert transaction["contexts"]["trace"]["data"]["first"] == "aaaaa"
