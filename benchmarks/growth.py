"""Claim: requests with scopes, breadcrumbs and errors leave memory where it was.

`python benchmarks/growth.py [REQUESTS]` prints resident memory and the number of live objects as it goes.
"""

from __future__ import annotations

import gc
import sys
from pathlib import Path

from opentelemetry import propagate, trace
from opentelemetry.trace import SpanKind

import bridge

tracer = trace.get_tracer("native")
HEADERS = {"sentry-trace": "771a43a4192642f0b136d5159a501700-1234567890abcdef-1"}


def resident_mib() -> float:
    """Return the resident memory of this process."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * 4096 / 2**20


def request(number: int) -> None:
    """One request: extracted, both APIs, scopes, a breadcrumb, an error."""
    context = propagate.extract(HEADERS)
    with tracer.start_as_current_span("request", context=context, kind=SpanKind.SERVER):
        bridge.set_tag("request", number)
        bridge.add_breadcrumb(message=f"request {number}")
        with bridge.start_span("work"), bridge.new_scope() as scope:
            scope.set_tag("work", number)
            try:
                raise ValueError(number)
            except ValueError as error:
                bridge.capture_exception(error)


def main(requests: int) -> None:
    """Print memory after each tenth of the requests."""
    bridge.init("http://key@127.0.0.1:9/1", traces_sample_rate=1.0, transport=lambda envelope: None)
    step = requests // 10
    for done in range(0, requests + 1, step):
        bridge.flush(60)
        gc.collect()
        print(f"{done:8} requests  {resident_mib():7.1f} MiB  {len(gc.get_objects()):8} objects")
        for number in range(done, done + step if done < requests else done):
            request(number)
            if number % 500 == 0:
                bridge.flush(60)
    bridge.close()


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 100_000)
