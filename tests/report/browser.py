"""Chromium without a network, driven by its own protocol over a pipe (Chrome DevTools Protocol)."""

from __future__ import annotations

import base64
import json
import os
import select
import shutil
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from bench_core.report.charts import bokeh_script

NAMES = ("chromium", "chromium-browser", "google-chrome")
_SECONDS = 120

needs_bokeh = pytest.mark.skipif(
    bokeh_script() is None, reason="Bokeh is not installed (extra: report)"
)


def find_browser() -> str | None:
    """Return the path of a Chromium, None where there is none."""
    return next(filter(None, map(shutil.which, NAMES)), None)


class Browser:
    """A headless Chromium that resolves no name and reaches no host but this machine."""

    def __init__(self, program: str, profile: Path) -> None:
        commands, self._commands = os.pipe()
        self._answers, answers = os.pipe()
        arguments = [
            program,
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            "--disable-dev-shm-usage",
            "--no-first-run",
            "--remote-debugging-pipe",
            "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
            "--proxy-server=127.0.0.1:9",
            f"--user-data-dir={profile}",
            "about:blank",
        ]
        log = str(profile.with_suffix(".log"))
        self._process = os.posix_spawn(
            program,
            arguments,
            {**os.environ, "HOME": str(profile)},
            file_actions=[
                (os.POSIX_SPAWN_OPEN, 2, log, os.O_WRONLY | os.O_CREAT, 0o600),
                (os.POSIX_SPAWN_DUP2, commands, 3),
                (os.POSIX_SPAWN_DUP2, answers, 4),
            ],
            setpgroup=0,
        )
        os.close(commands)
        os.close(answers)
        self._number = 0
        self._read = b""
        self.listeners: list[Callable[[str | None, str, dict[str, Any]], None]] = []

    def ask(self, method: str, *, session: str | None = None, **values: Any) -> dict[str, Any]:
        """Send a command and return its result; events that come first go to the listeners."""
        self._number += 1
        message = {"id": self._number, "method": method, "params": values}
        if session is not None:
            message["sessionId"] = session
        os.write(self._commands, json.dumps(message).encode() + b"\0")
        while True:
            found = self._next()
            if found.get("id") == self._number:
                if "error" in found:
                    raise RuntimeError(f"{method}: {found['error']}")
                result: dict[str, Any] = found["result"]
                return result

    def wait_for(self, event: str, session: str | None) -> dict[str, Any]:
        """Return the values of the next event of a session; None for the browser itself."""
        while True:
            found = self._next()
            if found.get("method") == event and found.get("sessionId") == session:
                values: dict[str, Any] = found["params"]
                return values

    def save_to(self, folder: Path) -> None:
        """Let pages save files to ``folder``, under the names that they give them."""
        self.ask(
            "Browser.setDownloadBehavior",
            behavior="allow",
            downloadPath=str(folder),
            eventsEnabled=True,
        )

    def wait_for_file(self) -> str:
        """Return how the saving of a file ended: "completed" or "canceled"."""
        while True:
            found = self.wait_for("Browser.downloadProgress", None)
            if found["state"] != "inProgress":
                return str(found["state"])

    def _next(self) -> dict[str, Any]:
        while b"\0" not in self._read:
            ready, _, _ = select.select([self._answers], [], [], _SECONDS)
            part = os.read(self._answers, 2**20) if ready else b""
            if not part:
                raise RuntimeError("the browser ended or does not answer")
            self._read += part
        text, _, self._read = self._read.partition(b"\0")
        message: dict[str, Any] = json.loads(text)
        if "method" in message:
            for listener in self.listeners:
                listener(message.get("sessionId"), message["method"], message["params"])
        return message

    def close(self) -> None:
        """End the browser and all of its processes."""
        os.close(self._commands)
        os.close(self._answers)
        os.killpg(self._process, signal.SIGKILL)
        os.waitpid(self._process, 0)


class Tab:
    """A page as it is shown at one width, in light or dark, with what went wrong on it."""

    def __init__(self, browser: Browser, *, width: int = 1300, dark: bool = False) -> None:
        self.browser = browser
        self.requests: list[str] = []
        self.errors: list[str] = []
        self._target = browser.ask("Target.createTarget", url="about:blank")["targetId"]
        attached = browser.ask("Target.attachToTarget", targetId=self._target, flatten=True)
        self._session = attached["sessionId"]
        browser.listeners.append(self._note)
        for domain in ("Page", "Runtime", "Log", "Network"):
            self._ask(f"{domain}.enable")
        self._ask(
            "Emulation.setDeviceMetricsOverride",
            width=width,
            height=900,
            deviceScaleFactor=1,
            mobile=False,
        )
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self._ask("Emulation.setEmulatedMedia", features=[scheme])

    def _ask(self, method: str, **values: Any) -> dict[str, Any]:
        return self.browser.ask(method, session=self._session, **values)

    def _note(self, session: str | None, method: str, values: dict[str, Any]) -> None:
        if session != self._session:
            return
        if method == "Network.requestWillBeSent":
            self.requests.append(values["request"]["url"])
        elif method == "Runtime.exceptionThrown":
            self.errors.append(json.dumps(values["exceptionDetails"])[:500])
        elif method == "Runtime.consoleAPICalled" and values["type"] in ("error", "warning"):
            self.errors.append(json.dumps(values["args"])[:500])
        elif method == "Log.entryAdded" and values["entry"]["level"] == "error":
            self.errors.append(values["entry"]["text"])

    def open(self, path: Path, fragment: str = "") -> None:
        """Open a file; return when it is loaded and its charts are drawn."""
        self._ask("Page.navigate", url=path.as_uri() + fragment)
        self.browser.wait_for("Page.loadEventFired", self._session)
        self.run(
            """new Promise((done) => {
              const ready = () => !document.querySelector(".canvas") || document.body.dataset.ready;
              if (ready()) return done();
              new MutationObserver(() => ready() && done())
                .observe(document.body, { attributes: true });
            })"""
        )

    def open_address(self, address: str, until: str) -> None:
        """Open an address anew; return when an element of the selector ``until`` is there."""
        self._ask("Page.navigate", url="about:blank")  # a fragment alone would load nothing
        self.browser.wait_for("Page.loadEventFired", self._session)
        self._ask("Page.navigate", url=address)
        self.browser.wait_for("Page.loadEventFired", self._session)
        self.run(
            f"""new Promise((done, failed) => {{
              const there = () => document.querySelector({json.dumps(until)});
              if (there()) return done();
              new MutationObserver(() => there() && done())
                .observe(document, {{ childList: true, subtree: true, attributes: true }});
              setTimeout(() => failed(new Error(document.body.innerText)), 20000);
            }})"""
        )

    def run(self, script: str) -> Any:
        """Return the value of an expression, or of the promise that it is."""
        found = self._ask(
            "Runtime.evaluate", expression=script, returnByValue=True, awaitPromise=True
        )
        if "exceptionDetails" in found:
            raise RuntimeError(json.dumps(found["exceptionDetails"])[:1000])
        return found["result"].get("value")

    def press(self, key: str, code: int) -> None:
        """Press and release a key."""
        for kind in ("rawKeyDown", "keyUp"):
            self._ask("Input.dispatchKeyEvent", type=kind, key=key, windowsVirtualKeyCode=code)

    def mouse(self, kind: str, x: float, y: float, **values: Any) -> None:
        """Move, press or release the mouse at a place of the window."""
        self._ask("Input.dispatchMouseEvent", type=kind, x=x, y=y, **values)

    def screenshot(self, path: Path, most: int = 2400) -> None:
        """Write the page as a PNG, ``most`` pixels of its height."""
        width, height = self.run("[innerWidth, document.documentElement.scrollHeight]")
        clip = {"x": 0, "y": 0, "width": width, "height": min(height, most), "scale": 1}
        found = self._ask("Page.captureScreenshot", captureBeyondViewport=True, clip=clip)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(base64.b64decode(found["data"]))

    def print_media(self) -> None:
        """Show the page as it is printed."""
        self._ask("Emulation.setEmulatedMedia", media="print")

    def close(self) -> None:
        """Close the tab."""
        self.browser.listeners.remove(self._note)
        self.browser.ask("Target.closeTarget", targetId=self._target)
