"""Options: what is wrong is said when init is called, and what to do."""

from __future__ import annotations

import re
from typing import Any, ForwardRef

import pytest

import bridge
from bridge._internal.init_options import InitOptions
from bridge._internal.options import ROWS, Options, resolve


@pytest.mark.parametrize(
    ("options", "error", "says"),
    [
        ({"dsn": "nonsense"}, ValueError, "option 'dsn'.*cannot be used.*A DSN is http"),
        ({"dsn": "https://example.com/1"}, ValueError, "option 'dsn'.*public key"),
        ({"dsn": "https://key@example.com/"}, ValueError, "option 'dsn'.*project id"),
        ({"dsn": "https://key@example.com:port/1"}, ValueError, "option 'dsn'"),
        ({"traces_sample_rate": 2.0}, ValueError, "'traces_sample_rate' got 2.0; it takes a number from 0.0 to 1.0"),
        ({"traces_sample_rate": float("nan")}, ValueError, "'traces_sample_rate' got nan"),
        ({"traces_sample_rate": "much"}, ValueError, "'traces_sample_rate' got 'much'"),
        ({"traces_sampler": 1}, ValueError, "'traces_sampler' got 1; it takes a callable"),
        ({"sample_rate": -0.1}, ValueError, "'sample_rate' got -0.1"),
        ({"max_spans": -1}, ValueError, "'max_spans' got -1; it takes a whole number"),
        ({"shutdown_timeout": "soon"}, ValueError, "'shutdown_timeout' got 'soon'; it takes a number of seconds"),
        ({"trace_lifecycle": "live"}, ValueError, "'trace_lifecycle' got 'live'; it takes one of"),
        (
            {"trace_lifecycle": "streamed"},
            ValueError,
            "'trace_lifecycle' got 'streamed'; it takes one of static, stream",
        ),
        ({"console": "maybe"}, ValueError, "'console' got 'maybe'; it takes True or False"),
        ({"ignore_spans": [5]}, ValueError, "'ignore_spans' got 5; it takes strings, compiled patterns"),
        ({"ignore_spans": [{"kind": "x"}]}, ValueError, "'ignore_spans' got .*kind"),
        ({"trace_propagation_targets": "example.com"}, ValueError, "takes a list or a tuple"),
        ({"trace_propagation_targets": [1]}, ValueError, "takes strings and compiled patterns"),
        ({"transport": object()}, ValueError, "'transport' got .*send\\(\\), flush\\(\\), close\\(\\)"),
        ({"span_processors": [object()]}, ValueError, "'span_processors' got .*on_start"),
        ({"instrumentations": "all"}, ValueError, "'instrumentations' got 'all'; it takes 'auto', or a list"),
        ({"instrumentations": ["httpx"]}, ValueError, "'instrumentations' got 'httpx'; .*instrument\\(\\)"),
        ({"tracer_provider": object()}, ValueError, "'tracer_provider' got .*get_tracer"),
        ({"spotlight": 5}, ValueError, "'spotlight' got 5; it takes True, False or a URL"),
        ({"spotlight": "ftp://x"}, ValueError, "'spotlight' got 'ftp://x'; it takes True, False or a URL"),
        ({"trace_sample_rate": 1.0}, TypeError, "no option 'trace_sample_rate'; did you mean 'traces_sample_rate'\\?"),
        ({"qqq": 1}, TypeError, "no option 'qqq'; there are: dsn, "),
    ],
)
def test_a_wrong_option_is_an_error_that_helps(options: dict[str, Any], error: type[Exception], says: str) -> None:
    """init raises at once, says which option, what it got and what it takes, and changes nothing."""
    with pytest.raises(error, match=says):
        bridge.init(**options)
    assert not bridge.is_initialized()


def test_a_secret_key_is_never_shown() -> None:
    """A broken DSN with a secret in it does not end up in a log."""
    with pytest.raises(ValueError, match="project id") as caught:
        bridge.init("https://public:hunter2@example.com/")
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize(
    ("arguments", "environ", "name", "value"),
    [
        ({"release": "argument"}, {"SENTRY_RELEASE": "variable"}, "release", "argument"),
        ({}, {"SENTRY_RELEASE": "variable"}, "release", "variable"),
        ({"release": ""}, {"SENTRY_RELEASE": "variable"}, "release", "variable"),
        ({}, {"OTEL_RESOURCE_ATTRIBUTES": "service.version=1.2,a=b"}, "release", "1.2"),
        ({}, {"SENTRY_RELEASE": "", "OTEL_RESOURCE_ATTRIBUTES": "service.version=1.2"}, "release", "1.2"),
        ({}, {"OTEL_RESOURCE_ATTRIBUTES": "deployment.environment.name=qa"}, "environment", "qa"),
        ({}, {}, "environment", "production"),
        ({}, {"SENTRY_TRACES_SAMPLE_RATE": "0.25"}, "traces_sample_rate", 0.25),
        ({}, {"SENTRY_TRACES_SAMPLE_RATE": ""}, "traces_sample_rate", None),
        ({}, {"SENTRY_DEBUG": "true"}, "debug", True),
        ({}, {"SENTRY_SPOTLIGHT": "1"}, "spotlight", "http://localhost:8969/stream"),
        ({}, {"SENTRY_SPOTLIGHT": "http://localhost:1/stream"}, "spotlight", "http://localhost:1/stream"),
        ({"spotlight": False}, {"SENTRY_SPOTLIGHT": "1"}, "spotlight", None),
        ({"org_id": 17}, {}, "org_id", "17"),
        ({"traces_sample_rate": True}, {}, "traces_sample_rate", 1.0),
    ],
)
def test_where_a_value_comes_from(arguments: dict[str, Any], environ: dict[str, str], name: str, value: object) -> None:
    """Argument, then SENTRY_*, then OTEL_*, then the default; an empty string is unset."""
    assert getattr(resolve(arguments, environ), name) == value


def test_every_option_is_checked_and_typed() -> None:
    """The table, the dataclass and what type checkers see of `init` have the same options."""
    assert set(ROWS) == set(Options.__dataclass_fields__) - {"sources"} == set(InitOptions.__annotations__) | {"dsn"}


def test_type_checkers_see_the_types_of_the_table() -> None:
    """Flags, numbers and lifecycles have one type in both; what is unset by default takes `None` in both."""
    plain = {"bool", "int", "float", 'Literal["static", "stream", "none"]'}
    for name, shown in InitOptions.__annotations__.items():
        option = Options.__dataclass_fields__[name]
        text = shown.__forward_arg__ if isinstance(shown, ForwardRef) else shown
        assert (text in plain) == (option.type in plain), name
        if option.type in plain:
            assert text == option.type, name
        elif option.default is None and text != "Any":
            assert "None" in text, name
            assert "None" in str(option.type), name


def test_a_bad_variable_is_named() -> None:
    """The message says which variable held the bad value."""
    with pytest.raises(ValueError, match=re.escape("traces_sample_rate (SENTRY_TRACES_SAMPLE_RATE)")):
        resolve({}, {"SENTRY_TRACES_SAMPLE_RATE": "2"})


def test_the_organisation_comes_from_the_dsn_unless_given() -> None:
    """`org_id` wins over the DSN's host."""
    assert resolve({"dsn": "https://k@o12.ingest.example.com/1"}, {}).effective_org_id == "12"
    assert resolve({"dsn": "https://k@o12.ingest.example.com/1", "org_id": "9"}, {}).effective_org_id == "9"
    assert Options().effective_org_id is None
