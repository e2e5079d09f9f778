"""Each seam is needed: with one of them left out, a claim about one world does not hold."""

from __future__ import annotations

import contextvars
import inspect

import pytest

from bridge._internal.context import scope
from bridge._internal.sentry_sdk import active_span, folding, mode, setup, variables, wire
from tests.sentry_sdk import test_delivery, test_folding, test_scopes, test_trees, test_wire
from tests.sentry_sdk.worlds import HAS_STREAMS, ORDERS, one_world


def continues_w3c(order: str) -> None:
    """sentry-sdk continues a `traceparent`."""
    test_wire.test_sentry_sdk_continues_either_header(order, "traceparent", True)


def delivers_at_flush(order: str) -> None:
    """`sentry_sdk.flush()` alone delivers a native root."""
    import sentry_sdk

    with one_world(order) as world:
        with world.native("root"):
            pass
        sentry_sdk.flush()
        assert world.transport.envelopes


def chooses_again(order: str) -> None:
    """A client that comes later is noticed."""
    from bridge._internal.sentry_sdk import report

    with one_world(order):
        assert report().mode == "world"


WRAPPED = {
    "sentry_sdk.tracing.Span.finish": (test_folding.test_clients_of_both, "static"),
    "sentry_sdk.tracing.Transaction.finish": (test_delivery.test_the_account_balances, "static"),
    "sentry_sdk.scope.Scope.start_transaction": (test_folding.test_our_server_outside, "static"),
    "sentry_sdk.scope.Scope.start_span": (test_folding.test_clients_of_both, "static"),
    "sentry_sdk.scope.Scope.start_streamed_span": (test_folding.test_streamed_servers, "stream"),
    "sentry_sdk.traces.StreamedSpan._end": (test_delivery.test_the_account_balances, "stream"),
    "sentry_sdk.traces.NoOpStreamedSpan._end": (
        test_trees.test_a_view_of_a_span_that_is_exported_alone_ends_it,
        "stream",
    ),
    "sentry_sdk.scope.Scope.iter_trace_propagation_headers": (test_wire.test_the_first_writer_writes, "static"),
    "sentry_sdk.scope.Scope.trace_propagation_meta": (test_wire.test_a_pages_tags_are_sentrys_two, "static"),
    "sentry_sdk.tracing_utils.PropagationContext.from_incoming_data": (continues_w3c, "static"),
}
"""The functions that are wrapped, and the claim that fails where the original stays."""

OTHERS = {
    "Scope._span": (
        (active_span, "take", lambda: None),
        (test_trees.test_the_view_of_a_span_is_one_object, "static"),
    ),
    "the context variables": (
        (variables, "take", lambda: None),
        (test_scopes.test_each_request_has_its_own, "static"),
    ),
    "the keeper of scopes": (
        (scope, "keep_scopes_by", lambda keeper: None),
        (test_scopes.test_isolation_scopes_end_in_any_order, "static"),
    ),
    "Client.flush": (
        (mode, "_flush_first", lambda wrapped, sdk, args, kwargs: wrapped(*args, **kwargs)),
        (delivers_at_flush, "static"),
    ),
    "Scope.set_client": (
        (mode, "_set_client", lambda wrapped, scope, args, kwargs: wrapped(*args, **kwargs)),
        (chooses_again, "static"),
    ),
    "folding of OpenTelemetry's": (
        (folding, "folded_into_theirs", lambda *args, **kwargs: None),
        (test_folding.test_their_server_outside, "static"),
    ),
    "folding of sentry-sdk's": (
        (folding, "folded_into_ours", lambda *args, **kwargs: None),
        (test_folding.test_our_server_outside, "static"),
    ),
    "the request that has begun": (
        (folding, "has_begun", lambda context: False),
        (test_folding.test_their_server_outside_one_that_attaches, "static"),
    ),
    "the note on headers": (
        (wire, "note_headers", lambda span: None),
        (test_wire.test_the_first_writer_writes, "static"),
    ),
    "the scopes of a folded request": (
        (folding, "take_request", lambda view: None),
        (test_folding.test_our_server_outside, "static"),
    ),
    "sentry-sdk's options": (
        (setup.Setup, "options_of", lambda self, sdk: self.own),
        (test_delivery.test_hooks_and_options_apply_to_native_roots, "static"),
    ),
}
"""What else is put in place of something, and the claim that fails without it."""

with_streams = pytest.mark.skipif(not HAS_STREAMS, reason="this sentry-sdk sends no spans by themselves")
CLAIMS = sorted(
    {*WRAPPED.values(), *(claim for _, claim in OTHERS.values())}, key=lambda claim: (claim[0].__name__, claim[1])
)


def checked(claim, lifecycle: str) -> None:
    """Check a claim in a Context of its own: else it would see what the one before left."""
    if "order" in inspect.signature(claim).parameters:
        contextvars.Context().run(claim, ORDERS[1])
        return
    with one_world(ORDERS[1], lifecycle) as world:
        contextvars.Context().run(claim, world)


def named(claims):
    """Give each claim the name of its test, and leave out what this sentry-sdk cannot do."""
    return [
        pytest.param(*claim, id=f"{claim[0].__name__}-{claim[1]}", marks=with_streams if claim[1] == "stream" else ())
        for claim in claims
    ]


def test_every_seam_has_a_claim():
    """A function that is wrapped and not in the table is wrapped for no reason that is known."""
    seams = {seam.full_name for seam in mode.SPAN_SEAMS if seam.full_name.startswith("sentry_sdk.")}
    assert seams == {name for name, (_, lifecycle) in WRAPPED.items() if lifecycle == "static" or HAS_STREAMS}


@pytest.mark.parametrize(("claim", "lifecycle"), named(CLAIMS))
def test_the_claims_hold_with_every_seam(claim, lifecycle):
    """With nothing left out every claim holds: else the tests below would show nothing."""
    checked(claim, lifecycle)


@pytest.mark.parametrize("name", WRAPPED)
def test_a_wrapped_function_left_out(monkeypatch, name):
    """Each function that is wrapped is wrapped for a reason."""
    claim, lifecycle = WRAPPED[name]
    if lifecycle == "stream" and not HAS_STREAMS:
        pytest.skip("this sentry-sdk sends no spans by themselves")
    monkeypatch.setattr(mode, "SPAN_SEAMS", tuple(seam for seam in mode.SPAN_SEAMS if seam.full_name != name))
    with pytest.raises(Exception):  # noqa: B017, PT011 - in whichever way the claim fails
        checked(claim, lifecycle)


@pytest.mark.parametrize("name", OTHERS)
def test_another_seam_left_out(monkeypatch, name):
    """And so is each of the others."""
    seam, (claim, lifecycle) = OTHERS[name]
    monkeypatch.setattr(*seam)
    with pytest.raises(Exception):  # noqa: B017, PT011 - in whichever way the claim fails
        checked(claim, lifecycle)
