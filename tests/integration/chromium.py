"""Debian's Chromium without a screen, driven through its debugging pipe (descriptors 3 and 4, JSON with a NUL behind)."""

import json
import os
import select
import shutil
import signal
import subprocess
import tempfile
import time

from instance import wait_until

OPTIONS = (
    "--headless=new --no-sandbox --disable-gpu --disable-dev-shm-usage --disable-quic --no-first-run --no-proxy-server"
    " --disable-background-networking --disable-component-update --disable-sync --disable-extensions --mute-audio"
    " --disable-background-timer-throttling --disable-renderer-backgrounding --disable-backgrounding-occluded-windows"
    " --remote-debugging-pipe"
).split()


# What Chromium says of a document that goes away while it is asked.
BETWEEN_DOCUMENTS = ("navigated or closed", "context was destroyed", "Cannot find default execution context", "context with specified id")


class Refused(AssertionError):
    """Chromium's answer is an error."""


class Chromium:
    """A context. Everything waits `seconds` at most for an answer."""

    def __init__(self, seconds=60):
        self.seconds = seconds
        self._program = shutil.which("chromium")
        assert self._program, "chromium is missing: tools/packages.txt has it"
        self._profile = tempfile.mkdtemp(prefix="fl-chromium-")
        self._read, theirs_out = os.pipe()
        theirs_in, self._write = os.pipe()
        self._process = subprocess.Popen(
            [
                *("/bin/bash", "-c", f'exec "$@" 3<&{theirs_in} 4>&{theirs_out}', "bash"),
                *(self._program, *OPTIONS, f"--user-data-dir={self._profile}", "about:blank"),
            ],
            pass_fds=(theirs_in, theirs_out),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        os.close(theirs_in)
        os.close(theirs_out)
        self._rest = b""
        self._last = 0
        self.events = []

    def __enter__(self):
        return self

    def __exit__(self, *_):
        # Its helpers are in its group.
        os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
        os.close(self._read)
        os.close(self._write)
        shutil.rmtree(self._profile, ignore_errors=True)

    def call(self, method, session=None, **parameters):
        self._last += 1
        message = {"id": self._last, "method": method, "params": parameters}
        if session:
            message["sessionId"] = session
        os.write(self._write, json.dumps(message).encode() + b"\0")
        while True:
            answer = self._next()
            if answer.get("id") == self._last:
                if "error" in answer:
                    raise Refused(f"{method}: {answer['error']}")
                return answer["result"]
            self.events.append(answer)

    def _next(self):
        deadline = time.monotonic() + self.seconds
        while b"\0" not in self._rest:
            ready = select.select([self._read], [], [], max(0, deadline - time.monotonic()))[0]
            part = os.read(self._read, 1 << 20) if ready else b""
            assert part, "Chromium says nothing"
            self._rest += part
        message, _, self._rest = self._rest.partition(b"\0")
        return json.loads(message)

    def open(self, url, language="en-US,en;q=0.9", scripts=True):
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        session = self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        page = Page(self, session)
        page.call("Page.enable")
        agent = self.call("Browser.getVersion")["userAgent"]
        page.call("Emulation.setUserAgentOverride", userAgent=agent, acceptLanguage=language)
        page.call("Emulation.setScriptExecutionDisabled", value=not scripts)
        page.call("Page.navigate", url=url)
        return page


class Page:
    """A tab."""

    def __init__(self, browser, session):
        self.browser, self.session = browser, session

    def call(self, method, **parameters):
        return self.browser.call(method, self.session, **parameters)

    def evaluate(self, expression):
        """None while one document is being replaced by the next."""
        try:
            result = self.call("Runtime.evaluate", expression=expression, returnByValue=True)
        except Refused as refused:
            if any(words in str(refused) for words in BETWEEN_DOCUMENTS):
                return None
            raise
        return result["result"].get("value")

    def text(self):
        return self.evaluate("document.documentElement.innerText") or ""

    def loads(self):
        """How many documents it has loaded."""
        self.evaluate("0")
        return sum(e.get("method") == "Page.loadEventFired" and e.get("sessionId") == self.session for e in self.browser.events)

    def wait_for_text(self, text, seconds=60.0):
        try:
            wait_until(lambda: text in self.text(), seconds, f"the text {text!r}")
        except AssertionError as error:
            raise AssertionError(f"{error}, but {self.text()!r} at {self.evaluate('location.href')}") from None
