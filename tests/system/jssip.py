"""JsSIP in Chromium: the page of ``page/phone.js``, as a test sees it."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from browser import FLAGS, Browser
from namespaces import Namespace

#: Where ``make_page`` of scripts/environment puts it.
BUNDLE = Path(__file__).parents[2] / ".venv" / "page" / "phone.js"

#: Happenings of calls: name, who caused it, why.
Events = list[tuple[str, str, str]]


class WebPage(Browser):
    """A phone in a page. It believes every certificate, and may reach this machine, though nobody
    knows from where the page came."""

    flags = (
        *FLAGS,
        "--ignore-certificate-errors",
        "--disable-features=LocalNetworkAccessChecks,LocalNetworkAccessChecksWebSockets",
    )
    ear = "phone.heard()"

    def __init__(
        self, namespace: Namespace, folder: Path, frequency: int, end: Callable[..., object]
    ) -> None:
        super().__init__(namespace, folder, frequency, end, BUNDLE.read_text())

    def register(self, server: str, uri: str, password: str) -> dict[str, list[str]]:
        """Open a WebSocket and register: the header fields of the 200, name -> values."""
        arguments = [server, uri, password]
        headers = self._page.evaluate("found => phone.register(...found)", arguments)
        return {name: [each["raw"] for each in found] for name, found in headers.items()}

    def call(self, uri: str) -> Events:
        """Call, and wait for the answer."""
        return self._happened("uri => phone.call(uri)", uri)

    def answer(self) -> Events:
        """Wait for a call, and answer it."""
        return self._happened("phone.answer()")

    def hang_up(self) -> Events:
        """End the call."""
        return self._happened("phone.hangUp()")

    def ended(self) -> Events:
        """Wait for its end."""
        return self._happened("phone.ended()")

    def leave(self) -> None:
        """Un-register."""
        self._page.evaluate("phone.leave()")

    def messages(self) -> list[tuple[bool, str]]:
        """Every message: whether it was sent by the page, and its text."""
        return [(sent, text) for sent, text in self._page.evaluate("phone.messages")]

    def _happened(self, what: str, argument: Any = None) -> Events:
        return [(name, who, why) for name, who, why in self._page.evaluate(what, argument)]
