"""One world, linked, or apart: chosen when sentry-sdk gets a client, and taken back by `close`."""

from __future__ import annotations

import pytest
import sentry_sdk
import sentry_sdk.scope
from opentelemetry.sdk.trace import TracerProvider

import bridge
from bridge._internal.doctor.diagnosis import diagnose
from bridge._internal.sentry_sdk import mode, private, report
from tests.sentry_sdk.worlds import DSN, ORDERS, KeepingTransport, World, forget_sentry_sdk, one_world


@pytest.mark.parametrize("order", ORDERS)
def test_linked(order):
    """Without a rate of sentry-sdk's its integrations make no spans; natives go by its client, errors are linked."""
    with one_world(order, traces_sample_rate=None, ours={"traces_sample_rate": 1.0}) as world:
        assert report().mode == "linked"
        with world.native("root") as root:
            assert sentry_sdk.get_current_span() is None
            with sentry_sdk.start_span(op="db", name="theirs"):
                pass
            sentry_sdk.capture_message("linked")
            assert dict(sentry_sdk.get_current_scope().iter_trace_propagation_headers()) == {}
            sentry_sdk.set_tag("one", "scope")
        (transaction,) = world.transactions
        assert transaction["spans"] == []
        assert transaction["tags"] == {"one": "scope"}
        (event,) = world.events
        assert event["contexts"]["trace"]["span_id"] == f"{root.get_span_context().span_id:016x}"
        traces = [envelope.headers["trace"] for envelope in world.transport.envelopes]
        assert traces[0] == traces[1]
        assert traces[0]["transaction"] == "root"


@pytest.mark.parametrize(
    ("theirs", "ours", "reason"),
    [
        ({"instrumenter": "otel"}, {}, "instrumenter"),
        ({}, {"dsn": "https://other@o1.ingest.example.com/8"}, "another DSN"),
        ({}, {"transport": lambda envelope: None}, "transport"),
    ],
)
@pytest.mark.parametrize("order", ORDERS)
def test_apart(order, theirs, ours, reason):
    """What cannot be one stays apart, says why, and nothing of sentry-sdk is touched."""
    with one_world(order, ours=ours, **theirs) as world:
        assert report().mode == "apart"
        assert reason in report().reasons[0]
        assert not any(isinstance(private.variable(name), mode.variables.ContextBackedVariable) for name in NAMES)
        with sentry_sdk.start_transaction(name="theirs"), world.native("native"):
            pass
        assert "native" not in {span["name"] for span in world.spans()}


NAMES = private.VARIABLES


def test_left_alone(order):
    """`sentry_sdk=False` leaves sentry-sdk as it is."""
    before = sentry_sdk.Scope.set_client
    with one_world(order, ours={"sentry_sdk": False}):
        assert report().mode == "alone"
        assert sentry_sdk.Scope.set_client is before


def test_the_option_takes_false_only():
    """Another value than False is refused, by name."""
    with pytest.raises(ValueError, match="'sentry_sdk' got True; it takes False"):
        bridge.init(sentry_sdk=True)  # type: ignore[arg-type]


def test_an_older_version_stays_apart(monkeypatch):
    """A version that does not fit stays apart, with the reason."""
    monkeypatch.setattr("sentry_sdk.consts.VERSION", "2.0.0")
    with one_world(ORDERS[0]):
        assert report().mode == "apart"
        assert "older" in report().reasons[0]


@pytest.mark.parametrize("name", ["_current_scope", "_isolation_scope"])
def test_what_does_not_fit_stays_apart(monkeypatch, name):
    """Where sentry-sdk keeps its scopes otherwise, the two stay apart."""
    monkeypatch.setattr(f"sentry_sdk.scope.{name}", object())
    assert list(private.misfits()) == [f"sentry_sdk.scope.{name} is no context variable"]


def seams() -> dict[str, object]:
    """Return what stands at each seam."""
    found: dict[str, object] = {name: private.variable(name) for name in private.VARIABLES}
    found["_span"] = vars(sentry_sdk.Scope)["_span"]
    for seam in (*mode.SPAN_SEAMS, mode.Seam(sentry_sdk.Scope, "set_client", lambda: None)):
        found[seam.full_name] = vars(seam.owner).get(seam.name)
    return found


def test_close_gives_every_seam_back(order):
    """After `close` each seam is as it was, and sentry-sdk alone works."""
    before = seams()
    with one_world(order) as world:
        assert seams() != before
        with world.sdk_root("one world"):
            pass
        bridge.close()
        assert seams() == before
        with sentry_sdk.start_transaction(name="alone") as alone:
            assert sentry_sdk.get_current_span() is alone
        assert [t["transaction"] for t in world.transactions] == ["one world", "alone"]


def test_joining_and_leaving_in_the_midst():
    """`init` inside an open transaction and an open `new_scope`, `close` inside another: nothing raises or is lost."""
    before = seams()
    transport = KeepingTransport()
    sentry_sdk.init(dsn=DSN, transport=transport, traces_sample_rate=1.0, default_integrations=False)
    try:
        with sentry_sdk.start_transaction(name="open") as transaction:
            with sentry_sdk.new_scope() as scope:
                scope.set_tag("inside", "1")
                bridge.init()
                world = World("static", transport)
                assert sentry_sdk.get_current_span() is transaction
                with world.native("native"), sentry_sdk.start_span(name="theirs"):
                    pass
            assert sentry_sdk.get_current_span() is transaction
        with sentry_sdk.start_transaction(name="second") as second, sentry_sdk.new_scope():
            bridge.close()
            assert sentry_sdk.get_current_span() is second
        assert sentry_sdk.get_current_span() is None
        assert [t["transaction"] for t in world.transactions] == ["open", "second"]
        assert {span["name"]: span["parent"] for span in world.spans()}["native"] == transaction.span_id
        assert seams() == before
    finally:
        bridge.close()
        forget_sentry_sdk()


def test_another_client_changes_the_mode(order):
    """A second `sentry_sdk.init` without a rate turns the world into linked, and one with a rate back."""
    with one_world(order) as world:
        for rate, expected in ((None, "linked"), (1.0, "world")):
            sentry_sdk.init(
                dsn=DSN,
                transport=world.transport,
                traces_sample_rate=rate,
                default_integrations=False,
                auto_enabling_integrations=False,
            )
            assert report().mode == expected
        with world.sdk_root("root"), world.native("native"):
            pass
        assert world.parents() == {"root": None, "native": "root"}


def test_no_client_is_the_bridge_alone():
    """With sentry-sdk imported and no client, all is as the bridge alone."""
    bridge.init()
    assert report().mode == "alone"
    assert not isinstance(private.variable("_current_scope"), mode.variables.ContextBackedVariable)


def test_options_of_sentry_sdk_are_in_force(order):
    """sentry-sdk's options are the truth; of those that both were given with two values the doctor tells."""
    with one_world(order, release="theirs", ours={"release": "ours"}, trace_propagation_targets=[r"^https://a\."]):
        options = bridge.get_client().options
        assert options.release == "theirs"
        assert options.dsn is not None
        assert options.dsn.public_key == "key"
        assert options.trace_propagation_targets[0].search("https://a.example")
        assert [problem.what.split()[0] for problem in diagnose() if problem.code == "sentry-sdk-conflict"] == [
            "release"
        ]
    assert "sentry-sdk-world" not in {problem.code for problem in diagnose()}


def test_a_lost_seam_is_told(order):
    """What other code puts in the place of a seam, the doctor names."""
    with one_world(order), pytest.MonkeyPatch.context() as patch:
        patch.setattr(sentry_sdk.Scope, "start_span", lambda self, **kwargs: None)
        found = [problem.what for problem in diagnose() if problem.code == "seam-lost"]
        assert len(found) == 1
        assert "Scope.start_span" in found[0]


def test_an_adopted_provider_is_given_back():
    """After `close` a provider of the user's has no processor of the bridge's left, and spans of it go on."""
    provider = TracerProvider()
    with one_world(ORDERS[0], ours={"tracer_provider": provider}) as world:
        bridge.close()
        with provider.get_tracer("t").start_as_current_span("after"):
            pass
        assert world.spans() == []
