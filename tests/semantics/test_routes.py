"""Routes of web frameworks."""

from __future__ import annotations

import pytest

from bridge._internal.semantics.routes import of_method, readable_route


@pytest.mark.parametrize(
    ("route", "readable"),
    [
        ("api/orders/<int:pk>/price/", "/api/orders/{pk}/price/"),
        ("orders/<pk>/", "/orders/{pk}/"),
        ("<slug:name>", "/{name}"),
        ("api/^orders/(?P<pk>[^/.]+)/price/$", "/api/orders/{pk}/price/"),
        (r"^articles/(?P<year>[0-9]{4})/(?P<month>[0-9]{2})/$", "/articles/{year}/{month}/"),
        (r"^/?users/(?P<pk>\d+)/\Z", "/users/{pk}/"),
        (r"^orders\.(?P<format>[a-z0-9]+)/?$", "/orders.{format}/"),
        (r"^blog/(\d+)/(?:page-(?P<page>\d+)/)?$", "/blog/{var}/page-{page}/"),
        (r"^files/(?P<path>(a|b)[)(]+)/$", "/files/{path}/"),
        ("", "/"),
        ("/users/{id}", "/users/{id}"),
        ("/users/<int:id>", "/users/<int:id>"),  # Flask's, which sentry-sdk sends as it is
        ("/items/{id:int}", "/items/{id:int}"),
        ("/static/*", "/static/*"),
        ("*", "*"),
    ],
)
def test_routes_of_django_are_made_readable(route: str, readable: str) -> None:
    """Regular expressions and converters become `{name}`; routes of other frameworks stay as they are."""
    assert readable_route(route) == readable


def test_the_method_stands_once() -> None:
    """Whether or not the route names it."""
    assert of_method("GET", "GET api/<int:pk>") == of_method("GET", "api/<int:pk>") == "GET /api/{pk}"
