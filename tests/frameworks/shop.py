"""What every shop of `examples/` must do, whatever framework it is made with: the test file of each inherits these."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from tests.frameworks.harness import Service, Upstream

MANY = 60


def root(transaction: dict[str, Any]) -> dict[str, Any]:
    """Return what is said of a transaction's root."""
    return dict(transaction["contexts"]["trace"])


def only_child(transaction: dict[str, Any]) -> dict[str, Any]:
    """Return the one span below a root."""
    [span] = transaction["spans"]
    return dict(span)


class Shop:
    """Requests to one server; `route` is how its framework writes a page's path with an order's number."""

    route = "/{}/{{order}}"

    def name(self, page: str) -> str:
        """Return the name of a request for a page of an order."""
        return f"GET {self.route.format(page)}"

    @pytest.mark.parametrize("headers", ["sentry", "w3c"])
    def test_a_trace_is_continued(self, shop: Service, headers: str) -> None:
        """A caller's trace goes on here, whichever headers it sends; spans of both APIs are one tree."""
        upstream = Upstream.new()
        assert shop.get("/orders/7", getattr(upstream, headers)).json() == {"order": 7, "total": 42}
        shop.expect_tree(upstream.trace_id, [self.name("orders"), ["load order", ["add prices"]]])
        transaction = shop.transaction(upstream.trace_id)
        assert root(transaction)["parent_span_id"] == upstream.span_id
        assert root(transaction)["op"] == "http.server"
        assert root(transaction)["status"] == "ok"
        assert transaction["transaction_info"] == {"source": "route"}
        data = root(transaction)["data"]
        assert (data.get("http.response.status_code") or data["http.status_code"]) == 200
        assert transaction["tags"] == {"order": "7"}

    def test_the_callers_dsc_is_passed_on_as_it_came(self, shop: Service) -> None:
        """The caller decided, so its release and its rate are what Sentry is told."""
        upstream = Upstream.new()
        shop.get("/orders/7", upstream.sentry)
        assert shop.dsc(upstream.trace_id) == {
            "trace_id": upstream.trace_id,
            "public_key": "upstream",
            "sampled": "true",
            "sample_rate": "0.5",
            "release": "shop@7",
        }

    @pytest.mark.parametrize("headers", ["sentry", "w3c"])
    def test_a_callers_decision_against_a_trace_holds(self, shop: Service, headers: str) -> None:
        """Nothing is sent of a trace that the caller does not sample, although the rate here is 1."""
        unsampled, sampled = Upstream.new(sampled=False), Upstream.new()
        shop.get("/orders/7", getattr(unsampled, headers))
        shop.get("/orders/7", sampled.sentry)
        shop.transaction(sampled.trace_id)
        assert shop.payloads("transaction", unsampled.trace_id) == []

    def test_the_next_service_goes_on_with_the_trace(self, shop: Service) -> None:
        """A request to another service carries the headers, and what happens there hangs below it."""
        upstream = Upstream.new()
        assert shop.get("/checkout/7", upstream.sentry).json() == {"order": 7, "pieces": 7}
        shop_side, stock_side = shop.transactions(upstream.trace_id, 2)
        request = only_child(shop_side)
        assert (request["op"], request["description"]) == ("http.client", f"GET {shop.url}/stock/7")
        assert root(stock_side)["parent_span_id"] == request["span_id"]
        assert (stock_side["transaction"], only_child(stock_side)["op"]) == (self.name("stock"), "db")

    def test_a_page_that_does_not_exist(self, shop: Service) -> None:
        """Where no route is found the request is named by its path, and its status is `not_found`; no error."""
        upstream = Upstream.new()
        assert shop.get("/nowhere", upstream.sentry).status_code == 404
        transaction = shop.transaction(upstream.trace_id)
        assert (transaction["transaction"], transaction["transaction_info"]) == ("GET /nowhere", {"source": "url"})
        assert root(transaction)["status"] == "not_found"

    def test_an_order_that_does_not_exist(self, shop: Service) -> None:
        """A handler's own 404 is named by its route, and is no error either."""
        upstream, after = Upstream.new(), Upstream.new()
        assert shop.get("/orders/0", upstream.sentry).status_code == 404
        transaction = shop.transaction(upstream.trace_id)
        assert (transaction["transaction"], root(transaction)["status"]) == (self.name("orders"), "not_found")
        shop.get("/fail/7", after.sentry)
        shop.events(after.trace_id)
        assert shop.payloads("event", upstream.trace_id) == []

    def test_an_exception_that_nobody_handles(self, shop: Service) -> None:
        """It is one error, linked to the request's span, with the request's user and tags; the request is an error."""
        upstream, after = Upstream.new(), Upstream.new()
        assert shop.get("/fail/7", {**upstream.sentry, "X-User": "ada"}).status_code == 500
        transaction = shop.transaction(upstream.trace_id)
        assert (transaction["transaction"], root(transaction)["status"]) == (self.name("fail"), "internal_error")
        [event] = shop.events(upstream.trace_id)
        assert event["contexts"]["trace"]["span_id"] == root(transaction)["span_id"]
        assert (event["user"], event["tags"]) == ({"id": "ada"}, {"order": "7"})
        assert [value["value"] for value in event["exception"]["values"]] == ["order 7 cannot be paid"]
        assert event["exception"]["values"][-1]["stacktrace"]["frames"][-1]["function"] == "fail"
        shop.get("/fail/8", after.sentry)
        shop.events(after.trace_id)
        assert len(shop.payloads("event", upstream.trace_id)) == 1

    def test_many_at_once_share_nothing(self, shop: Service) -> None:
        """Each request's transaction and error have that request's user and tag, and its trace; none is missing."""
        upstreams = {str(order): Upstream.new() for order in range(1, MANY + 1)}
        with ThreadPoolExecutor(16) as pool:

            def visit(order: str) -> None:
                page = ("orders", "checkout", "fail")[int(order) % 3]
                shop.get(f"/{page}/{order}", {**upstreams[order].sentry, "X-User": f"user-{order}"})

            list(pool.map(visit, upstreams))
        for order, upstream in upstreams.items():
            page = ("orders", "checkout", "fail")[int(order) % 3]
            first, *others = shop.transactions(upstream.trace_id, 2 if page == "checkout" else 1)
            assert (first["transaction"], first["user"]) == (self.name(page), {"id": f"user-{order}"})
            assert first.get("tags") == (None if page == "checkout" else {"order": order})
            assert root(first)["parent_span_id"] == upstream.span_id
            assert len(others) == (1 if page == "checkout" else 0)
            if page == "fail":
                [event] = shop.events(upstream.trace_id)
                assert (event["user"], event["tags"]) == ({"id": f"user-{order}"}, {"order": order})
                assert event["contexts"]["trace"]["span_id"] == root(first)["span_id"]

    def test_an_answer_in_parts(self, shop: Service) -> None:
        """What is done while an answer goes out is part of the request's trace."""
        upstream = Upstream.new()
        assert shop.get("/report", upstream.sentry).text == "0\n1\n2\n"
        request = f"GET {self.route.partition('{')[0]}report"
        rows = [["row 0", "row 1", "row 2"]]
        shop.expect_tree(upstream.trace_id, [request, ["write report"]], [request, ["write report", *rows]])

    def test_what_is_excluded_has_no_span(self, shop: Service) -> None:
        """`OTEL_PYTHON_EXCLUDED_URLS` keeps health checks out, and their trace too."""
        health, order = Upstream.new(), Upstream.new()
        assert shop.get("/health", health.sentry).status_code == 200
        shop.get("/orders/7", order.sentry)
        shop.transaction(order.trace_id)
        assert shop.payloads("transaction", health.trace_id) == []

    def test_nothing_is_lost(self, shop: Service) -> None:
        """No process says that it lost anything but what was decided against."""
        assert {loss["reason"] for loss in shop.losses()} <= {"sample_rate"}
