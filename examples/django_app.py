"""A shop with Django in one file, with `SENTRY_DSN` in the environment.

`gunicorn --workers 4 examples.django_app:wsgi`, or `uvicorn examples.django_app:asgi`.
"""

from __future__ import annotations

import json
import os
import urllib.request
from collections.abc import Awaitable, Callable, Iterator
from typing import Any

from django.conf import settings
from django.core.asgi import get_asgi_application
from django.core.signals import got_request_exception
from django.core.wsgi import get_wsgi_application
from django.dispatch import receiver
from django.http import Http404, HttpRequest, HttpResponse, JsonResponse, StreamingHttpResponse
from django.urls import path
from opentelemetry import trace
from opentelemetry.instrumentation.django import DjangoInstrumentor
from opentelemetry.instrumentation.urllib import URLLibInstrumentor

import bridge

STOCK_URL = os.environ.get("STOCK_URL", "http://127.0.0.1:8000/stock")
tracer = trace.get_tracer("shop")
Receive = Callable[[], Awaitable[dict[str, Any]]]
Send = Callable[[dict[str, Any]], Awaitable[None]]

# What stands in settings.py.
settings.configure(ALLOWED_HOSTS=["127.0.0.1"], ROOT_URLCONF=__name__, MIDDLEWARE=[f"{__name__}.remember_user"])

# What stands in wsgi.py and asgi.py: after the settings, because OpenTelemetry's middleware is put into MIDDLEWARE, and
# before the application is made, because that is when MIDDLEWARE is read.
bridge.init(
    traces_sample_rate=1.0,
    instrumentations=[DjangoInstrumentor(), URLLibInstrumentor()],
)


@receiver(got_request_exception)
def capture(**_: Any) -> None:
    """Send what no view handled; `capture_span_exceptions` would send each `Http404` too."""
    bridge.capture_exception()


def remember_user(get_response: Callable[[HttpRequest], HttpResponse]) -> Callable[[HttpRequest], HttpResponse]:
    """Say whose request it is: on everything that this request sends, and on nothing else."""

    def middleware(request: HttpRequest) -> HttpResponse:
        bridge.set_user({"id": request.headers.get("X-User", "nobody")})
        return get_response(request)

    return middleware


def health(request: HttpRequest) -> HttpResponse:
    """Answer; with `OTEL_PYTHON_EXCLUDED_URLS=health` without a span."""
    return HttpResponse("well")


def show_order(request: HttpRequest, order: int) -> HttpResponse:
    """Answer with spans of both APIs."""
    if order == 0:
        raise Http404
    bridge.set_tag("order", order)
    with tracer.start_as_current_span("load order"), bridge.start_span("add prices", op="function"):
        return JsonResponse({"order": order, "total": 42})


def checkout(request: HttpRequest, order: int) -> HttpResponse:
    """Ask the next service."""
    with urllib.request.urlopen(f"{STOCK_URL}/{order}", timeout=10) as answer:
        return JsonResponse({"order": order, "pieces": json.load(answer)["pieces"]})


async def stock(request: HttpRequest, order: int) -> HttpResponse:
    """Answer the service before; a coroutine works under WSGI as well as under ASGI."""
    with bridge.start_span("SELECT pieces FROM stock", op="db"):
        return JsonResponse({"pieces": 7})


def fail(request: HttpRequest, order: int) -> HttpResponse:
    """Fail: Django's signal sends the exception."""
    bridge.set_tag("order", order)
    raise ValueError(f"order {order} cannot be paid")


def report(request: HttpRequest) -> StreamingHttpResponse:
    """Answer in parts: the request's span ends before the first, so theirs starts here and is sent by itself."""
    writing = bridge.start_inactive_span("write report")

    def rows() -> Iterator[str]:
        with writing:
            for row in range(3):
                yield f"{row}\n"

    return StreamingHttpResponse(rows(), content_type="text/plain")


urlpatterns = [
    path("health", health),
    path("orders/<int:order>", show_order),
    path("checkout/<int:order>", checkout),
    path("stock/<int:order>", stock),
    path("fail/<int:order>", fail),
    path("report", report),
]

wsgi = get_wsgi_application()
django_asgi = get_asgi_application()


async def asgi(scope: dict[str, Any], receive: Receive, send: Send) -> None:
    """Be Django, and send what is left at the end: uvicorn dies of the signal that stopped it, without handlers."""
    if scope["type"] != "lifespan":
        await django_asgi(scope, receive, send)
        return
    await receive()
    await send({"type": "lifespan.startup.complete"})
    await receive()
    bridge.close()
    await send({"type": "lifespan.shutdown.complete"})
