"""Spotlight: Sentry's local user interface, from npm."""

from __future__ import annotations

import json
import os
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from selenium.common.exceptions import TimeoutException
from selenium.webdriver import Remote
from selenium.webdriver.common.by import By
from selenium.webdriver.remote.webelement import WebElement
from selenium.webdriver.support.wait import WebDriverWait

from tests.interop.neighbours import free_port, npm_install, running

# A newer hono makes every request of this Spotlight a 500.
PACKAGE = json.dumps(
    {"dependencies": {"@spotlightjs/spotlight": "4.11.8"}, "overrides": {"hono": "4.12.25"}, "private": True}
)
# It listens on every interface: this makes it loopback.
LOOPBACK_ONLY = """
const net = require("node:net");
const listen = net.Server.prototype.listen;
net.Server.prototype.listen = function (...args) {
  if (args[0] !== null && typeof args[0] === "object" && args[0].port !== undefined) args[0].host = "127.0.0.1";
  else if (typeof args[0] === "number") args = [args[0], "127.0.0.1", ...args.filter((a) => typeof a === "function")];
  return listen.apply(this, args);
};
"""
# A trace's rows are links in nested lists. A service's part of a trace is folded: its number unfolds it.
UNFOLD = """
for (const number of document.querySelectorAll("ul.tree > li:not(:has(> ul)) > a > div:first-child > div:first-child"))
  if (/^[0-9]+$/.test(number.textContent)) number.click();
"""
ROWS = """
return [...document.querySelectorAll("ul.tree > li > a")].map((row) => {
  let depth = -1;
  for (let list = row.closest("ul.tree"); list !== null; list = list.parentElement.closest("ul.tree")) depth += 1;
  const name = row.querySelector("span[title]").title;
  return {depth, name, link: row.href, top: row.getBoundingClientRect().top};
});
"""


@dataclass(frozen=True, slots=True)
class Row:
    """A span in a waterfall: how far it is indented, and where its name leads."""

    depth: int
    name: str
    link: str


@dataclass(frozen=True, slots=True)
class TracePage:
    """A trace in Spotlight's web page."""

    browser: Remote
    url: str

    @property
    def text(self) -> str:
        """All that can be read on it."""
        return self.browser.find_element(By.TAG_NAME, "body").text

    def waterfall(self, until: set[str], wait_s: float = 20) -> list[Row]:
        """Return its rows from top to bottom, all unfolded, read until these names were among them."""
        rows: list[dict[str, Any]] = []

        def complete(browser: Remote) -> bool:
            browser.execute_script(UNFOLD)
            rows[:] = browser.execute_script(ROWS)
            return until <= {row["name"] for row in rows}

        with suppress(TimeoutException):
            WebDriverWait(self.browser, wait_s, poll_frequency=0.05).until(complete)
        return [Row(row["depth"], row["name"], row["link"]) for row in sorted(rows, key=lambda row: row["top"])]

    def open_error(self, title: str) -> str:
        """Open the error of this title from the trace's list of errors; returns the link to the span that it shows."""
        self._find(f"//a[@href='{self._path}/errors']").click()
        self._find(f"//a[starts-with(@href, '/telemetry/errors/')][.//*[text()='{title}']]").click()
        return str(self._find(f"//a[starts-with(@href, '{self._path}/spans/')]").get_property("href"))

    @property
    def _path(self) -> str:
        return "/" + self.url.split("/", 3)[3]

    def _find(self, xpath: str, wait_s: float = 20) -> WebElement:
        wait = WebDriverWait(self.browser, wait_s, poll_frequency=0.05)
        return wait.until(lambda browser: browser.find_element(By.XPATH, xpath), f"{xpath} is not in {self.url}")


@dataclass(frozen=True, slots=True)
class Spotlight:
    """A running Spotlight: its address, and what it shows."""

    folder: Path
    port: int

    @property
    def url(self) -> str:
        """Where it is."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def dsn(self) -> str:
        """The DSN that sends to it as to Sentry."""
        return f"http://spotlight@127.0.0.1:{self.port}/1"

    def open_trace(self, browser: Remote, trace_id: str) -> TracePage:
        """Show a trace in a browser."""
        page = TracePage(browser, f"{self.url}/telemetry/traces/{trace_id}")
        # Without the port, the page asks the Spotlight of port 8969, whatever port it came from.
        browser.get(f"{page.url}?sentrySpotlightPort={self.port}")
        return page

    def tail_traces(self, form: str, until: set[str], wait_s: float = 20) -> str:
        """Return what `spotlight tail traces` shows (`md`, `json`), read until all these texts were in it."""
        command = _command(self.folder, "tail", "traces", "-f", form, "-p", str(self.port))
        with (self.folder / "tail.log").open("w+b") as output:
            tail = subprocess.Popen(
                command, cwd=self.folder, env=_environment(self.folder), stdout=output, stderr=subprocess.STDOUT
            )
            try:
                deadline = time.monotonic() + wait_s
                while time.monotonic() < deadline:
                    text = (self.folder / "tail.log").read_text(errors="replace")
                    if all(wanted in text for wanted in until):
                        return text
                    time.sleep(0.05)
                return (self.folder / "tail.log").read_text(errors="replace")
            finally:
                tail.kill()
                tail.wait()


def _command(folder: Path, *arguments: str) -> list[str]:
    return ["node", str(folder / "node_modules/@spotlightjs/spotlight/dist/run.js"), *arguments]


def _environment(folder: Path) -> dict[str, Any]:
    preload = folder / "loopback-only.cjs"
    preload.write_text(LOOPBACK_ONLY)
    return {**os.environ, "NODE_OPTIONS": f"--require {preload}", "SENTRY_DSN": "", "SPOTLIGHT_TELEMETRY_DISABLED": "1"}


@contextmanager
def start_spotlight() -> Iterator[Spotlight]:
    """Install and start it for a block."""
    folder = npm_install("spotlight", PACKAGE)
    port = free_port()
    command = _command(folder, "server", "-p", str(port))
    with running(command, f"http://127.0.0.1:{port}/health", folder, _environment(folder)):
        yield Spotlight(folder, port)
