"""Chromium without a window, driven by its chromedriver."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from selenium.webdriver import ChromeOptions, Remote
from selenium.webdriver.common.proxy import Proxy, ProxyType
from selenium.webdriver.remote.client_config import ClientConfig

from tests.interop.neighbours import absent, free_port, running

ARGUMENTS = (
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--window-size=1400,900",
    # Pages and the browser itself like to report home: nothing but loopback has an address.
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE localhost, EXCLUDE 127.0.0.1",
    "--no-proxy-server",
)


@contextmanager
def start_chromium() -> Iterator[Remote]:
    """Start a browser with an empty profile for a block."""
    chromium, driver = shutil.which("chromium"), shutil.which("chromedriver")
    if chromium is None or driver is None:
        absent("the browser needs Debian's packages chromium and chromium-driver")
    with TemporaryDirectory(prefix="chromium-", ignore_cleanup_errors=True) as folder:
        options = ChromeOptions()
        options.binary_location = str(chromium)
        for argument in (*ARGUMENTS, f"--user-data-dir={folder}/profile"):
            options.add_argument(argument)
        url = f"http://127.0.0.1:{free_port()}"
        with running([str(driver), f"--port={url.rsplit(':', 1)[1]}"], f"{url}/status", Path(folder)):
            config = ClientConfig(url, proxy=Proxy({"proxyType": ProxyType.DIRECT}), timeout=60)
            browser = Remote(url, options=options, client_config=config)
            try:
                yield browser
            finally:
                browser.quit()
