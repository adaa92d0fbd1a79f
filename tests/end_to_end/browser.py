"""A headless Chromium, driven over a pipe by its own protocol (DevTools): no library is needed."""

import base64
import json
import os
import select
import shutil
import subprocess
import time

import processes
from processes import Skipped

PROGRAMS = ("chromium-headless-shell", "chromium")


class Browser:
    """`events` holds what the page reported: requests, console lines, exceptions, violations."""

    def __init__(self, folder):
        program = next(filter(None, map(shutil.which, PROGRAMS)), None)
        if not program:
            raise Skipped("no " + " and no ".join(PROGRAMS))
        their_in, self._out = os.pipe()
        self._in, their_out = os.pipe()
        # The browser reads from descriptor 3 and writes to 4. (dash knows descriptors to 9 only.)
        self.process = processes.start(
            ["bash", "-c", f'exec "$@" 3<&{their_in} 4>&{their_out}', "bash", program, "--headless",
             "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run",
             "--hide-scrollbars", f"--user-data-dir={folder}/browser", "--remote-debugging-pipe"],
            pass_fds=(their_in, their_out), stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL)
        os.close(their_in)
        os.close(their_out)
        self.events = []
        self._data = b""
        self._number = 0
        self._session = None
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        self._session = self.call("Target.attachToTarget", targetId=target,
                                  flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.call(domain + ".enable")

    def _read(self, seconds):
        """The next message; None where none comes in time."""
        end = time.monotonic() + seconds
        while b"\0" not in self._data:
            left = end - time.monotonic()
            if left <= 0 or not select.select([self._in], [], [], left)[0]:
                return None
            more = os.read(self._in, 1 << 20)
            if not more:
                raise EOFError("the browser has ended")
            self._data += more
        message, self._data = self._data.split(b"\0", 1)
        return json.loads(message)

    def call(self, method, **parameters):
        self._number += 1
        request = {"id": self._number, "method": method, "params": parameters}
        if self._session:
            request["sessionId"] = self._session
        os.write(self._out, json.dumps(request).encode() + b"\0")
        end = time.monotonic() + 30
        while time.monotonic() < end:
            message = self._read(end - time.monotonic())
            if message and message.get("id") == self._number:
                if "error" in message:
                    raise RuntimeError(f"{method}: {message['error']}")
                return message["result"]
            if message:
                self.events.append(message)
        raise TimeoutError(f"{method}: no answer")

    def open(self, url):
        self.call("Page.navigate", url=url)

    def evaluate(self, expression):
        """What an expression, or its promise, comes to."""
        result = self.call("Runtime.evaluate", expression=expression, awaitPromise=True,
                           returnByValue=True)
        if "exceptionDetails" in result:
            raise RuntimeError(json.dumps(result["exceptionDetails"])[:500])
        return result["result"].get("value")

    def wait(self, expression, seconds=15):
        """The expression's value, once it is true."""
        return processes.wait_until(lambda: self.evaluate(expression), seconds, expression)

    def look(self, width, height, scheme="light"):
        """How large the window is, and which colours the user likes."""
        self.call("Emulation.setDeviceMetricsOverride", width=width, height=height,
                  deviceScaleFactor=1, mobile=False)
        self.call("Emulation.setEmulatedMedia",
                  features=[{"name": "prefers-color-scheme", "value": scheme}])

    def picture(self):
        """PNG."""
        return base64.b64decode(self.call("Page.captureScreenshot", format="png")["data"])

    def reported(self, method):
        """The parameters of all events of that name."""
        return [event["params"] for event in self.events if event.get("method") == method]

    def close(self):
        processes.stop(self.process, 5)
        os.close(self._in)
        os.close(self._out)

    def __enter__(self):
        return self

    def __exit__(self, *_error):
        self.close()
