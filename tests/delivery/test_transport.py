"""The HTTP transport: what it posts, and what it makes of answers."""

from __future__ import annotations

import gzip
import threading

import httpx
import pytest

from bridge._internal.delivery.envelope import Envelope, Item
from bridge._internal.delivery.outcomes import Outcomes
from bridge._internal.delivery.shipment import FROM_BYTES
from bridge._internal.delivery.transport import HttpTransport, Retries
from bridge._internal.dsn import Dsn
from bridge._internal.guard import fault_counts, reraise_faults
from bridge._internal.version import USER_AGENT
from tests.delivery import payloads
from tests.delivery.sink import CLOSE_UNANSWERED, HANG, RESET_IN_REQUEST, Answer
from tests.delivery.totals import Totals, totals_of

DSN = Dsn.parse("https://public:secret@sentry.example/7")
AT_ONCE = Retries(attempts=4, first_wait_s=0.001, longest_wait_s=0.002)


class Server:
    """Answers of a mock transport: a status, (status, headers) or an exception each; 200 when there are none left."""

    def __init__(self, *answers) -> None:
        self.answers = list(answers)
        self.requests: list[httpx.Request] = []

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.requests.append(request)
        answer = self.answers.pop(0) if self.answers else 200
        if isinstance(answer, Exception):
            raise answer
        status, headers = answer if isinstance(answer, tuple) else (answer, {})
        return httpx.Response(status, headers=headers)

    @property
    def envelopes(self) -> list[Envelope]:
        return [Envelope.parse(unpacked(request)) for request in self.requests]

    @property
    def item_types(self) -> list[list[str]]:
        return [[item.type for item in envelope.items] for envelope in self.envelopes]


def unpacked(request: httpx.Request) -> bytes:
    compressed = request.headers.get("Content-Encoding") == "gzip"
    return gzip.decompress(request.content) if compressed else request.content


def transport_to(server: Server, outcomes: Outcomes, **options) -> HttpTransport:
    client = httpx.Client(transport=httpx.MockTransport(server))
    return HttpTransport(DSN, outcomes, http_client=client, **{"retries": AT_ONCE, **options})


def test_an_envelope_is_posted_with_authentication_and_its_headers(outcomes):
    """URL, authentication, content type; the envelope says when it was sent, by whom and to which DSN."""
    server = Server()
    envelope = payloads.error()
    transport_to(server, outcomes).send(envelope)
    [request] = server.requests
    assert (request.method, str(request.url)) == ("POST", "https://sentry.example/api/7/envelope/")
    assert request.headers["X-Sentry-Auth"] == f"Sentry sentry_key=public, sentry_version=7, sentry_client={USER_AGENT}"
    assert request.headers["Content-Type"] == "application/x-sentry-envelope"
    assert request.headers["User-Agent"] == USER_AGENT
    [sent] = server.envelopes
    sent_at = sent.headers.pop("sent_at")
    assert sent_at.endswith("Z")
    name, version = USER_AGENT.split("/")
    assert sent.headers == {
        "event_id": envelope.headers["event_id"],
        "dsn": "https://public@sentry.example/7",
        "sdk": {"name": name, "version": version},
    }
    assert sent.items == envelope.items
    assert totals_of(outcomes, "error") == Totals(1, {})


@pytest.mark.parametrize(("size", "encoding"), [(10, None), (FROM_BYTES, "gzip")])
def test_large_envelopes_are_compressed(outcomes, size, encoding):
    """Small bodies go as they are, larger ones by gzip; both arrive whole."""
    server = Server()
    envelope = payloads.error(extra={"x": "y" * size})
    transport_to(server, outcomes).send(envelope)
    assert server.requests[0].headers.get("Content-Encoding") == encoding
    assert server.envelopes[0].items == envelope.items


@pytest.mark.parametrize(
    ("host", "encoding"),
    [
        ("o1.ingest.us.sentry.io", "zstd"),
        ("sentry.io", "zstd"),
        ("sentry.example", "gzip"),
        ("notsentry.io", "gzip"),
        ("127.0.0.1:9", "gzip"),
    ],
)
def test_sentrys_own_servers_get_zstandard(outcomes, host, encoding):
    """Where its package is installed; Relays that somebody hosts may be too old for it."""
    zstandard = pytest.importorskip("zstandard", reason="zstandard is not installed")
    server = Server()
    client = httpx.Client(transport=httpx.MockTransport(server))
    transport = HttpTransport(Dsn.parse(f"https://public@{host}/1"), outcomes, http_client=client)
    envelope = payloads.error(extra={"x": "y" * FROM_BYTES})
    transport.send(envelope)
    assert server.requests[0].headers["Content-Encoding"] == encoding
    body = server.requests[0].content
    unpack = {"gzip": gzip.decompress, "zstd": zstandard.ZstdDecompressor().decompressobj().decompress}[encoding]
    assert Envelope.parse(unpack(body)).items == envelope.items


@pytest.mark.parametrize(
    ("answers", "requests", "delivered", "lost", "reported"),
    [
        ([200], 1, 3, {}, {}),
        ([204], 1, 3, {}, {}),
        ([500, 200], 2, 3, {}, {}),
        ([503, httpx.ConnectError("refused"), httpx.ReadTimeout("slow"), 200], 4, 3, {}, {}),
        ([500] * 9, 4, 0, {"send_error": 3}, {"send_error": 3}),
        ([httpx.ConnectError("refused")] * 9, 4, 0, {"network_error": 3}, {"network_error": 3}),
        ([httpx.RemoteProtocolError("cut")] * 9, 4, 0, {"network_error": 3}, {"network_error": 3}),
        ([OSError("no route")] * 9, 4, 0, {"network_error": 3}, {"network_error": 3}),
        ([500, httpx.ReadError("reset")] * 9, 4, 0, {"network_error": 3}, {"network_error": 3}),
        ([413], 1, 0, {"send_error": 3}, {"send_error": 3}),
        ([400], 1, 0, {"send_error": 3}, {"send_error": 3}),
        ([403], 1, 0, {"send_error": 3}, {"send_error": 3}),
        ([302], 1, 0, {"send_error": 3}, {"send_error": 3}),
        ([httpx.UnsupportedProtocol("gopher")], 1, 0, {"send_error": 3}, {"send_error": 3}),
        ([httpx.LocalProtocolError("bad")], 1, 0, {"send_error": 3}, {"send_error": 3}),
        ([429], 1, 0, {"ratelimit_backoff": 3}, {}),
        ([500, 429], 2, 0, {"ratelimit_backoff": 3}, {}),
    ],
)
def test_each_answer_ends_in_exactly_one_outcome(outcomes, answers, requests, delivered, lost, reported):
    """Delivered, or lost with the reason of the last attempt; a 429 was counted by the server and is not reported."""
    server = Server(*answers)
    transport_to(server, outcomes).send(payloads.transaction(children=2))
    assert len(server.requests) == requests
    assert totals_of(outcomes, "span") == Totals(delivered, lost)
    assert totals_of(outcomes, "transaction").delivered + totals_of(outcomes, "transaction").lost_in_all == 1
    report = outcomes.take_report() or {"discarded_events": []}
    assert {
        row["reason"]: row["quantity"] for row in report["discarded_events"] if row["category"] == "span"
    } == reported


def test_a_limited_category_is_not_sent(outcomes):
    """After a limit on transactions these are dropped and counted; errors still go, with the report."""
    server = Server((200, {"X-Sentry-Rate-Limits": "60:transaction:key"}))
    transport = transport_to(server, outcomes)
    transport.send(payloads.transaction())
    transport.send(payloads.transaction(children=4))
    transport.send(payloads.error())
    assert server.item_types == [["transaction"], ["event", "client_report"]]
    assert totals_of(outcomes, "span") == Totals(1, {"ratelimit_backoff": 5})
    assert server.envelopes[1].items[1].payload["discarded_events"] == [
        {"reason": "ratelimit_backoff", "category": "span", "quantity": 5},
        {"reason": "ratelimit_backoff", "category": "transaction", "quantity": 1},
    ]


def test_attachments_go_with_their_event(outcomes):
    """An event that is not sent takes its attachments along; a limit on attachments leaves the event."""
    server = Server((200, {"X-Sentry-Rate-Limits": "60:error:key"}))
    transport = transport_to(server, outcomes)
    transport.send(payloads.error())
    transport.send(payloads.error(b"12345"))
    assert server.item_types == [["event"]]
    assert totals_of(outcomes, "attachment") == Totals(0, {"ratelimit_backoff": 5})

    server = Server((200, {"X-Sentry-Rate-Limits": "60:attachment:key"}))
    transport = transport_to(server, outcomes, send_client_reports=False)
    transport.send(payloads.error())
    transport.send(payloads.error(b"12345"))
    assert server.item_types == [["event"], ["event"]]


def test_a_limit_that_comes_with_a_5xx_ends_the_retries(outcomes):
    """A server in trouble that names a limit is not asked again for that category."""
    server = Server((503, {"X-Sentry-Rate-Limits": "60:error:key"}))
    transport_to(server, outcomes).send(payloads.error(b"123"))
    assert len(server.requests) == 1
    assert totals_of(outcomes, "error") == Totals(0, {"ratelimit_backoff": 1})
    assert totals_of(outcomes, "attachment") == Totals(0, {"ratelimit_backoff": 3})


def test_a_limit_on_reports_that_comes_with_a_5xx_leaves_the_event(outcomes):
    """The event is tried again without the report, which stays for later."""
    outcomes.lost("before_send", "error")
    server = Server((503, {"X-Sentry-Rate-Limits": "60:internal:key"}))
    transport_to(server, outcomes).send(payloads.error())
    assert server.item_types == [["event", "client_report"], ["event"]]
    assert totals_of(outcomes, "error") == Totals(1, {"before_send": 1})
    assert outcomes.take_report() is not None


def test_what_was_lost_is_reported_with_the_next_envelope_once(outcomes):
    """A report rides on an envelope; when that arrives it is done."""
    outcomes.lost("before_send", "error", 2)
    server = Server()
    transport = transport_to(server, outcomes)
    transport.send(payloads.error())
    transport.send(payloads.error())
    assert server.item_types == [["event", "client_report"], ["event"]]


def test_a_report_that_did_not_arrive_is_sent_again(outcomes):
    """A report that was refused together with its envelope goes with the next one, with that one's loss added."""
    outcomes.lost("before_send", "error", 2)
    server = Server(400)
    transport = transport_to(server, outcomes)
    transport.send(payloads.error())
    transport.send(payloads.error())
    assert server.item_types == [["event", "client_report"], ["event", "client_report"]]
    assert server.envelopes[1].items[1].payload["discarded_events"] == [
        {"reason": "before_send", "category": "error", "quantity": 2},
        {"reason": "send_error", "category": "error", "quantity": 1},
    ]


def test_flushing_sends_the_report_that_is_due(outcomes):
    """Flush posts an envelope with the report alone, and nothing when nothing was lost."""
    server = Server()
    transport = transport_to(server, outcomes)
    assert transport.flush(5)
    outcomes.lost("before_send", "error")
    assert transport.flush(None)
    assert server.item_types == [["client_report"]]


def test_a_flush_that_fails_says_so_and_keeps_the_report(outcomes):
    """A report that cannot be sent is tried once, and stays for later."""
    outcomes.lost("before_send", "error")
    server = Server(500)
    transport = transport_to(server, outcomes)
    assert not transport.flush(5)
    assert transport.flush(5)
    assert len(server.requests) == 2


def test_closing_sends_the_report_too(outcomes):
    """The last report goes out when the transport is closed."""
    outcomes.lost("before_send", "error")
    server = Server()
    transport_to(server, outcomes).close(5)
    assert server.item_types == [["client_report"]]


@pytest.mark.parametrize("header", ["60:internal:key", "60::key"])
def test_reports_obey_their_own_limit(outcomes, header):
    """While reports are limited they wait."""
    server = Server((200, {"X-Sentry-Rate-Limits": header}))
    transport = transport_to(server, outcomes)
    transport.send(payloads.error())
    outcomes.lost("before_send", "error")
    assert transport.flush(5)
    assert server.item_types == [["event"]]
    assert outcomes.take_report() is not None


def test_reports_can_be_switched_off(outcomes):
    """Without client reports losses are counted all the same, and nothing is sent about them."""
    outcomes.lost("before_send", "error")
    server = Server()
    transport = transport_to(server, outcomes, send_client_reports=False)
    transport.send(payloads.error())
    assert transport.flush(5)
    transport.close(5)
    assert server.item_types == [["event"]]


def test_an_oversized_transaction_loses_spans_by_count(outcomes):
    """What has to be cut from an item is counted, what is left is delivered, and the sum is right."""
    server = Server()
    transport_to(server, outcomes).send(payloads.transaction(children=6000))
    delivered = len(server.envelopes[0].items[0].payload["spans"])
    assert totals_of(outcomes, "span") == Totals(1 + delivered, {"send_error": 6000 - delivered})


def test_after_closing_what_is_sent_is_counted(outcomes):
    """A closed transport takes nothing, asks nobody, and loses nothing in silence."""
    server = Server()
    transport = transport_to(server, outcomes)
    transport.close(5)
    transport.send(payloads.transaction(children=1))
    assert server.requests == []
    assert totals_of(outcomes, "span") == Totals(0, {"queue_overflow": 2})


def test_a_fault_of_ours_is_stopped_and_counted(outcomes):
    """Something nobody foresaw: the caller sees nothing, the account has `internal_sdk_error`."""
    reraise_faults(False)
    transport = transport_to(Server(LookupError("nobody foresaw this")), outcomes)
    transport.send(payloads.transaction(children=1))
    assert totals_of(outcomes, "span") == Totals(0, {"internal_sdk_error": 2})
    assert fault_counts()["sending an envelope failed"] >= 1


def test_a_given_client_keeps_its_owners_settings_and_is_not_closed(outcomes):
    """Headers of the client that was handed in are sent as well; closing the transport leaves it open."""
    server = Server()
    client = httpx.Client(transport=httpx.MockTransport(server), headers={"X-Gateway": "yes"})
    transport = HttpTransport(DSN, outcomes, http_client=client)
    transport.send(payloads.error())
    transport.close(5)
    assert server.requests[0].headers["X-Gateway"] == "yes"
    assert not client.is_closed
    client.close()
    transport = HttpTransport(DSN, outcomes, http_client=client)
    transport.send(payloads.error())
    assert totals_of(outcomes, "error") == Totals(1, {"send_error": 1})


def test_a_hook_that_raises_for_a_status_changes_nothing(outcomes):
    """A client whose hook turns statuses into exceptions is understood: a 400 is not tried again."""
    server = Server(400)
    hooks = {"response": [lambda response: response.raise_for_status()]}
    client = httpx.Client(transport=httpx.MockTransport(server), event_hooks=hooks)
    transport = HttpTransport(DSN, outcomes, http_client=client)
    transport.send(payloads.error())
    transport.send(payloads.error())
    assert totals_of(outcomes, "error") == Totals(1, {"send_error": 1})


def test_waits_double_are_capped_cut_at_random_and_bounded():
    """The waits between attempts grow to a limit, are cut by up to a half, and end with the count or the time."""
    longest = list(Retries(6, 1.0, 4.0, 100.0).waits(lambda: 0.0, lambda: 0.0))
    assert longest == [1.0, 2.0, 4.0, 4.0, 4.0]
    assert list(Retries(6, 1.0, 4.0, 100.0).waits(lambda: 0.0, lambda: 1.0)) == [0.5, 1.0, 2.0, 2.0, 2.0]
    ticks = iter([0.0, 0.0, 1.0, 3.0, 7.0])
    assert list(Retries(6, 1.0, 4.0, 8.0).waits(lambda: next(ticks), lambda: 0.0)) == [1.0, 2.0, 4.0]


def test_a_server_that_is_away_for_ten_seconds_costs_nothing():
    """With the least of chance, the default attempts reach past ten seconds."""
    assert sum(Retries().waits(lambda: 0.0, lambda: 1.0)) > 10


# From here on over real sockets.


@pytest.mark.parametrize(
    ("steps", "requests", "lost"),
    [
        ([Answer()], 1, {}),
        ([Answer(dripping=True)], 1, {}),
        ([RESET_IN_REQUEST, Answer()], 2, {}),
        ([CLOSE_UNANSWERED, Answer()], 2, {}),
        ([Answer(500), Answer(502), Answer(200)], 3, {}),
        ([Answer(200, cut=True)], 1, {}),
        ([Answer(500, cut=True), Answer(202, cut=True)], 2, {}),
        ([RESET_IN_REQUEST] * 4, 4, {"network_error": 3}),
        ([Answer(413)], 1, {"send_error": 3}),
        ([Answer(429, {"Retry-After": "1"})], 1, {"ratelimit_backoff": 3}),
    ],
)
def test_a_real_server_with_faults_gets_everything_once(sink, connect, outcomes, steps, requests, lost):
    """What the server answered with 2xx is delivered, and never sent again, even if the answer breaks off."""
    sink.script.extend(steps)
    connect().send(payloads.transaction(children=2, extra={"x": "y" * 200_000}))
    assert sink.requests == requests
    assert totals_of(outcomes, "span") == Totals(sink.taken["span"], lost)
    assert len(sink.event_ids) == len(set(sink.event_ids))


def test_the_connection_is_kept(sink, connect, outcomes):
    """Fifty envelopes travel over one connection."""
    transport = connect()
    for _ in range(50):
        transport.send(payloads.error())
    assert sink.connections == 1
    assert totals_of(outcomes, "error") == Totals(50, {})


def test_a_server_that_is_not_there_is_a_network_error(sink, connect, outcomes):
    """Connections that are refused are tried again, then counted."""
    transport = connect()
    sink.__exit__()
    transport.send(payloads.error())
    assert totals_of(outcomes, "error") == Totals(0, {"network_error": 1})


def test_closing_breaks_off_a_request_that_hangs(sink, connect, outcomes):
    """A server that never answers does not outlast close: the request is broken off and counted."""
    sink.script.append(HANG)
    transport = connect()
    sending = threading.Thread(target=transport.send, args=(payloads.transaction(children=2),))
    sending.start()
    assert sink.hanging.wait(10)
    assert not transport.flush(0.01)
    transport.close(0.01)
    sending.join(10)
    assert not sending.is_alive()
    assert totals_of(outcomes, "span") == Totals(0, {"network_error": 3})


def test_closing_cuts_the_wait_between_attempts_short(sink, connect, outcomes):
    """An hour of back-off ends with close."""
    sink.script.append(Answer(500))
    transport = connect(retries=Retries(attempts=3, first_wait_s=3600, longest_wait_s=3600, total_s=9999))
    sending = threading.Thread(target=transport.send, args=(payloads.error(),))
    sending.start()
    assert sink.answered.wait(10)
    transport.close(10)
    sending.join(10)
    assert not sending.is_alive()
    assert totals_of(outcomes, "error") == Totals(0, {"send_error": 1})
    assert sink.reported_of("error") == {"send_error": 1}


def test_without_retries_each_is_tried_once(sink, connect, outcomes):
    """After `stop_retrying` an envelope still gets its one attempt."""
    sink.script.extend([Answer(500)])
    transport = connect(retries=Retries(first_wait_s=3600, longest_wait_s=3600, total_s=9999))
    transport.stop_retrying()
    transport.send(payloads.error())
    transport.send(payloads.error())
    assert totals_of(outcomes, "error") == Totals(1, {"send_error": 1})


def test_an_item_of_bytes_is_sent_as_it_is(sink, connect, outcomes):
    """A payload that was encoded before arrives, with the quantities it was given."""
    item = Item("transaction", b'{"type":"transaction"}', {}, {"transaction": 1, "span": 3})
    connect().send(Envelope({}, [item]))
    assert totals_of(outcomes, "span") == Totals(3, {})
    assert sink.envelopes[0].items[0].payload == {"type": "transaction"}
