"""Sequential ids, and the order in which spans started."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import replace
from itertools import count
from typing import TYPE_CHECKING, Any

from opentelemetry.sdk.trace.id_generator import IdGenerator
from opentelemetry.sdk.trace.id_generator import RandomIdGenerator as SdkRandomIdGenerator

from bridge._internal import sources
from bridge._internal.tracing.provider import RandomIdGenerator
from bridge._internal.wire.sample_rand import RANDOM_BITS

if TYPE_CHECKING:
    from collections.abc import Iterator

_RANGE = 1 << RANDOM_BITS
# By the golden ratio each next one falls into the largest gap that is left, so few traces are spread evenly already.
_STEP = round(_RANGE * 0.6180339887498949) | 1
_RANDOM = (RandomIdGenerator, SdkRandomIdGenerator)
_METHODS = ("generate_span_id", "generate_trace_id")


class SequentialIds(IdGenerator):
    """Spans `...0001`, `...0002` in order of start, and traces whose upper half counts likewise.

    The lower half of a trace id is what is sampled by. It is spread evenly, and the same each time: at a rate of 0.5
    the first, third and sixth trace are kept, the second, fourth and fifth are not.
    """

    def __init__(self) -> None:
        self._traces = count(1)
        self._spans = count(1)

    def generate_span_id(self) -> int:
        """Return the next span id."""
        return next(self._spans)

    def generate_trace_id(self) -> int:
        """Return the next trace id."""
        number = next(self._traces)
        return number << 64 | number * _STEP % _RANGE

    def is_trace_id_random(self) -> bool:
        """Return `True`: samplers may use the trace id's random bits."""
        return True


class IdSource:
    """Generates the ids of a capture, and remembers the order in which spans started."""

    def __init__(self, given: IdGenerator | None) -> None:
        """Use the `given` generator; by default sequential ids, unless a provider has a generator of its own."""
        self._given = given
        self._default = SequentialIds()
        self._order: dict[int, int] = {}
        self._replaced: list[tuple[Any, dict[str, Any]]] = []

    def start_index(self, span_id: str) -> int:
        """Return the position of a span in the order of start; unknown spans come last."""
        return self._order.get(int(span_id, 16), len(self._order))

    def replace_generator(self, provider: Any) -> None:
        """Generate the ids of a provider's spans, including those of its existing tracers."""
        generator = getattr(provider, "id_generator", None)
        # The tracers of an SDK provider hold this very object: methods are put on it, not another one in its place.
        if generator is None or not hasattr(generator, "__dict__") or any(g is generator for g, _ in self._replaced):
            return
        keeps_own = self._given is None and type(generator) not in _RANDOM
        behind = generator if keeps_own else self._generator
        span_id, trace_id = behind.generate_span_id, behind.generate_trace_id

        def generate_span_id() -> int:
            made = int(span_id())
            self._order.setdefault(made, len(self._order))
            return made

        self._replaced.append(
            (generator, {name: vars(generator)[name] for name in _METHODS if name in vars(generator)})
        )
        vars(generator).update(generate_span_id=generate_span_id, generate_trace_id=trace_id)

    @property
    def _generator(self) -> IdGenerator:
        return self._given or self._default

    def _restore_generators(self) -> None:
        for generator, known in self._replaced:
            for name in _METHODS:
                vars(generator).pop(name, None)
            vars(generator).update(known)
        self._replaced.clear()

    @contextmanager
    def installed(self) -> Iterator[None]:
        """Generate all other ids as well, e.g. of errors and transactions, and restore everything on exit."""
        errors, transactions = count(1), count(1)
        made = replace(
            sources.current,
            ids=self._generator,
            # Counted apart: errors get their ids on the caller's thread, transactions on the worker's.
            error_id=lambda: f"e{next(errors):031x}",
            transaction_id=lambda: f"a{next(transactions):031x}",
        )
        before = sources.set_current(made)
        try:
            yield
        finally:
            sources.set_current(before)
            self._restore_generators()
