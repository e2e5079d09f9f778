"""What happens to a process: forks, its end, and other tracers in it. Each in a process of its own."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap

import pytest

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="the platform has no fork")

PRELUDE = """
import os, sys, threading, warnings
warnings.simplefilter("ignore", DeprecationWarning)  # Python 3.12 advises against forking with threads
from bridge._internal.dsn import Dsn
from bridge._internal.delivery.outcomes import Outcomes
from bridge._internal.delivery.transport import Retries
from bridge._internal.delivery.transport import HttpTransport
from bridge._internal.delivery.worker import Worker
from tests.delivery import payloads
from tests.delivery.totals import Totals, totals_of

def in_child(body):
    pid = os.fork()
    if pid == 0:
        code = 1
        try:
            body()
            code = 0
        finally:
            sys.stderr.flush()
            os._exit(code)
    assert os.waitpid(pid, 0)[1] == 0, "the child failed"
"""


def run(program: str, *args: str) -> str:
    """Run a program; its output, if it ended well, in time and without a word on stderr."""
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", PRELUDE + textwrap.dedent(program), *args],
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


def test_a_forked_child_sends_its_own_and_the_parent_is_unharmed(sink):
    """Parent and child each send over a connection of their own, and keep books of their own."""
    run(
        """
        outcomes = Outcomes()
        transport = HttpTransport(Dsn.parse(sys.argv[1]), outcomes)
        worker = Worker("bridge-delivery")
        def send():
            envelope = payloads.error()
            assert worker.submit(lambda: transport.send(envelope))
            assert worker.flush(10)

        send()
        outcomes.lost("before_send", "error")

        def child():
            assert worker.pending == 0
            assert totals_of(outcomes, "error") == Totals(0, {})
            send()
            send()
            assert totals_of(outcomes, "error") == Totals(2, {})
            transport.close(10)
            assert worker.close(10)

        in_child(child)
        send()
        assert totals_of(outcomes, "error") == Totals(2, {"before_send": 1})
        transport.close(10)
        assert worker.close(10)
        """,
        str(sink.dsn),
    )
    assert sink.taken["error"] == 4
    assert len(set(sink.event_ids)) == 4
    assert sink.connections == 2
    assert sink.reported_of("error") == {"before_send": 1}


def test_a_client_that_was_handed_in_does_not_share_its_socket_with_a_child(sink):
    """The pool of a user's client opens a new connection in the child."""
    run(
        """
        import httpx
        outcomes = Outcomes()
        transport = HttpTransport(Dsn.parse(sys.argv[1]), outcomes, http_client=httpx.Client())
        transport.send(payloads.error())
        def child():
            transport.send(payloads.error())
            assert totals_of(outcomes, "error") == Totals(1, {})
        in_child(child)
        transport.send(payloads.error())
        assert totals_of(outcomes, "error") == Totals(2, {})
        os._exit(0)
        """,
        str(sink.dsn),
    )
    assert sink.connections == 2
    assert sink.taken["error"] == 3


def test_the_jobs_of_the_parent_stay_with_the_parent():
    """A child starts with an empty queue, even when the parent's worker is in the middle of a job."""
    output = run(
        """
        entered, opened = threading.Event(), threading.Event()
        worker = Worker("bridge-delivery")
        worker.submit(lambda: (entered.set(), opened.wait(10)))
        worker.submit(lambda: os.write(1, b"parent "))
        entered.wait(10)
        def child():
            assert worker.pending == 0
            assert worker.flush(0)
            worker.submit(lambda: os.write(1, b"child "))
            assert worker.close(10)
        in_child(child)
        opened.set()
        assert worker.close(10)
        """
    )
    assert output == "child parent "


def test_forking_under_load_never_deadlocks():
    """Forks while other threads submit, count and take reports: every child can do all of that."""
    run(
        """
        outcomes, worker, over = Outcomes(), Worker("bridge-delivery", max_jobs=100), threading.Event()
        def load():
            while not over.is_set():
                outcomes.lost("before_send", "span")
                outcomes.take_report()
                worker.submit(lambda: outcomes.delivered("span"))
                Worker("bridge-other")
        threads = [threading.Thread(target=load) for _ in range(4)]
        for thread in threads:
            thread.start()
        def child():
            assert worker.submit(lambda: outcomes.delivered("error"))
            assert worker.flush(10)
            assert totals_of(outcomes, "error") == Totals(1, {})
        for _ in range(20):
            in_child(child)
        over.set()
        for thread in threads:
            thread.join()
        assert worker.close(10)
        """
    )


def test_forking_while_the_worker_starts_does_not_harm_the_child(sink):
    """The very first envelope makes the worker import httpx: a child that is born in that moment can send."""
    run(
        """
        outcomes = Outcomes()
        transport = HttpTransport(Dsn.parse(sys.argv[1]), outcomes)
        worker = Worker("bridge-delivery")
        entered = threading.Event()
        first, second = payloads.error(), payloads.error()
        worker.submit(lambda: (entered.set(), transport.send(first)))
        assert entered.wait(10)
        def child():
            worker.submit(lambda: transport.send(second))
            assert worker.flush(10)
            assert totals_of(outcomes, "error") == Totals(1, {})
        in_child(child)
        assert worker.flush(10)
        assert totals_of(outcomes, "error") == Totals(1, {})
        transport.close(5)
        """,
        str(sink.dsn),
    )
    assert sink.taken["error"] == 2


def test_a_job_may_fork():
    """A child that is born in the worker's own thread does not go on as the worker: it ends with the job."""
    output = run(
        """
        worker = Worker("bridge-delivery")
        def fork():
            if os.fork() == 0:
                os.write(1, b"born ")
            else:
                assert os.wait()[1] == 0
        worker.submit(fork)
        worker.submit(lambda: os.write(1, b"parent "))
        assert worker.flush(10)
        """
    )
    assert output == "born parent "


def test_a_closed_transport_stays_closed_in_a_child():
    """What was closed before the fork is closed after it."""
    run(
        """
        outcomes = Outcomes()
        transport = HttpTransport(Dsn.parse("http://key@127.0.0.1:9/1"), outcomes)
        worker = Worker("bridge-delivery")
        transport.close(0)
        worker.close(0)
        def child():
            transport.send(payloads.error())
            assert totals_of(outcomes, "error") == Totals(0, {"queue_overflow": 1})
            assert not worker.submit(print)
        in_child(child)
        """
    )


def test_the_end_of_the_interpreter_is_quiet_and_quick():
    """A worker in the middle of a job, and one that waits for jobs, hold nothing up and say nothing."""
    run(
        """
        busy, idle, entered = Worker("bridge-busy"), Worker("bridge-idle"), threading.Event()
        idle.submit(lambda: None)
        busy.submit(lambda: (entered.set(), threading.Event().wait()))
        assert entered.wait(10)
        """
    )


def test_a_server_that_hangs_does_not_hold_up_the_end(sink):
    """The process ends although a request is under way."""
    sink.script.append("take the request, never answer")
    run(
        """
        transport = HttpTransport(Dsn.parse(sys.argv[1]), Outcomes())
        worker = Worker("bridge-delivery")
        envelope = payloads.error()
        worker.submit(lambda: transport.send(envelope))
        assert not worker.flush(0.2)
        assert not worker.close(0.01)
        """,
        str(sink.dsn),
    )


def test_work_at_the_very_end_is_refused_or_done_but_never_an_error():
    """Submitting from an exit handler raises nothing."""
    run(
        """
        import atexit
        worker = Worker("bridge-delivery")
        atexit.register(lambda: worker.close(5))
        atexit.register(lambda: worker.submit(lambda: None))
        """
    )


def test_importing_delivery_does_not_import_httpx():
    """The HTTP client is loaded by the worker, not by `import bridge`."""
    assert run("print('httpx' in sys.modules)") == "False\n"


def test_instrumentations_do_not_see_our_requests(sink):
    """OpenTelemetry's httpx instrumentation traces none of what is sent, and adds no headers to it."""
    pytest.importorskip(
        "opentelemetry.instrumentation.httpx", reason="contrib's httpx instrumentation is not installed"
    )
    run(
        """
        from opentelemetry import trace
        from opentelemetry.instrumentation.httpx import HTTPXClientInstrumentor
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import SimpleSpanProcessor
        from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
        exporter, provider = InMemorySpanExporter(), TracerProvider()
        provider.add_span_processor(SimpleSpanProcessor(exporter))
        HTTPXClientInstrumentor().instrument(tracer_provider=provider)
        outcomes = Outcomes()
        transport = HttpTransport(Dsn.parse(sys.argv[1]), outcomes)
        worker = Worker("bridge-delivery")
        with provider.get_tracer("test").start_as_current_span("mine"):
            envelope = payloads.error()
            worker.submit(lambda: transport.send(envelope))
            assert worker.flush(10)
            outcomes.lost("before_send", "error")
            assert transport.flush(10)
        assert [span.name for span in exporter.get_finished_spans()] == ["mine"]
        transport.close(5)
        """,
        str(sink.dsn),
    )
    assert sink.requests == 2
    assert not any("traceparent" in headers for headers in sink.request_headers)


def test_sentry_sdk_does_not_see_our_requests(sink):
    """sentry-sdk in the same process, tracing everything, has nothing to say about our requests."""
    pytest.importorskip("sentry_sdk", reason="sentry-sdk is not installed")
    run(
        """
        import sentry_sdk
        from sentry_sdk.integrations.httpx import HttpxIntegration
        from sentry_sdk.transport import Transport
        class Keep(Transport):
            def capture_envelope(self, envelope):
                for item in envelope.items:
                    seen.append((item.type, [span["op"] for span in (item.payload.json or {}).get("spans", ())]))
        seen = []
        sentry_sdk.init(
            "https://key@sentry.invalid/1", transport=Keep, traces_sample_rate=1.0, default_integrations=False,
            integrations=[HttpxIntegration()],
        )
        outcomes = Outcomes()
        transport = HttpTransport(Dsn.parse(sys.argv[1]), outcomes)
        worker = Worker("bridge-delivery")
        with sentry_sdk.start_transaction(name="mine"):
            envelope = payloads.error()
            worker.submit(lambda: transport.send(envelope))
            assert worker.flush(10)
            outcomes.lost("before_send", "error")
            assert transport.flush(10)
        assert seen == [("transaction", [])], seen
        transport.close(5)
        """,
        str(sink.dsn),
    )
    assert sink.requests == 2
    assert not any({"sentry-trace", "baggage", "traceparent"} & set(headers) for headers in sink.request_headers)
