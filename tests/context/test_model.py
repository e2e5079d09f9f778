"""Random interleavings against a model: spans of both APIs, scopes, attaches, tasks and threads."""

from __future__ import annotations

import contextvars
import queue
import threading
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Any

import hypothesis.strategies as st
from hypothesis import settings
from hypothesis.stateful import Bundle, RuleBasedStateMachine, invariant, precondition, rule
from opentelemetry import context as context_api
from opentelemetry import trace
from opentelemetry.context.context import Context

import bridge
from bridge import testing


@dataclass
class Isolation:
    """The model of an isolation scope: its tags."""

    tags: dict[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class Entry:
    """The model of what a Context holds of scopes: data, and the span under which it was written."""

    current: dict[str, int]
    isolation: Isolation
    owner: Any


@dataclass(frozen=True)
class Frame:
    """The model of an attached Context."""

    span: Any = None
    entry: Entry | None = None


class Actor:
    """Something that runs code, a task or a thread, with the model of the contexts that it attached."""

    def __init__(self, name: str, run: Callable[[Callable[[], Any]], Any], frame: Frame) -> None:
        self.name = name
        self.run = run
        self.frames = [frame]
        self.blocks: list[AbstractContextManager[Any]] = []

    def enter(self, block: AbstractContextManager[Any], frame: Callable[[Any], Frame]) -> Any:
        """Enter a block; `frame` tells the model of what is current in it."""
        entered = self.run(block.__enter__)
        self.blocks.append(block)
        self.frames.append(frame(entered))
        return entered

    def leave(self) -> None:
        """Leave the innermost block."""
        block = self.blocks.pop()
        self.run(lambda: block.__exit__(None, None, None))
        self.frames.pop()


class attach(AbstractContextManager[None]):  # noqa: N801 - reads as a statement
    """OpenTelemetry's attach and detach as a block."""

    def __init__(self, context: Context) -> None:
        self.context = context

    def __enter__(self) -> None:
        self.token = context_api.attach(self.context)

    def __exit__(self, *_: object) -> None:
        context_api.detach(self.token)


class ThreadRunner(threading.Thread):
    """A thread that runs what it is told, until it is told to stop."""

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self.work: queue.Queue[Callable[[], Any] | None] = queue.Queue()
        self.results: queue.Queue[tuple[Any, BaseException | None]] = queue.Queue()

    def run(self) -> None:
        while (work := self.work.get()) is not None:
            try:
                self.results.put((work(), None))
            except BaseException as error:
                self.results.put((None, error))

    def __call__(self, work: Callable[[], Any]) -> Any:
        self.work.put(work)
        result, error = self.results.get(timeout=30)
        if error is not None:
            raise error
        return result


keys = st.sampled_from("abc")
values = st.integers(0, 5)


class Interleavings(RuleBasedStateMachine):
    """What an actor sees is what the model says, whatever the others did."""

    actors = Bundle("actors")
    spans = Bundle("spans")

    def __init__(self) -> None:
        super().__init__()
        self.capture = testing.capture()
        self.capture.__enter__()
        self.tracer = bridge.get_client().tracer_provider.get_tracer("native")
        self.everyone: list[Actor] = []
        self.threads: list[ThreadRunner] = []
        self.memory: dict[int, Entry] = {}
        self.keep: list[Any] = []
        self.numbers = 0
        self.main = self.task_in(contextvars.Context(), Frame())

    def teardown(self) -> None:
        for actor in self.everyone:
            while actor.blocks:
                actor.leave()
        for thread in self.threads:
            thread.work.put(None)
            thread.join()
        self.capture.__exit__(None, None, None)

    def task_in(self, context: contextvars.Context, frame: Frame) -> Actor:
        self.numbers += 1
        actor = Actor(f"task {self.numbers}", context.run, frame)
        self.everyone.append(actor)
        return actor

    def resolve(self, actor: Actor, *, make: bool = True) -> Entry | None:
        """The rules of scopes, as the design says them."""
        frame = actor.frames[-1]
        if frame.entry is not None and frame.entry.owner is frame.span:
            return frame.entry
        if frame.span is not None and id(frame.span) in self.memory:
            return self.memory[id(frame.span)]
        if frame.entry is not None or not make:
            return frame.entry
        entry = Entry({}, Isolation(), frame.span)
        actor.frames[-1] = Frame(frame.span, entry)
        return entry

    def pick(self, index: int) -> Actor:
        return self.everyone[index % len(self.everyone)]

    @rule(index=st.integers(0, 20), native=st.booleans(), new_root=st.booleans())
    def start_span(self, index: int, native: bool, new_root: bool) -> None:
        actor = self.pick(index)
        entry = self.resolve(actor)
        frame = actor.frames[-1]
        self.numbers += 1
        name = f"span {self.numbers}"
        if native:
            block: Any = self.tracer.start_as_current_span(name)
        elif new_root:
            block = actor.run(lambda: bridge.start_span(name, parent=None))
        else:
            block = actor.run(lambda: bridge.start_span(name))
        span = actor.enter(block, lambda entered: Frame(entered, frame.entry))
        self.keep.append(span)
        self.memory[id(span)] = entry  # type: ignore[assignment]
        parent = None if new_root and not native else frame.span
        assert span.parent_span_id == (None if parent is None else parent.span_id)
        if parent is not None:
            assert span.trace_id == parent.trace_id

    @precondition(lambda self: self.keep)
    @rule(index=st.integers(0, 20), which=st.integers(0, 50), own=st.booleans())
    def use_span(self, index: int, which: int, own: bool) -> None:
        actor, span = self.pick(index), self.keep[which % len(self.keep)]
        block: Any = bridge.use_span(span) if own else trace.use_span(span)
        actor.enter(block, lambda _: Frame(span, actor.frames[-1].entry))

    @rule(index=st.integers(0, 20))
    def use_no_span(self, index: int) -> None:
        actor = self.pick(index)
        entry = self.resolve(actor)
        assert entry is not None
        actor.enter(bridge.use_span(None), lambda _: Frame(None, Entry(entry.current, entry.isolation, None)))

    @rule(index=st.integers(0, 20))
    def attach_bare_context(self, index: int) -> None:
        self.pick(index).enter(attach(Context()), lambda _: Frame())

    @rule(index=st.integers(0, 20))
    def new_scope(self, index: int) -> None:
        actor = self.pick(index)
        entry = self.resolve(actor)
        assert entry is not None
        span = actor.frames[-1].span
        actor.enter(bridge.new_scope(), lambda _: Frame(span, Entry(entry.current, entry.isolation, span)))

    @rule(index=st.integers(0, 20))
    def isolation_scope(self, index: int) -> None:
        actor = self.pick(index)
        entry = self.resolve(actor)
        assert entry is not None
        span, forked = actor.frames[-1].span, Isolation(dict(entry.isolation.tags))
        actor.enter(bridge.isolation_scope(), lambda _: Frame(span, Entry(entry.current, forked, span)))

    @rule(index=st.integers(0, 20), key=keys, value=values)
    def tag_current(self, index: int, key: str, value: int) -> None:
        actor = self.pick(index)
        entry = self.resolve(actor)
        assert entry is not None
        span = actor.frames[-1].span
        actor.run(lambda: bridge.get_current_scope().set_tag(key, value))
        actor.frames[-1] = Frame(span, Entry({**entry.current, key: value}, entry.isolation, span))

    @rule(index=st.integers(0, 20), key=keys, value=values)
    def tag_isolation(self, index: int, key: str, value: int) -> None:
        actor = self.pick(index)
        entry = self.resolve(actor)
        assert entry is not None
        actor.run(lambda: bridge.set_tag(key, value))
        entry.isolation.tags[key] = value

    @precondition(lambda self: len(self.everyone) < 8)
    @rule(index=st.integers(0, 20))
    def spawn_task(self, index: int) -> None:
        actor = self.pick(index)
        self.task_in(actor.run(contextvars.copy_context), actor.frames[-1])

    @precondition(lambda self: len(self.everyone) < 8)
    @rule(index=st.integers(0, 20))
    def spawn_thread(self, index: int) -> None:
        actor = self.pick(index)
        thread = ThreadRunner()
        actor.run(thread.start)
        self.threads.append(thread)
        self.everyone.append(Actor(thread.name, thread, actor.frames[-1]))

    @rule(index=st.integers(0, 20))
    def leave(self, index: int) -> None:
        actor = self.pick(index)
        if actor.blocks:
            actor.leave()

    @invariant()
    def everybody_sees_what_the_model_says(self) -> None:
        for actor in self.everyone:
            span, current = actor.run(lambda: (bridge.get_current_span(), dict(bridge.get_current_scope().tags)))
            entry = self.resolve(actor, make=False)
            assert span is actor.frames[-1].span
            assert current == ({} if entry is None else entry.current)
            if entry is not None:
                assert actor.run(lambda: dict(bridge.get_isolation_scope().tags)) == entry.isolation.tags


TestInterleavings = Interleavings.TestCase
TestInterleavings.settings = settings(max_examples=60, stateful_step_count=60, deadline=None)
