"""How the bridge and sentry-sdk live together in this process. Nothing of sentry-sdk is imported here."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bridge._internal import sentry_sdk
from bridge._internal.console.problem import ERROR, INFO, WARNING
from bridge._internal.doctor.checks.check import Symptom, check, installed_version

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bridge._internal.doctor.live import LiveSetup


@check("sentry-sdk-world", INFO, fix="Nothing: bridge.init(sentry_sdk=False) leaves sentry-sdk alone.")
def sentry_sdk_world(live: LiveSetup) -> Iterator[Symptom]:
    """sentry-sdk and the bridge are one world: sentry-sdk's options decide, and its client sends."""
    if sentry_sdk.report().mode == "world":
        version = installed_version("sentry-sdk")
        yield Symptom(
            f"sentry-sdk {version} and the bridge are one world.",
            "sentry-sdk's options are in force, and its client sends spans of both.",
        )


@check("sentry-sdk-linked", INFO, fix="Give sentry_sdk.init() a traces_sample_rate if its integrations are to trace.")
def sentry_sdk_linked(live: LiveSetup) -> Iterator[Symptom]:
    """sentry-sdk has no rate: its integrations make no spans, its errors belong to the bridge's traces."""
    if sentry_sdk.report().mode == "linked":
        yield Symptom(
            "sentry-sdk has neither traces_sample_rate nor traces_sampler.",
            "Its integrations make no spans; its errors are linked to OpenTelemetry's, and its client sends both.",
        )


@check("sentry-sdk-conflict", WARNING, fix="Give the option to sentry_sdk.init() alone.")
def sentry_sdk_conflict(live: LiveSetup) -> Iterator[Symptom]:
    """An option was given to both, with two values."""
    for name in sentry_sdk.report().conflicts:
        yield Symptom(
            f"{name} was given to bridge.init() and to sentry_sdk.init(), with two values.",
            "sentry-sdk's value is in force.",
        )


@check("seam-lost", ERROR, fix="Take the other code out, or call bridge.init() after it.")
def seam_lost(live: LiveSetup) -> Iterator[Symptom]:
    """Other code has put back, or around, what the bridge takes of sentry-sdk."""
    for name in sentry_sdk.report().lost_seams:
        yield Symptom(f"{name} is no longer the bridge's.", "Spans and scopes of the two SDKs do not meet there.")


@check("external-context", WARNING, fix="Take the call of register_external_propagation_context() out.")
def external_context(live: LiveSetup) -> Iterator[Symptom]:
    """Other code tells sentry-sdk of the trace (`register_external_propagation_context`), where the bridge would."""
    if sentry_sdk.report().links_are_refused:
        yield Symptom(
            "register_external_propagation_context() was called by other code.",
            "sentry-sdk's errors are linked by that, not by the bridge.",
        )
