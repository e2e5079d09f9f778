"""One trace, one decision, one DSC over chains of real services: Sentry SDKs, OpenTelemetry, `bridge` among them."""

from __future__ import annotations

from itertools import pairwise

import pytest

from bridge._internal.wire.baggage import parse_dsc
from tests.interop.fleet import OTEL, SENTRY, Fleet, Hop

pytestmark = pytest.mark.neighbour
T, S = "771a43a4192642f0b136d5159a501700", "1234567890abcdef"


def dsc(headers: dict[str, str]) -> dict[str, str]:
    """The DSC in some headers. @sentry/node reads `sample_rand` as a number, and so drops zeros at its end."""
    found = parse_dsc(headers.get("baggage", ""))
    return {key: str(float(value)) if key == "sample_rand" else value for key, value in found.items()}


def assert_one_trace(*hops: Hop) -> None:
    """Each hop is a child of the one before, in its trace."""
    for before, after in pairwise(hops):
        assert (after.trace_id, after.parent_span_id) == (before.trace_id, before.sending_span_id)


@pytest.mark.parametrize("neighbour", SENTRY)
@pytest.mark.parametrize(("rate", "opposite", "sampled"), [("1", "0", True), ("0", "1", False)])
def test_a_sentry_sdk_is_the_head(fleet: Fleet, neighbour: str, rate: str, opposite: str, sampled: bool) -> None:
    """Its decision holds in every service below, whatever their own rates; its DSC goes through verbatim."""
    head, ours, last = fleet.through(f"{neighbour}@{rate}", f"bridge@{opposite}", f"{neighbour}@{opposite}")
    assert_one_trace(head, ours)
    assert (last.trace_id, last.received["sentry-trace"][33:49]) == (ours.trace_id, ours.sending_span_id)
    assert head.sampled is ours.sampled is last.sampled is sampled
    assert dsc(head.sent)["trace_id"] == head.trace_id
    assert dsc(ours.sent) == dsc(head.sent)
    assert dsc(last.sent) == dsc(head.sent)
    assert bool(int(ours.sent["traceparent"][-2:], 16) & 1) is sampled


@pytest.mark.parametrize("neighbour", SENTRY)
@pytest.mark.parametrize(("rate", "sampled"), [("1", True), ("0", False)])
def test_a_sentry_sdk_without_tracing_is_the_head(fleet: Fleet, neighbour: str, rate: str, sampled: bool) -> None:
    """It leaves the decision open; `bridge` decides, and says so in the DSC, in which the rest stays as it was."""
    head, ours = fleet.through(f"{neighbour}@off", f"bridge@{rate}")
    assert (head.sampled, ours.sampled) == (None, sampled)
    assert (ours.trace_id, ours.parent_span_id) == (head.trace_id, head.sending_span_id)
    decided = {"sampled": str(sampled).lower(), "sample_rate": str(float(rate))}
    sample_rand = dsc(ours.sent)["sample_rand"]  # heads like this send none
    assert (float(sample_rand) < float(rate)) is sampled
    assert dsc(ours.sent) == {"sample_rand": sample_rand, **dsc(head.sent), **decided}


@pytest.mark.parametrize("neighbour", SENTRY)
@pytest.mark.parametrize(("rate", "opposite", "sampled"), [("1", "0", True), ("0", "1", False)])
def test_bridge_is_the_head(fleet: Fleet, neighbour: str, rate: str, opposite: str, sampled: bool) -> None:
    """A Sentry SDK continues our trace with our decision, and passes our DSC on verbatim."""
    ours, theirs, back = fleet.through(f"bridge@{rate}", f"{neighbour}@{opposite}", f"bridge@{opposite}")
    assert ours.parent_span_id is None
    assert (theirs.trace_id, theirs.received["sentry-trace"][33:49]) == (ours.trace_id, ours.sending_span_id)
    assert (back.trace_id, back.parent_span_id) == (theirs.trace_id, theirs.sending_span_id)
    assert ours.sampled is theirs.sampled is back.sampled is sampled
    assert dsc(ours.sent)["release"] == "bridge-service@1"
    assert dsc(theirs.sent) == dsc(ours.sent)
    assert dsc(back.sent) == dsc(ours.sent)
    if sampled:
        assert theirs.parent_span_id == ours.sending_span_id


@pytest.mark.parametrize("neighbour", SENTRY)
def test_bridge_without_tracing_is_the_head(fleet: Fleet, neighbour: str) -> None:
    """We leave the decision open; the Sentry SDK makes it, by our `sample_rand`."""
    ours, theirs = fleet.through("bridge@off", f"{neighbour}@1")
    assert (ours.sampled, theirs.sampled) == (None, True)
    assert (theirs.trace_id, theirs.parent_span_id) == (ours.trace_id, ours.sending_span_id)
    assert dsc(theirs.sent)["sample_rand"] == dsc(ours.sent)["sample_rand"]


@pytest.mark.parametrize("flag", ["-1", "-0"])
@pytest.mark.parametrize("neighbour", SENTRY)
def test_both_in_the_middle(fleet: Fleet, neighbour: str, flag: str) -> None:
    """A trace that begins elsewhere goes through both, in either order, with its decision and an unknown DSC entry."""
    baggage = f"sentry-trace_id={T},sentry-public_key=k,sentry-sample_rate=0.5,sentry-sample_rand=0.25,sentry-new=1"
    headers = {"sentry-trace": f"{T}-{S}{flag}", "baggage": f"{baggage},third=party"}
    opposite = {"-1": "0", "-0": "1"}[flag]
    for names in ((f"bridge@{opposite}", f"{neighbour}@{opposite}"), (f"{neighbour}@{opposite}", f"bridge@{opposite}")):
        first, second = fleet.through(*names, headers=headers)
        assert first.trace_id == second.trace_id == T
        assert first.sampled is second.sampled is (flag == "-1")
        assert dsc(first.sent) == dsc(second.sent) == dsc(headers)
        if names[0].startswith("bridge"):
            assert first.parent_span_id == S
            assert first.sent["baggage"].endswith("third=party")


@pytest.mark.parametrize("neighbour", OTEL)
@pytest.mark.parametrize(("rate", "opposite", "sampled"), [("1", "0", True), ("0", "1", False)])
def test_opentelemetry_alone_is_the_head(fleet: Fleet, neighbour: str, rate: str, opposite: str, sampled: bool) -> None:
    """Its flag decides; `bridge` is the first that a DSC comes from, and it says the same."""
    head, ours, last = fleet.through(f"{neighbour}@{rate}", f"bridge@{opposite}", f"{neighbour}@{opposite}")
    assert_one_trace(head, ours, last)
    assert head.sampled is ours.sampled is last.sampled is sampled
    assert dsc(ours.sent)["sampled"] == str(sampled).lower()
    assert dsc(ours.sent)["trace_id"] == head.trace_id
    assert "sentry-trace" not in head.sent


@pytest.mark.parametrize("neighbour", OTEL)
@pytest.mark.parametrize(("rate", "opposite", "sampled"), [("1", "0", True), ("0", "1", False)])
def test_opentelemetry_alone_in_the_middle(
    fleet: Fleet, neighbour: str, rate: str, opposite: str, sampled: bool
) -> None:
    """What it drops is `sentry-trace` alone: the decision crosses in the trace state, the DSC in the baggage."""
    ours, theirs, back = fleet.through(f"bridge@{rate}", f"{neighbour}@{opposite}", f"bridge@{opposite}")
    assert_one_trace(ours, theirs, back)
    assert ours.sampled is theirs.sampled is back.sampled is sampled
    assert "sentry-trace" not in theirs.sent
    assert dsc(back.sent) == dsc(ours.sent)
    assert theirs.sent["tracestate"] == ours.sent["tracestate"] == back.sent["tracestate"]


@pytest.mark.parametrize("neighbour", OTEL)
def test_a_deferred_decision_crosses_opentelemetry(fleet: Fleet, neighbour: str) -> None:
    """An unsampled flag of a service that decides nothing is not taken for a decision."""
    ours, theirs, back = fleet.through("bridge@off", neighbour, "bridge@1")
    assert_one_trace(ours, theirs, back)
    assert (ours.sampled, theirs.sampled, back.sampled) == (None, False, True)


@pytest.mark.parametrize("node", ["sentry-node-10", "sentry-node-11"])
@pytest.mark.parametrize("otel", OTEL)
def test_a_chain_of_four_kinds(fleet: Fleet, otel: str, node: str) -> None:
    """sentry-sdk, OpenTelemetry alone, `bridge`, @sentry/node: one trace from the second on, never with a wrong DSC.

    OpenTelemetry does not read `sentry-trace` and passes on the baggage of a trace that is not its own.
    """
    first, second, ours, last = fleet.through("sentry-sdk@0", otel, "bridge@0", f"{node}@0")
    assert first.trace_id != second.trace_id
    assert dsc(second.sent)["trace_id"] == first.trace_id
    assert_one_trace(second, ours, last)
    assert second.sampled is ours.sampled is last.sampled is True
    for hop in (ours, last):
        assert dsc(hop.sent)["trace_id"] == second.trace_id
        assert first.trace_id not in str(hop.sent)
        assert dsc(hop.sent)["release"] == "bridge-service@1"
