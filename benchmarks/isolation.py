"""Claim: nothing that one job sets is on another job's transaction, error or headers, however its spans are made.

`python benchmarks/isolation.py [JOBS] [SEED]` runs 10 000 jobs over every provider that a program may have, every way
to begin a job and every way to run it, prints what it saw of each, and exits with 1 if a job had something of another.
"""

from __future__ import annotations

import asyncio
import random
import sys
import threading
from collections import Counter
from contextlib import ExitStack, nullcontext
from typing import TYPE_CHECKING, Any

from opentelemetry import context as context_api
from opentelemetry import propagate, trace
from opentelemetry.context.context import Context
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.sampling import Decision, Sampler, SamplingResult, TraceIdRatioBased
from opentelemetry.trace import NonRecordingSpan, NoOpTracer, SpanKind

import bridge
from bridge.testing import CapturingTransport

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from contextlib import AbstractContextManager

    from opentelemetry.trace import Tracer

KIND = SpanKind.CONSUMER


class Fickle(Sampler):
    """A sampler of the program's own: it drops every third span, and hands on no trace state."""

    def __init__(self) -> None:
        self.asked = 0

    def should_sample(self, *args: Any, **kwargs: Any) -> SamplingResult:
        """Decide by the number of calls."""
        self.asked += 1
        return SamplingResult(Decision.DROP if self.asked % 3 == 0 else Decision.RECORD_AND_SAMPLE)

    def get_description(self) -> str:
        """Return the name."""
        return "Fickle"


PROVIDERS: Mapping[str, Callable[[], TracerProvider | None]] = {
    "own": lambda: None,
    "adopted, always on": TracerProvider,
    "adopted, ratio": lambda: TracerProvider(sampler=TraceIdRatioBased(0.5)),
    "adopted, custom sampler": lambda: TracerProvider(sampler=Fickle()),
    "isolated": lambda: None,
    "no-op": lambda: None,
}
BEGINNINGS = ("current, extracted", "extract and attach", "start and use", "consumer root", "continue_trace")
INVISIBLE = {
    ("isolated", "consumer root"),  # nothing of the bridge's sees that a job begins
    ("no-op", "consumer root"),
    ("no-op", "current, extracted"),  # OpenTelemetry's no-op tracer activates nothing
}
RUNS = ("one after another", "threads", "gather", "outlives its request", "never detached")


class Program:
    """A program with one provider, whose jobs begin in one way."""

    def __init__(self, provider: str, tracer: Tracer, beginning: str, chance: random.Random) -> None:
        self.beginning = beginning
        self.chance = chance
        isolated = {"always on": TracerProvider(), "fickle": TracerProvider(sampler=Fickle())}
        self.tools = [made.get_tracer(name) for name, made in isolated.items()]
        self.tracer = tracer
        self.is_ours = provider not in ("isolated", "no-op")  # of others the parent alone tells which request it is
        if provider == "isolated":
            self.tracer = self.tools[0]
        elif provider == "no-op":
            self.tracer = NoOpTracer()
        self.trace_ids: dict[str, set[str]] = {}

    def begin(self, job: str, stack: ExitStack, *, detaches: bool) -> None:
        """Begin a job, for as long as `stack` is open."""
        headers = {}
        if not self.is_ours or self.chance.random() < 0.5:
            trace_id, span_id = self.chance.getrandbits(127) + 1, self.chance.getrandbits(63) + 1
            headers["traceparent"] = f"00-{trace_id:032x}-{span_id:016x}-01"
        name = f"job {job}"
        if self.beginning == "current, extracted":
            stack.enter_context(self.tracer.start_as_current_span(name, propagate.extract(headers), KIND))
        elif self.beginning == "extract and attach":
            token = context_api.attach(propagate.extract(headers))
            if detaches:
                stack.callback(context_api.detach, token)
            stack.enter_context(self.tracer.start_as_current_span(name, kind=KIND))
        elif self.beginning == "start and use":
            span = self.tracer.start_span(name, propagate.extract(headers), KIND)
            if detaches:
                stack.enter_context(trace.use_span(span, end_on_exit=True))
            else:
                context_api.attach(trace.set_span_in_context(span))
                stack.callback(span.end)
        elif self.beginning == "consumer root":
            stack.enter_context(self.tracer.start_as_current_span(name, kind=KIND))
        else:
            stack.enter_context(bridge.continue_trace(headers))
            stack.enter_context(self.tracer.start_as_current_span(name, kind=KIND))

    def inside(self) -> AbstractContextManager[Any]:
        """Return a block that a job may do its work in."""
        choice = self.chance.randrange(7)
        if choice == 0:
            return self.tracer.start_as_current_span("own")
        if choice in (1, 2):
            return self.tools[choice - 1].start_as_current_span("tool")
        if choice == 3:
            return trace.use_span(NonRecordingSpan(trace.get_current_span().get_span_context()))
        if choice == 4:
            return bridge.suppress_tracing()
        return bridge.start_span("step", kind=SpanKind.CLIENT) if choice == 5 else nullcontext()

    def work(self, job: str) -> Iterator[None]:
        """Do a job in steps; only some jobs say who their user is."""
        has_user = self.chance.random() < 0.5
        with ExitStack() as stack:
            for depth in range(self.chance.randrange(4)):
                stack.enter_context(self.inside())
                bridge.set_tag(f"tag {depth}", job)
                bridge.get_current_scope().set_tag("current", job)
                yield
            if has_user:
                bridge.set_user({"id": job})
            bridge.add_breadcrumb(message=job)
            yield
            bridge.capture_message(job)
            trace_id = bridge.trace_headers().get("sentry-trace", "")[:32]
            self.trace_ids.setdefault(job, set()).add(trace_id)


def run_program(provider: str, beginning: str, run: str, jobs: int, chance: random.Random) -> Counter[str]:
    """Run some jobs in one of the ways; returns what was seen."""
    sent = CapturingTransport()
    with bridge_with(PROVIDERS[provider](), sent):
        tracer = bridge.get_client().tracer_provider.get_tracer("app")
        program = Program(provider, tracer, beginning, chance)
        RUNNERS[run](program, [f"{number}" for number in range(jobs)])
        bridge.flush(30)
        return looked_at(program, sent)


class bridge_with:  # noqa: N801 - used as a function
    """A client for a block, beside a provider that was there first."""

    def __init__(self, provider: TracerProvider | None, sent: CapturingTransport) -> None:
        self._options = {} if provider is None else {"tracer_provider": provider}
        self._sent = sent

    def __enter__(self) -> None:
        self._token = context_api.attach(Context())
        bridge.init("http://key@127.0.0.1:9/1", transport=self._sent, traces_sample_rate=1.0, **self._options)
        bridge.set_tag("service", "worker")

    def __exit__(self, *_: object) -> None:
        bridge.close()
        context_api.detach(self._token)


def one_after_another(program: Program, jobs: list[str], *, detaches: bool = True) -> None:
    """Run jobs in one Context."""
    for job in jobs:
        with ExitStack() as stack:
            program.begin(job, stack, detaches=detaches)
            for _ in program.work(job):
                pass


def in_threads(program: Program, jobs: list[str]) -> None:
    """Run jobs in eight threads, several one after another in each."""
    threads = [threading.Thread(target=one_after_another, args=(program, jobs[number::8])) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def gathered(program: Program, jobs: list[str], *, outlives: bool = False) -> None:
    """Run jobs as tasks of one event loop, twenty at a time."""

    async def step_by_step(job: str) -> None:
        for _ in program.work(job):
            await asyncio.sleep(0)

    async def run_job(job: str) -> asyncio.Task[None] | None:
        with ExitStack() as stack:
            program.begin(job, stack, detaches=True)
            if outlives:
                return asyncio.create_task(step_by_step(job))
            await step_by_step(job)
        return None

    async def main() -> None:
        for first in range(0, len(jobs), 20):
            left = await asyncio.gather(*map(run_job, jobs[first : first + 20]))
            await asyncio.gather(*(task for task in left if task is not None))

    asyncio.run(main())


RUNNERS: Mapping[str, Callable[[Program, list[str]], None]] = {
    "one after another": one_after_another,
    "threads": in_threads,
    "gather": gathered,
    "outlives its request": lambda program, jobs: gathered(program, jobs, outlives=True),
    "never detached": lambda program, jobs: one_after_another(program, jobs, detaches=False),
}


def looked_at(program: Program, sent: CapturingTransport) -> Counter[str]:
    """Count what was sent, and what of it belongs to another job."""
    seen: Counter[str] = Counter(transactions=len(sent.transactions), errors=len(sent.events))
    for payload in [*sent.transactions, *sent.events]:
        message = payload.get("logentry") or payload.get("message")
        text = message.get("formatted", message.get("message")) if isinstance(message, dict) else message
        job = text or payload["transaction"].removeprefix("job ")
        if not job.isdecimal():
            continue  # a step that outlived its job is a transaction of its own
        values = [value for name, value in (payload.get("tags") or {}).items() if name != "service"]
        values += [crumb["message"] for crumb in (payload.get("breadcrumbs") or {}).get("values", ())]
        values += [user["id"]] if (user := payload.get("user")) else []
        seen["foreign"] += sum(value != job for value in values)
        seen["own"] += sum(value == job for value in values)
    by_trace: dict[str, set[str]] = {}
    for job, trace_ids in program.trace_ids.items():
        for trace_id in trace_ids - {""}:
            by_trace.setdefault(trace_id, set()).add(job)
    seen["foreign headers"] = sum(len(jobs) > 1 for jobs in by_trace.values())
    return seen


def run(jobs: int, seed: int) -> dict[tuple[str, str, str], Counter[str]]:
    """Run that many jobs over all combinations in which the bridge can see that a job begins."""
    combinations = [
        (provider, beginning, how)
        for provider in PROVIDERS
        for beginning in BEGINNINGS
        for how in RUNS
        if (provider, beginning) not in INVISIBLE
    ]
    chance = random.Random(seed)
    each = max(4, jobs // len(combinations))
    return {combination: run_program(*combination, each, chance) for combination in combinations}


def main() -> int:
    """Print what was seen."""
    given = [int(argument) for argument in sys.argv[1:]]
    jobs, seed = given + [10_000, 1][len(given) :]
    total: Counter[str] = Counter()
    for combination, seen in run(jobs, seed).items():
        total += seen
        if seen["foreign"] or seen["foreign headers"]:
            print(*combination, dict(seen), sep=" | ")
    print(f"seed {seed}:", dict(total), "foreign:", total["foreign"], "foreign headers:", total["foreign headers"])
    return 1 if total["foreign"] or total["foreign headers"] else 0


if __name__ == "__main__":
    sys.exit(main())
