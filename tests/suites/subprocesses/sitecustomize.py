"""Python runs this at its start: a process that the suite starts has the chosen provider too."""

from provider_plugin import replace_provider  # type: ignore[import-not-found]  # found by PYTHONPATH

replace_provider()
