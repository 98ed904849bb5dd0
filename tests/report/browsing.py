"""A browser without a window, and pages opened in it."""

import contextlib
import shutil
import tempfile

import pytest

CHROMIUM, DRIVER = shutil.which("chromium"), shutil.which("chromedriver")
OPTIONS = (
    "headless", "no-sandbox", "disable-gpu", "disable-quic", "disable-dev-shm-usage",
    "no-first-run", "disable-background-networking", "disable-component-update", "disable-sync",
)  # fmt: skip


@contextlib.contextmanager
def browsing():
    """Debian's chromium, by its chromium-driver; skips where either is not there."""
    if not (CHROMIUM and DRIVER):
        pytest.skip("no chromium and chromedriver here; .ci/run installs both")
    webdriver = pytest.importorskip("selenium.webdriver")
    options = webdriver.ChromeOptions()
    options.binary_location = CHROMIUM
    with tempfile.TemporaryDirectory() as profile:
        for option in (*OPTIONS, f"user-data-dir={profile}"):
            options.add_argument(f"--{option}")
        driver = webdriver.Chrome(options, webdriver.ChromeService(DRIVER))
        driver.set_script_timeout(300)  # Seconds: a loaded machine draws late.
        yield driver
        driver.quit()


def opened(browser, page, width):
    """Opens a page in a window of a width; returns a function that runs a script in it."""
    metrics = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": False}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
    browser.get(page.as_uri())
    # What a closed part holds is skipped until a frame after it was opened is drawn.
    browser.execute_async_script(
        "const done = arguments[0];"
        "document.querySelectorAll('details').forEach((part) => { part.open = true; });"
        "const held = [...document.querySelectorAll('details > :not(summary)')];"
        "const look = () => held.every((part) => part.checkVisibility())"
        " ? done() : requestAnimationFrame(look);"
        "requestAnimationFrame(look);"
    )
    assert browser.execute_script("return innerWidth;") == width
    return browser.execute_script
