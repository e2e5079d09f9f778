"""Each seam is needed: with one of them left out, at least one claim about one world does not hold."""

from __future__ import annotations

import contextvars

import pytest

from bridge._internal.context import scope
from bridge._internal.sentry_sdk import active_span, folding, mode, private, setup, variables, wire
from tests.sentry_sdk import test_delivery, test_folding, test_scopes, test_trees, test_wire
from tests.sentry_sdk.worlds import LIFECYCLES, ORDERS, one_world

CLAIMS = (
    test_trees.test_a_root_of_opentelemetrys_has_spans_of_all_three,
    test_trees.test_a_root_of_sentry_sdks_has_spans_of_all_three,
    test_trees.test_the_view_of_a_span_is_one_object,
    test_scopes.test_each_request_has_its_own,
    test_scopes.test_resetting_everything,
    test_wire.test_user_baggage_and_w3c_are_in_sentry_sdks_headers,
    test_wire.test_the_first_writer_writes,
    test_wire.test_natives_continue_what_sentry_sdk_read,
    test_wire.test_extracting_again_keeps_the_request,
    test_delivery.test_the_account_balances,
)
"""Claims about both lifecycles."""

STATIC_CLAIMS = (
    test_wire.test_a_pages_tags_are_sentrys_two,
    test_wire.test_sentry_sdk_continues_what_the_propagator_read,
    test_folding.test_their_server_outside,
    test_folding.test_their_server_outside_one_that_attaches,
    test_folding.test_our_server_outside,
    test_folding.test_a_root_that_ends_first_waits,
    test_folding.test_clients_of_both,
    test_scopes.test_isolation_scopes_end_in_any_order,
    test_scopes.test_tags_of_both_are_on_both_events,
    test_trees.test_a_span_put_on_a_scope_by_hand,
)


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


ORDER_CLAIMS = (
    continues_w3c,
    delivers_at_flush,
    chooses_again,
    test_folding.test_streamed_servers,
    test_trees.test_a_view_of_a_span_that_is_exported_alone_ends_it,
    test_delivery.test_hooks_and_options_apply_to_native_roots,
)


def failing() -> list[str]:
    """Run the claims, and name those that do not hold."""
    found = []
    runs = [
        *((claim, lambda claim=claim, life=life: with_world(claim, life)) for claim in CLAIMS for life in LIFECYCLES),
        *((claim, lambda claim=claim: with_world(claim, "static")) for claim in STATIC_CLAIMS),
        *((claim, lambda claim=claim: claim(ORDERS[1])) for claim in ORDER_CLAIMS),
    ]
    for claim, run in runs:
        try:
            contextvars.Context().run(run)  # as tests do not, claims would see what the one before left
        except Exception:
            found.append(claim.__name__)
            return found  # one is enough
    return found


def with_world(claim, lifecycle: str) -> None:
    with one_world(ORDERS[1], lifecycle) as world:
        claim(world)


SEAMS = {seam.full_name: seam for seam in mode.SPAN_SEAMS}


@pytest.mark.skipif(not hasattr(private, "StreamedSpan") or private.version() < (2, 56), reason="has no such spans")
def test_all_claims_hold_with_every_seam():
    """With nothing left out every claim holds: else the tests below would show nothing."""
    assert failing() == []


@pytest.mark.parametrize("name", sorted(SEAMS))
def test_a_wrapped_function_left_out(monkeypatch, name):
    """Each function that is wrapped is wrapped for a reason."""
    monkeypatch.setattr(mode, "SPAN_SEAMS", tuple(seam for seam in mode.SPAN_SEAMS if seam.full_name != name))
    assert failing()


OTHERS = {
    "Scope._span": (active_span, "take", lambda: None),
    "the context variables": (variables, "take", lambda: None),
    "the keeper of scopes": (scope, "keep_scopes_by", lambda keeper: None),
    "Client.flush": (mode, "_flush_first", lambda wrapped, sdk, args, kwargs: wrapped(*args, **kwargs)),
    "Scope.set_client": (mode, "_set_client", lambda wrapped, scope, args, kwargs: wrapped(*args, **kwargs)),
    "folding of OpenTelemetry's": (folding, "folded_into_theirs", lambda *args, **kwargs: None),
    "folding of sentry-sdk's": (folding, "folded_into_ours", lambda *args, **kwargs: None),
    "the request that has begun": (folding, "has_begun", lambda context: False),
    "the note on headers": (wire, "note_headers", lambda span: None),
    "the scopes of a folded request": (folding, "take_request", lambda view: None),
    "sentry-sdk's options": (setup.Setup, "options_of", lambda self, sdk: self.own),
}


@pytest.mark.parametrize("name", sorted(OTHERS))
def test_another_seam_left_out(monkeypatch, name):
    """And so is each of the others."""
    owner, attribute, value = OTHERS[name]
    monkeypatch.setattr(owner, attribute, value)
    assert failing()
