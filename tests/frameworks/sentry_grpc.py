"""A service with sentry-sdk alone: `serve PORT` has a method `get`, `call PORT` calls that of another one."""

from __future__ import annotations

import json
import sys
from concurrent.futures import ThreadPoolExecutor

import grpc
import sentry_sdk
from sentry_sdk.integrations.grpc import GRPCIntegration

METHOD = "/shop.Stock/get"


def serve(port: int) -> None:
    """Serve until the process is ended by the end of its input."""
    server = grpc.server(ThreadPoolExecutor(2))
    handler = grpc.unary_unary_rpc_method_handler(lambda item, context: b"{}")
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("shop.Stock", {"get": handler}),))
    server.add_insecure_port(f"127.0.0.1:{port}")
    server.start()
    print("ready", flush=True)
    sys.stdin.read()
    server.stop(None).wait()
    sentry_sdk.flush()


def call(port: int) -> None:
    """Call once for each of two decisions."""
    for sampled in (True, False):
        with (
            grpc.insecure_channel(f"127.0.0.1:{port}") as channel,
            sentry_sdk.start_transaction(name="checkout", source="route", sampled=sampled) as transaction,
        ):
            answer = json.loads(channel.unary_unary(METHOD)(b"7", timeout=20))
        print(json.dumps({"trace_id": transaction.trace_id, "headers": answer["headers"]}), flush=True)
    sentry_sdk.flush()


if __name__ == "__main__":
    sentry_sdk.init(traces_sample_rate=1.0, integrations=[GRPCIntegration()], release="shop@7")
    {"serve": serve, "call": call}[sys.argv[1]](int(sys.argv[2]))
