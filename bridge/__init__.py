"""Sentry and OpenTelemetry as one tracing world: one context, one trace, one sampling decision, in both directions.

Nothing is imported until a name is used: OpenTelemetry loads our runtime context while its own context package is
half imported, and a program that only has the distribution installed pays nothing.

pytest finds our plugin in the same distribution and would warn where this was imported first: PYTEST_DONT_REWRITE.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from bridge._internal.version import __version__ as __version__

if TYPE_CHECKING:
    from bridge._internal.api import add_breadcrumb as add_breadcrumb
    from bridge._internal.api import capture_event as capture_event
    from bridge._internal.api import capture_exception as capture_exception
    from bridge._internal.api import capture_message as capture_message
    from bridge._internal.api import close as close
    from bridge._internal.api import continue_trace as continue_trace
    from bridge._internal.api import flush as flush
    from bridge._internal.api import get_baggage as get_baggage
    from bridge._internal.api import get_client as get_client
    from bridge._internal.api import get_current_scope as get_current_scope
    from bridge._internal.api import get_current_span as get_current_span
    from bridge._internal.api import get_global_scope as get_global_scope
    from bridge._internal.api import get_isolation_scope as get_isolation_scope
    from bridge._internal.api import get_root_span as get_root_span
    from bridge._internal.api import get_traceparent as get_traceparent
    from bridge._internal.api import init as init
    from bridge._internal.api import is_initialized as is_initialized
    from bridge._internal.api import last_event_id as last_event_id
    from bridge._internal.api import otlp_endpoint as otlp_endpoint
    from bridge._internal.api import set_attribute as set_attribute
    from bridge._internal.api import set_attributes as set_attributes
    from bridge._internal.api import set_context as set_context
    from bridge._internal.api import set_extra as set_extra
    from bridge._internal.api import set_level as set_level
    from bridge._internal.api import set_tag as set_tag
    from bridge._internal.api import set_tags as set_tags
    from bridge._internal.api import set_user as set_user
    from bridge._internal.api import start_inactive_span as start_inactive_span
    from bridge._internal.api import start_span as start_span
    from bridge._internal.api import trace as trace
    from bridge._internal.api import trace_headers as trace_headers
    from bridge._internal.api import trace_meta_tags as trace_meta_tags
    from bridge._internal.api import use_span as use_span
    from bridge._internal.client import Client as Client
    from bridge._internal.context.handoff import bind as bind
    from bridge._internal.context.scope import Scope as Scope
    from bridge._internal.context.scope import isolation_scope as isolation_scope
    from bridge._internal.context.scope import new_scope as new_scope
    from bridge._internal.context.scope import new_trace as new_trace
    from bridge._internal.delivery.envelope import Envelope as Envelope
    from bridge._internal.delivery.outcomes import Accounting as Accounting
    from bridge._internal.doctor.diagnosis import check_setup as check_setup
    from bridge._internal.doctor.problem import Problem as Problem
    from bridge._internal.integrations.instrumentors import Instrumentation as Instrumentation
    from bridge._internal.tracing.span import Span as Span
    from bridge._internal.tracing.suppression import suppress_tracing as suppress_tracing

# Public name -> the module that defines it.
_EXPORTS = {
    "Accounting": "bridge._internal.delivery.outcomes",
    "Client": "bridge._internal.client",
    "Envelope": "bridge._internal.delivery.envelope",
    "Instrumentation": "bridge._internal.integrations.instrumentors",
    "Problem": "bridge._internal.doctor.problem",
    "Scope": "bridge._internal.context.scope",
    "Span": "bridge._internal.tracing.span",
    "add_breadcrumb": "bridge._internal.api",
    "bind": "bridge._internal.context.handoff",
    "capture_event": "bridge._internal.api",
    "capture_exception": "bridge._internal.api",
    "capture_message": "bridge._internal.api",
    "check_setup": "bridge._internal.doctor.diagnosis",
    "close": "bridge._internal.api",
    "continue_trace": "bridge._internal.api",
    "flush": "bridge._internal.api",
    "get_baggage": "bridge._internal.api",
    "get_client": "bridge._internal.api",
    "get_current_scope": "bridge._internal.api",
    "get_current_span": "bridge._internal.api",
    "get_global_scope": "bridge._internal.api",
    "get_isolation_scope": "bridge._internal.api",
    "get_root_span": "bridge._internal.api",
    "get_traceparent": "bridge._internal.api",
    "init": "bridge._internal.api",
    "is_initialized": "bridge._internal.api",
    "isolation_scope": "bridge._internal.context.scope",
    "last_event_id": "bridge._internal.api",
    "new_scope": "bridge._internal.context.scope",
    "new_trace": "bridge._internal.context.scope",
    "otlp_endpoint": "bridge._internal.api",
    "set_attribute": "bridge._internal.api",
    "set_attributes": "bridge._internal.api",
    "set_context": "bridge._internal.api",
    "set_extra": "bridge._internal.api",
    "set_level": "bridge._internal.api",
    "set_tag": "bridge._internal.api",
    "set_tags": "bridge._internal.api",
    "set_user": "bridge._internal.api",
    "start_inactive_span": "bridge._internal.api",
    "start_span": "bridge._internal.api",
    "suppress_tracing": "bridge._internal.tracing.suppression",
    "trace": "bridge._internal.api",
    "trace_headers": "bridge._internal.api",
    "trace_meta_tags": "bridge._internal.api",
    "use_span": "bridge._internal.api",
}

__all__ = [
    "Accounting",
    "Client",
    "Envelope",
    "Instrumentation",
    "Problem",
    "Scope",
    "Span",
    "__version__",
    "add_breadcrumb",
    "bind",
    "capture_event",
    "capture_exception",
    "capture_message",
    "check_setup",
    "close",
    "continue_trace",
    "flush",
    "get_baggage",
    "get_client",
    "get_current_scope",
    "get_current_span",
    "get_global_scope",
    "get_isolation_scope",
    "get_root_span",
    "get_traceparent",
    "init",
    "is_initialized",
    "isolation_scope",
    "last_event_id",
    "new_scope",
    "new_trace",
    "otlp_endpoint",
    "set_attribute",
    "set_attributes",
    "set_context",
    "set_extra",
    "set_level",
    "set_tag",
    "set_tags",
    "set_user",
    "start_inactive_span",
    "start_span",
    "suppress_tracing",
    "trace",
    "trace_headers",
    "trace_meta_tags",
    "use_span",
]


def __getattr__(name: str) -> Any:
    try:
        module = _EXPORTS[name]
    except KeyError:
        raise AttributeError(f"module 'bridge' has no attribute {name!r}") from None
    value = getattr(importlib.import_module(module), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return __all__
