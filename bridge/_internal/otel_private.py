"""The private names of OpenTelemetry that bridge uses, except those that a subclass must name itself.

Subclasses name what they override or must set: `tracing/span.py` and `tracing/provider.py` (the SDK's span, tracer and
provider), `context/runtime.py` (the runtime context), `foreign/span_processor.py` (`_on_ending`).
Each name says the OpenTelemetry versions it was seen in; `tests/test_otel_private.py` fails when one is gone.
"""

from __future__ import annotations

import importlib
from contextlib import contextmanager
from types import MethodType
from typing import TYPE_CHECKING, Any

import opentelemetry.context as _context_api
import opentelemetry.trace as _trace_api
from opentelemetry.attributes import BoundedAttributes

# The two suppression keys are what contrib's instrumentations test. Seen in 1.40 to 1.45.
from opentelemetry.context import (
    _SUPPRESS_HTTP_INSTRUMENTATION_KEY as SUPPRESS_HTTP_INSTRUMENTATION_KEY,
)
from opentelemetry.context import (
    _SUPPRESS_INSTRUMENTATION_KEY as SUPPRESS_INSTRUMENTATION_KEY,
)

# What the SDK names the attributes of a recorded exception. Seen in 1.40 to 1.45.
from opentelemetry.semconv.attributes.exception_attributes import (
    EXCEPTION_ESCAPED,
    EXCEPTION_MESSAGE,
    EXCEPTION_STACKTRACE,
    EXCEPTION_TYPE,
)

# Where the active span lives in a Context. Seen in 1.40 to 1.45.
from opentelemetry.trace.propagation import _SPAN_KEY as SPAN_KEY

from bridge._internal.kept_attributes import KeptAttributes

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextvars import ContextVar

    from opentelemetry.context.context import Context
    from opentelemetry.sdk.trace.sampling import Sampler
    from opentelemetry.trace import TracerProvider

__all__ = [
    "EXCEPTION_ESCAPED",
    "EXCEPTION_MESSAGE",
    "EXCEPTION_STACKTRACE",
    "EXCEPTION_TYPE",
    "KNOWS_RANDOM_FLAG",
    "RANDOM_TRACE_FLAG",
    "SPAN_KEY",
    "SUPPRESS_HTTP_INSTRUMENTATION_KEY",
    "SUPPRESS_INSTRUMENTATION_KEY",
    "composed_propagators",
    "context_variable",
    "counts_spans",
    "enabled_check",
    "event_attributes",
    "exporter_url",
    "freeze",
    "global_tracer_provider",
    "is_shut_down_at_exit",
    "kept_attributes",
    "processors_within",
    "record_end_metrics",
    "remove_span_processor",
    "root_sampler",
    "runtime_context",
    "sampler_from_environment",
    "sampler_of_span",
    "scope_of_tracer",
    "sdk_provider",
    "set_items",
    "set_resource",
    "set_runtime_context",
    "set_sdk_clock",
    "set_span_processors",
    "set_tracer_provider",
    "shared_attributes",
    "span_limits",
    "span_processors",
    "trace_id_is_random",
    "tracer_provider_is_fixed",
    "tracers",
    "unbinding_proxies",
]


def runtime_context() -> Any:
    """Return the runtime context in use. `opentelemetry.context._RUNTIME_CONTEXT`, seen in 1.40 to 1.45."""
    return _context_api._RUNTIME_CONTEXT


def set_runtime_context(runtime: Any) -> None:
    """Replace the runtime context; tokens of the old one stay valid if both hold the same variable."""
    _context_api._RUNTIME_CONTEXT = runtime


def context_variable(runtime: Any) -> ContextVar[Context] | None:
    """Return the variable in a `ContextVarsRuntimeContext`. `_current_context`, seen in 1.40 to 1.45."""
    return getattr(runtime, "_current_context", None)


def global_tracer_provider() -> TracerProvider | None:
    """Return the global provider if one was set, without making the one that the environment names.

    `opentelemetry.trace._TRACER_PROVIDER`, seen in 1.40 to 1.45.
    """
    return _trace_api._TRACER_PROVIDER


def tracer_provider_is_fixed() -> bool:
    """Whether OpenTelemetry refuses another global provider.

    `opentelemetry.trace._TRACER_PROVIDER_SET_ONCE` and `Once._done`, seen in 1.40 to 1.45.
    """
    return _trace_api._TRACER_PROVIDER_SET_ONCE._done


def set_tracer_provider(provider: TracerProvider | None, *, fixed: bool) -> None:
    """Replace or unset the global provider; `fixed` says whether OpenTelemetry refuses the next one."""
    _trace_api._TRACER_PROVIDER = provider
    _trace_api._TRACER_PROVIDER_SET_ONCE._done = fixed


@contextmanager
def unbinding_proxies() -> Iterator[None]:
    """Unbind, at the end of a block, the proxy tracers that bound to a provider in it.

    A tracer that was asked for before there was a provider binds to the first one for ever.
    `ProxyTracer._tracer` and `_real_tracer`, seen in 1.40 to 1.45.
    """
    bound: list[Any] = []
    binding = vars(_trace_api.ProxyTracer)["_tracer"]

    def tracer(proxy: Any) -> Any:
        if proxy._real_tracer is None:
            found = binding.fget(proxy)
            if proxy._real_tracer is not None:
                bound.append(proxy)
            return found
        return proxy._real_tracer

    setattr(_trace_api.ProxyTracer, "_tracer", property(tracer))  # noqa: B010 - a property, which mypy takes for fixed
    try:
        yield
    finally:
        setattr(_trace_api.ProxyTracer, "_tracer", binding)  # noqa: B010 - the same
        for proxy in bound:
            proxy._real_tracer = None


def set_sdk_clock(time_ns: Callable[[], int]) -> Callable[[], int]:
    """Replace the clock of the SDK's own spans and events; returns the previous one.

    `opentelemetry.sdk.trace.time_ns`, seen in 1.40 to 1.45.
    """
    module: Any = importlib.import_module("opentelemetry.sdk.trace")
    before: Callable[[], int] = module.time_ns
    module.time_ns = time_ns
    return before


def sdk_provider(provider: Any, depth: int = 3) -> Any:
    """Return the SDK provider behind one that passes on to it, as logfire's and Temporal's do; else itself.

    `_active_span_processor`, seen in 1.40 to 1.45.
    """
    if hasattr(provider, "_active_span_processor") or depth == 0:
        return provider
    for part in _parts(provider):
        if hasattr(type(part), "get_tracer"):
            behind = sdk_provider(part, depth - 1)
            if hasattr(behind, "_active_span_processor"):
                return behind
    return provider


def _parts(instance: Any) -> list[Any]:
    """Return what an object and its classes hold, and the objects whose methods they hold."""
    classes = [vars(cls) for cls in type(instance).__mro__ if cls is not object]
    slots = [name for names in classes for name in _names(names.get("__slots__", ()))]
    held = [*getattr(instance, "__dict__", {}).values(), *(getattr(instance, name, None) for name in slots)]
    held += [value for names in classes for value in names.values()]
    return [part.__self__ if isinstance(part, MethodType) else part for part in held]


def _names(slots: Any) -> tuple[str, ...]:
    return (slots,) if isinstance(slots, str) else tuple(slots)


def span_processors(provider: Any) -> tuple[Any, ...]:
    """Return the processors of an SDK provider. `_active_span_processor._span_processors`, seen in 1.40 to 1.45."""
    return tuple(getattr(getattr(sdk_provider(provider), "_active_span_processor", None), "_span_processors", ()))


def processors_within(processor: Any, depth: int = 4) -> Iterator[Any]:
    """Yield a span processor and those that it passes on to, as a filter or a composite does."""
    yield processor
    for part in _parts(processor) if depth else ():
        for one in part if isinstance(part, list | tuple) else (part,):
            if hasattr(type(one), "on_start") and hasattr(type(one), "on_end"):
                yield from processors_within(one, depth - 1)


def remove_span_processor(provider: Any, processor: Any) -> None:
    """Remove a processor from an SDK provider; one that it does not have is no error."""
    active = getattr(sdk_provider(provider), "_active_span_processor", None)
    if active is None or not hasattr(active, "_span_processors"):
        return
    with active._lock:  # guards the same tuple in the SDK's add_span_processor
        active._span_processors = tuple(p for p in active._span_processors if p is not processor)


def set_span_processors(provider: Any, processors: tuple[Any, ...]) -> None:
    """Replace the processors of an SDK provider."""
    active = getattr(provider, "_active_span_processor", None)
    if active is None or not hasattr(active, "_span_processors"):
        return
    with active._lock:  # guards the same tuple in the SDK's add_span_processor
        active._span_processors = processors


def tracers(provider: Any) -> tuple[Any, ...] | None:
    """Return the tracers that an SDK provider has given out, `None` where it keeps none.

    `TracerProvider._tracers`, seen in 1.42 to 1.45.
    """
    known = getattr(sdk_provider(provider), "_tracers", None)
    return tuple(dict(known).values()) if isinstance(known, dict) else None


def is_shut_down_at_exit(provider: Any) -> bool:
    """Tell whether an SDK provider waits for the end of the process: it was not shut down before.

    `_atexit_handler`, seen in 1.40 to 1.45.
    """
    return getattr(provider, "_atexit_handler", None) is not None


def exporter_url(processor: Any) -> str | None:
    """Return where a processor's OTLP/HTTP exporter sends to. `OTLPSpanExporter._endpoint`, seen in 1.40 to 1.45."""
    url = getattr(getattr(processor, "span_exporter", None), "_endpoint", None)
    return url if isinstance(url, str) else None


def kept_attributes(span: Any) -> KeptAttributes | None:
    """Return the attributes of a span of another provider, which from now on remember what limits take of them.

    `None` for a span that is not the SDK's. `Span._attributes`, seen in 1.40 to 1.45.
    """
    attributes = getattr(span, "_attributes", None)
    if type(attributes) is BoundedAttributes:
        attributes.__class__ = KeptAttributes  # in place: the SDK's span and its processors hold this object
    return attributes if isinstance(attributes, KeptAttributes) else None


def shared_attributes(limits: Any, plain: dict[str, Any], *, frozen: bool) -> BoundedAttributes:
    """Return the SDK's attributes of a span around a dict that has been cleaned, which stays in use.

    `BoundedAttributes._dict` and `_immutable`, seen in 1.40 to 1.45.
    """
    made = KeptAttributes(limits.max_span_attributes, None, False, limits.max_span_attribute_length)
    made._dict = plain
    made._immutable = frozen
    return made


def event_attributes(limits: Any, attributes: dict[str, Any]) -> BoundedAttributes:
    """Return the SDK's attributes of an event around a dict that has been cleaned."""
    made = BoundedAttributes(limits.max_event_attributes, None, False, limits.max_attribute_length)
    made._dict = attributes
    made._immutable = True
    return made


def freeze(attributes: BoundedAttributes) -> None:
    """Keep attributes of the SDK from being written to any more."""
    attributes._immutable = True


def set_items(attributes: BoundedAttributes, items: Any) -> None:
    """Set several attributes of the SDK's. `BoundedAttributes._set_items`, seen in 1.42 to 1.45."""
    put = getattr(attributes, "_set_items", None)
    if put is not None:
        put(items)
        return
    for key, value in items.items():
        attributes[key] = value


def counts_spans(tracer: Any) -> bool:
    """Tell whether the SDK keeps metrics of a tracer's spans. `Tracer._tracer_metrics`, seen in 1.41 to 1.45."""
    metrics = getattr(tracer, "_tracer_metrics", None)
    return metrics is not None and not type(metrics).__name__.startswith("NoOp")


def enabled_check(tracer: Any) -> Callable[[], bool]:
    """Return what tells whether a tracer configurator left this SDK tracer on.

    `Tracer._is_enabled`, seen in 1.40 to 1.45.
    """
    return getattr(tracer, "_is_enabled", None) or (lambda: True)


def record_end_metrics(tracer: Any, parent: Any, decision: Any) -> Any:
    """Start the SDK's own metrics of a span; returns what is to be called when it ends."""
    return tracer._tracer_metrics.start_span(parent, decision)


def root_sampler(sampler: Any) -> Any:
    """Return what a `ParentBased` asks for a head. `ParentBased._root`, seen in 1.40 to 1.45."""
    return getattr(sampler, "_root", None)


def sampler_from_environment() -> Sampler:
    """Return the SDK's sampler that `OTEL_TRACES_SAMPLER` names, else its default.

    `opentelemetry.sdk.trace.sampling._get_from_env_or_default`, seen in 1.40 to 1.45.
    """
    from opentelemetry.sdk.trace import sampling

    return sampling._get_from_env_or_default()


def sampler_of_span(span: Any) -> Any:
    """Return the sampler of the provider that made an SDK span. `Span._sampler`, seen in 1.40 to 1.45."""
    return getattr(span, "_sampler", None)


def span_limits(tracer: Any) -> Any:
    """Return the limits of an SDK tracer's spans. `Tracer._span_limits`, seen in 1.40 to 1.45."""
    return tracer._span_limits


def scope_of_tracer(tracer: Any) -> Any:
    """Return a tracer's instrumentation scope. `Tracer._instrumentation_scope`, seen in 1.40 to 1.45."""
    return tracer._instrumentation_scope


def trace_id_is_random(id_generator: Any) -> bool:
    """Tell whether an id generator promises 56 random bits. `IdGenerator.is_trace_id_random`, seen in 1.41 to 1.45.

    With 1.40, which knows no such promise and no flag for it, none does.
    """
    tells = getattr(id_generator, "is_trace_id_random", None)
    return bool(tells()) if tells is not None and KNOWS_RANDOM_FLAG else False


KNOWS_RANDOM_FLAG = hasattr(_trace_api.TraceFlags, "RANDOM_TRACE_ID")
RANDOM_TRACE_FLAG: int = getattr(_trace_api.TraceFlags, "RANDOM_TRACE_ID", 0x02)
"""W3C level 2's flag for 56 random bits. `TraceFlags.RANDOM_TRACE_ID`, seen in 1.41 to 1.45."""


def composed_propagators(composite: Any) -> tuple[Any, ...]:
    """Return the members of a `CompositePropagator`. `_propagators`, seen in 1.40 to 1.45."""
    return tuple(getattr(composite, "_propagators", ()))


def set_resource(provider: Any, resource: Any) -> None:
    """Give an SDK provider another resource. `TracerProvider._resource`, seen in 1.40 to 1.45."""
    provider._resource = resource
