"""What this library is called towards Sentry, and its version."""

__version__ = "0.1.0"

SDK_NAME = "sentry-otel-bridge"
SDK = {"name": SDK_NAME, "version": __version__}
"""The header `sdk` of envelopes; events name the packages as well."""
EVENT_SDK = {**SDK, "packages": [{"name": f"pypi:{SDK_NAME}", "version": __version__}]}
USER_AGENT = f"{SDK_NAME}/{__version__}"
