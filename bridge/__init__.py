"""Sentry and OpenTelemetry as one tracing world: one context, one trace, one sampling decision, in both directions.

Nothing is imported until a name is used: OpenTelemetry loads our runtime context while its own context package is
half imported, and a program that only has the distribution installed pays nothing.

pytest finds our plugin in the same distribution and would warn where this was imported first: PYTEST_DONT_REWRITE.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from bridge._version import __version__ as __version__

if TYPE_CHECKING:
    from bridge.api import add_breadcrumb as add_breadcrumb
    from bridge.api import capture_event as capture_event
    from bridge.api import capture_exception as capture_exception
    from bridge.api import capture_message as capture_message
    from bridge.api import close as close
    from bridge.api import continue_trace as continue_trace
    from bridge.api import flush as flush
    from bridge.api import get_baggage as get_baggage
    from bridge.api import get_client as get_client
    from bridge.api import get_current_scope as get_current_scope
    from bridge.api import get_current_span as get_current_span
    from bridge.api import get_global_scope as get_global_scope
    from bridge.api import get_isolation_scope as get_isolation_scope
    from bridge.api import get_root_span as get_root_span
    from bridge.api import get_traceparent as get_traceparent
    from bridge.api import init as init
    from bridge.api import is_initialized as is_initialized
    from bridge.api import last_event_id as last_event_id
    from bridge.api import otlp_endpoint as otlp_endpoint
    from bridge.api import set_attribute as set_attribute
    from bridge.api import set_attributes as set_attributes
    from bridge.api import set_context as set_context
    from bridge.api import set_extra as set_extra
    from bridge.api import set_level as set_level
    from bridge.api import set_tag as set_tag
    from bridge.api import set_tags as set_tags
    from bridge.api import set_user as set_user
    from bridge.api import start_inactive_span as start_inactive_span
    from bridge.api import start_span as start_span
    from bridge.api import trace as trace
    from bridge.api import trace_headers as trace_headers
    from bridge.api import trace_meta_tags as trace_meta_tags
    from bridge.api import use_span as use_span
    from bridge.client import Client as Client
    from bridge.context.handoff import bind as bind
    from bridge.context.scope import Scope as Scope
    from bridge.context.scope import new_isolation_scope as isolation_scope
    from bridge.context.scope import new_scope as new_scope
    from bridge.context.scope import new_trace as new_trace
    from bridge.delivery.envelope import Envelope as Envelope
    from bridge.delivery.outcomes import Accounting as Accounting
    from bridge.doctor.diagnosis import check_setup as check_setup
    from bridge.doctor.problem import Problem as Problem
    from bridge.integrations.instrumentors import Instrumentation as Instrumentation
    from bridge.tracing.span import Span as Span
    from bridge.tracing.suppression import suppress_tracing as suppress_tracing

# Public name -> where it is defined ("module" or "module:name where it differs").
_EXPORTS = {
    "Accounting": "bridge.delivery.outcomes",
    "Client": "bridge.client",
    "Envelope": "bridge.delivery.envelope",
    "Instrumentation": "bridge.integrations.instrumentors",
    "Problem": "bridge.doctor.problem",
    "Scope": "bridge.context.scope",
    "Span": "bridge.tracing.span",
    "add_breadcrumb": "bridge.api",
    "bind": "bridge.context.handoff",
    "capture_event": "bridge.api",
    "capture_exception": "bridge.api",
    "capture_message": "bridge.api",
    "check_setup": "bridge.doctor.diagnosis",
    "close": "bridge.api",
    "continue_trace": "bridge.api",
    "flush": "bridge.api",
    "get_baggage": "bridge.api",
    "get_client": "bridge.api",
    "get_current_scope": "bridge.api",
    "get_current_span": "bridge.api",
    "get_global_scope": "bridge.api",
    "get_isolation_scope": "bridge.api",
    "get_root_span": "bridge.api",
    "get_traceparent": "bridge.api",
    "init": "bridge.api",
    "is_initialized": "bridge.api",
    "isolation_scope": "bridge.context.scope:new_isolation_scope",
    "last_event_id": "bridge.api",
    "new_scope": "bridge.context.scope",
    "new_trace": "bridge.context.scope",
    "otlp_endpoint": "bridge.api",
    "set_attribute": "bridge.api",
    "set_attributes": "bridge.api",
    "set_context": "bridge.api",
    "set_extra": "bridge.api",
    "set_level": "bridge.api",
    "set_tag": "bridge.api",
    "set_tags": "bridge.api",
    "set_user": "bridge.api",
    "start_inactive_span": "bridge.api",
    "start_span": "bridge.api",
    "suppress_tracing": "bridge.tracing.suppression",
    "trace": "bridge.api",
    "trace_headers": "bridge.api",
    "trace_meta_tags": "bridge.api",
    "use_span": "bridge.api",
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
        where = _EXPORTS[name]
    except KeyError:
        raise AttributeError(f"module 'bridge' has no attribute {name!r}") from None
    module, _, attribute = where.partition(":")
    value = getattr(importlib.import_module(module), attribute or name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return __all__
