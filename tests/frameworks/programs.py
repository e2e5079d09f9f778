"""The programs of `examples/`: how each is run, and what it needs."""

from __future__ import annotations

from dataclasses import dataclass

from tests.frameworks.harness import require

UVICORN = ("uvicorn", "--port", "{port}")
GUNICORN = ("gunicorn", "--bind", "127.0.0.1:{port}")


@dataclass(frozen=True, slots=True)
class Program:
    """A command for `python -m`, and the modules that are imported by it."""

    command: tuple[str, ...]
    modules: tuple[str, ...]

    def ready(self) -> list[str]:
        """Return the command, if everything is installed."""
        require(*self.modules)
        return list(self.command)


def _instrumented(*names: str) -> tuple[str, ...]:
    return tuple(f"opentelemetry.instrumentation.{name}" for name in names)


FASTAPI = Program(
    (*UVICORN, "examples.fastapi_app:app"), ("fastapi", "uvicorn", "websockets", *_instrumented("fastapi", "httpx"))
)
FLASK = Program(
    (*GUNICORN, "--workers", "2", "--threads", "40", "examples.flask_app:app"),
    ("flask", "gunicorn", "requests", *_instrumented("flask", "requests")),
)
_DJANGO = _instrumented("django", "urllib")
DJANGO_WSGI = Program(
    (*GUNICORN, "--workers", "2", "--threads", "40", "examples.django_app:wsgi"), ("django", "gunicorn", *_DJANGO)
)
DJANGO_ASGI = Program((*UVICORN, "examples.django_app:asgi"), ("django", "uvicorn", *_instrumented("asgi"), *_DJANGO))
AIOHTTP = Program(("examples.aiohttp_app", "{port}"), ("aiohttp", *_instrumented("aiohttp_server", "aiohttp_client")))
ALL = {
    "fastapi": FASTAPI,
    "flask": FLASK,
    "django-wsgi": DJANGO_WSGI,
    "django-asgi": DJANGO_ASGI,
    "aiohttp": AIOHTTP,
}
