"""`flocks start` shows the WebUI: once it is healthy, where there is a desktop, unless told not to."""

import os
import subprocess

import pytest

from instance import PYTHON, SERVICES, wait_until


@pytest.fixture
def at_a_desktop(instance, free_port):
    """A function that starts a healthy webui at a terminal and answers (URL, pages opened by then)."""
    port = free_port()
    opened = instance.root / "opened"
    browser = instance.root / "browser"
    # The name appears when the text is complete.
    browser.write_text(f'#!/bin/sh\necho "$1" > {opened}.new && mv {opened}.new {opened}\n')
    browser.chmod(0o700)
    instance.write(
        f"""
services:
  webui:
    command: [{PYTHON}, {SERVICES}/web.py, "${{host}}", "${{port}}"]
    port: {port}
    probes: {{ready: {{http: {{path: /}}, period: 100ms}}}}
"""
    )

    def start(*arguments, expected, **environment):
        terminal, end = os.openpty()
        try:
            result = subprocess.run(
                instance.command("start", *arguments),
                env={**instance.environment, "BROWSER": str(browser), **environment},
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=end,
                timeout=60,
            )
        finally:
            os.close(end)
            os.close(terminal)
        assert result.returncode == 0
        if expected:
            wait_until(opened.exists, 10, "the page")
        return f"http://127.0.0.1:{port}", opened.read_text() if opened.exists() else ""

    return start


def test_browser_is_opened_at_a_desktop(at_a_desktop):
    url, opened = at_a_desktop(expected=True, DISPLAY=":9")
    assert opened.strip().rstrip("/") == url


def test_browser_is_not_opened_when_told_not_to(at_a_desktop):
    _, opened = at_a_desktop("--no-browser", expected=False, DISPLAY=":9")
    assert opened == ""


def test_browser_is_not_opened_without_a_desktop(at_a_desktop):
    _, opened = at_a_desktop(expected=False)
    assert opened == ""
