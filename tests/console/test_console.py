"""console=True: each finished trace as a tree, on standard error, by the worker's thread."""

from __future__ import annotations

import asyncio
import io
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timezone
from typing import Any

import pytest
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider as SdkTracerProvider
from opentelemetry.trace import SpanKind, StatusCode

import bridge
from bridge.testing import BridgeCapture, ManualClock, capture

LIFECYCLES = ["static", "stream"]
tracer = trace.get_tracer("shop")


class Stream(io.StringIO):
    """Standard error, which remembers the thread of each write and everything that was written."""

    def __init__(self) -> None:
        super().__init__()
        self.writers: list[str] = []

    def write(self, text: str) -> int:
        self.writers.append(threading.current_thread().name)
        return super().write(text)


@pytest.fixture(autouse=True)
def _plain_surroundings(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("NO_COLOR", "FORCE_COLOR", "COLUMNS"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def err() -> Stream:
    """Standard error of the program."""
    return Stream()


def a_clock() -> ManualClock:
    """A clock of today, as Sentry takes nothing that is old."""
    return ManualClock(datetime.now(timezone.utc).replace(microsecond=0))


def shown(err: Stream) -> str:
    """What stands on the console when everything that has finished was shown."""
    bridge.flush()
    return err.getvalue()


def a_request(clock: ManualClock) -> None:
    """A request: both APIs, a call that failed, an error, a query in a loop."""
    with bridge.start_span("GET /checkout", op="http.server"):
        clock.advance(0.01)
        with tracer.start_as_current_span("load cart"), bridge.start_span("apply discount", op="function"):
            clock.advance(0.02)
            bridge.capture_message("cache was cold")
        attributes = {"http.request.method": "GET", "url.full": "http://stock/pieces", "http.response.status_code": 404}
        with tracer.start_as_current_span("GET", kind=SpanKind.CLIENT, attributes=attributes) as call:
            clock.advance(0.05)
            call.set_status(StatusCode.ERROR)
            bridge.capture_exception(LookupError("no article\n\x1b[31m4711"))
        for _ in range(8):
            with bridge.start_span("SELECT 1", op="db"):
                clock.advance(0.001)


GOLDEN = r"""trace 0000000000000001009e3779b97f4a81
  GET /checkout               http.server    88.00 ms  ━━━━━━━━━━━━━━  start_span()
  ├─ load cart                               20.00 ms   ━━━            native tracer shop
  │  └─ apply discount        function       20.00 ms   ━━━            start_span()
  │        · info: cache was cold
  ├─ GET http://stock/pieces  http.client    50.00 ms      ━━━━━━━━    native tracer shop  not_found
  │     ! LookupError: no article\n\x1b[31m4711
  ├─ SELECT 1                 db              1.00 ms              ━   start_span()
  └─ … 7 more of the same, 7.00 ms in all

"""


# Streamed spans have names of low cardinality.
STREAMED = r"""trace 0000000000000001009e3779b97f4a81
  GET /checkout         http.server    88.00 ms  ━━━━━━━━━━━━━━  start_span()
  ├─ load cart                         20.00 ms   ━━━            native tracer shop
  │  └─ apply discount  function       20.00 ms   ━━━            start_span()
  │        · info: cache was cold
  ├─ GET                http.client    50.00 ms      ━━━━━━━━    native tracer shop  not_found
  │     ! LookupError: no article\n\x1b[31m4711
  ├─ SELECT 1           db              1.00 ms              ━   start_span()
  └─ … 7 more of the same, 7.00 ms in all

"""


@pytest.mark.parametrize("lifecycle", LIFECYCLES)
def test_a_finished_trace_is_a_tree(err: Stream, lifecycle: Any) -> None:
    """Names, ops, durations, when it ran, who made it, what went wrong, and errors beneath their span."""
    clock = a_clock()
    with capture(console=True, clock=clock, trace_lifecycle=lifecycle):
        a_request(clock)
        text = shown(err)
    assert text == (GOLDEN if lifecycle == "static" else STREAMED)
    assert set(err.writers) == {"bridge-delivery"}


@pytest.mark.parametrize("lifecycle", LIFECYCLES)
def test_it_needs_no_dsn(err: Stream, lifecycle: Any) -> None:
    """With console=True alone spans and errors are shown, and the account balances: what was shown has arrived."""
    client = bridge.init(console=True, traces_sample_rate=1.0, trace_lifecycle=lifecycle)
    with bridge.start_span("job"), tracer.start_as_current_span("step"):
        assert bridge.capture_exception(ValueError("wrong")) is not None
    text = shown(err)
    assert text.index("job") < text.index("└─ step") < text.index("! ValueError: wrong")
    account = client.accounting()
    assert (account.started, account.delivered, account.pending) == (2, 2, 0)


def test_who_does_not_use_it_pays_nothing() -> None:
    """The console is not imported by `init()`."""
    program = (
        "import sys, bridge; bridge.init(traces_sample_rate=1.0, transport=print)\n"
        "rooms = 'bridge._internal.console.console', 'bridge._internal.console.rendering'\n"
        "assert not set(rooms) & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", program], timeout=60, check=True)


def test_nothing_is_shown_unless_asked_for(err: Stream) -> None:
    """Without console=True standard error is left alone."""
    with capture():
        with bridge.start_span("job"):
            bridge.capture_message("hello")
        assert shown(err) == ""


def fail() -> None:
    raise KeyError("lost")


def test_an_error_outside_of_spans_is_shown_alone(err: Stream) -> None:
    """An error that belongs to no trace here is a line with the place in the code and the trace that it would be in."""
    with capture(console=True):
        try:
            fail()
        except KeyError as error:
            bridge.capture_exception(error)
        text = shown(err)
    assert text.startswith("! KeyError: 'lost'  test_console.py:")
    assert " in fail  trace 0" in text
    assert text.count("\n") == 1


def test_an_error_after_its_root_is_shown_alone(err: Stream) -> None:
    """An exception that is captured when the trace was shown already does not wait for it."""
    with capture(console=True):
        with pytest.raises(KeyError) as caught, bridge.start_span("job"):
            raise KeyError("lost")
        assert "KeyError" not in shown(err)
        bridge.capture_exception(caught.value)
        assert "! KeyError: 'lost'  test_console.py:" in shown(err)


@pytest.mark.parametrize("lifecycle", LIFECYCLES)
def test_what_waits_for_a_root_that_never_ends_is_shown_at_last(err: Stream, lifecycle: Any) -> None:
    """At the end of the program errors below an open root are shown, and what is not sent is counted."""
    bridge.init(console=True, traces_sample_rate=1.0, trace_lifecycle=lifecycle)
    consumer = bridge.start_inactive_span("consume")
    with bridge.use_span(consumer), bridge.start_span("message"):
        bridge.capture_exception(ValueError("wrong"))
    assert shown(err) == ""
    bridge.close()
    text = err.getvalue()
    assert "! ValueError: wrong" in text
    lost = {"static": "- 2 spans are not sent", "stream": "- 1 span is not sent"}[lifecycle]
    assert f"{lost}: they, or their root, did not end" in text
    assert ("so far: its root has not ended" in text) is (lifecycle == "stream")


def test_an_error_does_not_wait_for_long(err: Stream) -> None:
    """An error below a root that stays open is shown alone by and by, and once more where it belongs."""
    client = bridge.init(console=True, traces_sample_rate=1.0)
    with bridge.start_span("consume"):
        bridge.capture_exception(ValueError("wrong"))
        for expected in (0, 1, 1):  # as the worker does every few seconds
            client.sender.worker.submit(client.sender.tick)
            assert shown(err).count("! ValueError: wrong") == expected
    assert shown(err).count("! ValueError: wrong") == 2


@pytest.mark.parametrize("lifecycle", LIFECYCLES)
def test_what_comes_late_is_a_follow_up(err: Stream, lifecycle: Any) -> None:
    """A span that ends after its root was sent is shown by itself, in the same trace."""
    with capture(console=True, trace_lifecycle=lifecycle):
        with bridge.start_span("job") as job:
            late = bridge.start_inactive_span("late")
        first = shown(err)
        late.end()
        follow_up = shown(err)[len(first) :]
    assert "late" not in first
    assert follow_up.startswith(f"trace {job.trace_id}  follow-up: it came after its root was sent\n  late ")


@pytest.mark.parametrize("lifecycle", LIFECYCLES)
def test_a_continued_trace_says_so(err: Stream, lifecycle: Any) -> None:
    """The heading names the span of the caller."""
    header = "771a43a4192642f0b136d5159a501700-1234567890abcdef-1"
    with capture(console=True, trace_lifecycle=lifecycle):
        with bridge.continue_trace({"sentry-trace": header}), bridge.start_span("job"), bridge.start_span("step"):
            pass
        heading = shown(err).splitlines()[0]
    assert heading == "trace 771a43a4192642f0b136d5159a501700  continued from span 1234567890abcdef"


def test_spans_over_max_spans_are_counted(err: Stream) -> None:
    """What did not fit is a number beneath the tree."""
    with capture(console=True, max_spans=2):
        with bridge.start_span("job"):
            for number in range(5):
                with bridge.start_span(f"step {number}"):
                    pass
        text = shown(err)
    assert "step 1" in text
    assert "step 2" not in text
    assert "  … 3 more spans over max_spans=2, not sent\n" in text


def drop_spans(event: dict[str, Any], hint: dict[str, Any]) -> dict[str, Any]:
    return {**event, "transaction": "renamed", "spans": event["spans"][:1]}


def test_hooks_are_respected(err: Stream) -> None:
    """What a hook changed is shown as it is sent; what it takes out is counted."""
    with capture(console=True, before_send_transaction=drop_spans, ignore_spans=["ping"]):
        with bridge.start_span("job"):
            for name in ("ping", "one", "two"):
                with bridge.start_span(name):
                    pass
        text = shown(err)
    assert "renamed" in text
    assert "one" in text
    assert "two" not in text
    assert "ping" not in text
    assert "  … 1 more span left out by ignore_spans\n" in text
    assert "  … 1 more span taken out by before_send_transaction\n" in text


@pytest.mark.parametrize(
    ("options", "by"),
    [
        ({"before_send_transaction": lambda event, hint: None}, "before_send_transaction"),
        ({"ignore_spans": ["GET /health"]}, "ignore_spans"),
    ],
)
def test_a_transaction_that_is_dropped_is_a_line(err: Stream, options: dict[str, Any], by: str) -> None:
    """Nobody wonders where a trace has gone: what dropped it is named, and its error is shown still."""
    clock = a_clock()
    with capture(console=True, clock=clock, **options) as sent:
        with bridge.start_span("GET /health"):
            clock.advance(0.0125)
            bridge.capture_exception(ValueError("sick"))
        assert shown(err) == f"- GET /health  12.50 ms  dropped by {by}\n  ! ValueError: sick\n\n"
        assert sent.transactions == []


def test_dropped_by_a_processor(err: Stream) -> None:
    """Event processors of scopes are named as well."""
    with capture(console=True):
        with bridge.isolation_scope() as scope:
            scope.add_event_processor(lambda event, hint: None)
            with bridge.start_span("job"):
                pass
            bridge.capture_message("hello")
        text = shown(err)
    assert "- job  " in text
    assert text.count("dropped by an event processor") == 2
    assert "· info: hello  dropped by an event processor" in text


def test_an_error_that_is_dropped_is_a_line(err: Stream) -> None:
    """What before_send or sample_rate keep from Sentry is shown, and marked; by the worker's thread as everything."""
    with capture(console=True, before_send=lambda event, hint: None):
        bridge.capture_exception(ValueError("wrong"))
        assert "! ValueError: wrong  dropped by before_send\n" in shown(err)
    with capture(console=True, sample_rate=0.0):
        bridge.capture_exception(ValueError("wrong"))
        assert "! ValueError: wrong  dropped by sample_rate\n" in shown(err)
    assert set(err.writers) == {"bridge-delivery"}


def test_roots_that_are_not_sampled_are_a_quiet_line(err: Stream) -> None:
    """A number, no trees."""
    with capture(console=True, traces_sample_rate=0.0):
        for _ in range(3):
            with bridge.start_span("job"), bridge.start_span("step"):
                pass
        lines = shown(err).splitlines()
    assert all(line.endswith(" not sampled") for line in lines)
    assert sum(int(line.split()[1]) for line in lines) == 3


def test_it_says_why_there_are_no_traces(err: Stream) -> None:
    """Who forgot the rate is told; with trace_lifecycle "none" where the spans are."""
    bridge.init(console=True)
    assert shown(err) == "tracing is off: set traces_sample_rate=1.0 to print traces here\n"
    bridge.init(console=True, traces_sample_rate=1.0, trace_lifecycle="none")
    with bridge.start_span("job"):
        bridge.capture_message("hello")
    text = shown(err)
    assert 'trace_lifecycle is "none": only errors are printed here\n' in text
    assert "· info: hello" in text


def test_spans_of_a_provider_that_was_there_are_shown(err: Stream) -> None:
    """An adopted provider's spans are native ones, with their errors."""
    with capture(console=True, tracer_provider=SdkTracerProvider()) as sent:
        with sent.client.tracer_provider.get_tracer("theirs").start_as_current_span("job"), bridge.start_span("step"):
            bridge.capture_exception(ValueError("wrong"))
        text = shown(err)
    assert "native tracer theirs" in text
    assert text.index("└─ step") < text.index("! ValueError: wrong")


@pytest.mark.parametrize("lifecycle", LIFECYCLES)
@pytest.mark.parametrize("how", ["threads", "asyncio"])
def test_traces_do_not_mix(err: Stream, lifecycle: Any, how: str) -> None:
    """Of fifty requests at a time each is one block with its own spans and its own error."""

    def request(number: int) -> Iterator[None]:
        with bridge.start_span(f"request {number}."):
            yield
            with tracer.start_as_current_span(f"work of {number}."):
                yield
                bridge.capture_exception(ValueError(f"error of {number}."))

    def in_thread(number: int) -> None:
        for _ in request(number):
            pass

    async def in_task(number: int) -> None:
        for _ in request(number):
            await asyncio.sleep(0)

    async def all_tasks() -> None:
        await asyncio.gather(*(in_task(number) for number in range(50)))

    with capture(console=True, trace_lifecycle=lifecycle):
        if how == "threads":
            with ThreadPoolExecutor(16) as pool:
                list(pool.map(in_thread, range(50)))
        else:
            asyncio.run(all_tasks())
        blocks = shown(err).split("\n\n")[:-1]
    assert len(blocks) == 50
    for block in blocks:
        heading, root, work, error = block.splitlines()
        number = root.split()[1]
        assert heading.startswith("trace ")
        assert f"└─ work of {number}" in work
        assert f"! ValueError: error of {number}" in error


class Broken(io.StringIO):
    """A stream whose reader has gone."""

    def write(self, text: str) -> int:
        raise BrokenPipeError


def closed() -> io.StringIO:
    stream = io.StringIO()
    stream.close()
    return stream


@pytest.mark.parametrize("stream", [None, Broken(), closed()], ids=["none", "broken", "closed"])
@pytest.mark.usefixtures("err")
def test_a_stream_that_cannot_be_written_to_harms_nothing(monkeypatch: pytest.MonkeyPatch, stream: Any) -> None:
    """Without a console, or with one that has gone, everything is sent as ever."""
    with capture(console=True) as sent:
        monkeypatch.setattr(sys, "stderr", stream)
        with bridge.start_span("job"):
            bridge.capture_message("hello")
        assert sent.tree() == ["job"]
        assert len(sent.events) == 1


def test_what_a_hook_makes_of_a_payload_does_no_harm(err: Stream, caplog: pytest.LogCaptureFixture) -> None:
    """A payload that cannot be drawn goes its way nevertheless, and the fault is logged once."""
    bridge._internal.guard.reraise_faults(False)
    client = bridge.init(
        console=True,
        traces_sample_rate=1.0,
        before_send_transaction=lambda event, hint: {**event, "spans": [{"span_id": 5}]},
    )
    for _ in range(2):
        with bridge.start_span("job"), bridge.start_span("step"):
            pass
    assert shown(err) == ""
    assert client.accounting().delivered == 4
    assert ["finished spans could not be printed" in record.message for record in caplog.records] == [True]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_forked_child_shows_its_own(err: Stream) -> None:
    """What waits in the parent is not shown by its child as well."""
    bridge.init(console=True, traces_sample_rate=1.0)
    reading, writing = os.pipe()
    with bridge.start_span("parent"):
        bridge.capture_message("of the parent")
        bridge.flush()
        child = os.fork()
        if child == 0:
            os.close(reading)
            with os.fdopen(writing, "w") as sys.stderr:
                with bridge.start_span("child", parent=None):
                    pass
                bridge.close()
            os._exit(0)
        os.close(writing)
        with os.fdopen(reading) as pipe:
            told = pipe.read()
        os.waitpid(child, 0)
    assert "child" in told
    assert "of the parent" not in told
    assert "of the parent" in shown(err)


def test_colours(err: Stream, monkeypatch: pytest.MonkeyPatch) -> None:
    """Colours with FORCE_COLOR, none with NO_COLOR, whichever else is set; none where there is no terminal."""
    texts = []
    for variables in ({"FORCE_COLOR": "1"}, {"FORCE_COLOR": "1", "NO_COLOR": "1"}, {}):
        for name in ("FORCE_COLOR", "NO_COLOR"):
            monkeypatch.delenv(name, raising=False)
        for name, value in variables.items():
            monkeypatch.setenv(name, value)
        before = len(err.getvalue())
        with capture(console=True):
            with bridge.start_span("job", op="task"):
                pass
            texts.append(shown(err)[before:])
    assert ["\x1b[" in text for text in texts] == [True, False, False]
    assert "\x1b[36mtask\x1b[0m" in texts[0]


class Terminal(Stream):
    """A terminal."""

    def isatty(self) -> bool:
        return True


def test_a_terminal_has_colours_unless_it_is_dumb(err: Stream, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing needs to be set on a terminal; TERM=dumb has none."""
    for term, expected in (("xterm", True), ("dumb", False)):
        monkeypatch.setenv("TERM", term)
        terminal = Terminal()
        monkeypatch.setattr(sys, "stderr", terminal)
        with capture(console=True):
            with bridge.start_span("job"):
                pass
            assert ("\x1b[" in shown(terminal)) is expected


def test_what_is_wide_is_cut(err: Stream, monkeypatch: pytest.MonkeyPatch) -> None:
    """Names are cut to the width there is, in cells: characters of East Asia take two. Facts stay."""
    clock = a_clock()
    monkeypatch.setenv("COLUMNS", "60")
    with capture(console=True, clock=clock):
        with bridge.start_span("x" * 150, op="task"), tracer.start_as_current_span("注文" * 50):
            clock.advance(1.5)
            bridge.capture_message("y" * 300)
        lines = shown(err).splitlines()
    assert lines[1:] == [
        f"  {'x' * 31}…  task  1500.00 ms  bridge",
        f"  └─ {'注文' * 7}…        1500.00 ms  otel",
        f"        · info: {'y' * 43}…",
        "",
    ]


def test_a_stream_that_knows_ascii_only(monkeypatch: pytest.MonkeyPatch, err: Stream) -> None:
    """Guides are drawn in ASCII, and other characters are escaped, where the encoding of the stream has none."""
    raw = io.BytesIO()
    monkeypatch.setattr(sys, "stderr", io.TextIOWrapper(raw, encoding="ascii"))
    with capture(console=True):
        with bridge.start_span("job"), bridge.start_span("注文"):
            pass
        bridge.flush()
        assert b"  `- \\u6ce8\\u6587" in raw.getvalue()


def test_a_deep_and_a_long_tree(err: Stream) -> None:
    """A thousand spans below each other, or beside each other, are drawn as far as anybody reads."""
    spans = []
    with capture(console=True, max_spans=2000) as sent:
        with bridge.start_span("deep"):
            for _ in range(1200):
                spans.append(bridge.start_inactive_span("d", parent=spans[-1] if spans else bridge.get_current_span()))
            for span in reversed(spans):
                span.end()
        with bridge.start_span("long"):
            for number in range(500):
                with bridge.start_span(f"step {number}"):
                    pass
        text = shown(err)
        assert len(sent.spans) == 1702
    assert max(map(len, text.splitlines())) <= 120
    assert "  … 1001 more lines\n" in text
    assert "  … 301 more lines\n" in text


def test_events_come_with_their_tree_to_a_sentry_as_well(sent: BridgeCapture) -> None:
    """The console takes nothing from what is sent."""
    with capture(console=True) as seen:
        with bridge.start_span("job"):
            bridge.capture_message("hello")
        assert (seen.tree(), len(seen.events)) == (["job"], 1)
