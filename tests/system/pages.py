"""A running switch whose page is looked at: SIPp calls through it, Chromium shows it."""

import re
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from phones import Phone
from playwright.sync_api import BrowserContext, Page, sync_playwright
from processes import Sipp, Switch

from softswitch.api.tokens import hashed

#: Where ``make_page`` of scripts/environment puts what looks for faults of accessibility.
AXE = Path(__file__).parents[2] / ".venv" / "page" / "node_modules" / "axe-core" / "axe.min.js"

CONFIGURATION = """
[switch]
state_directory = "@state@"
try_seconds = 1
drain_seconds = 1

[[listen]]
transport = "udp"
bind = "{network}.1"

[trunks.office]
addresses = ["{network}.2"]

[trunks.carrier]
addresses = ["{network}.3"]

[trunks.backup]
addresses = ["{network}.4", "{network}.5"]

[users]
alice.password = "secret"
bob.password = "secret"
carol.password = "secret"

[[policy]]
use = "trunks"

[[policy]]
use = "users"

[[policy]]
use = "registration"

[[policy]]
use = "dialplan"

[[policy.rules]]
match = "86.*"
trunk = "backup"

[[policy.rules]]
match = ".*"
trunk = "carrier"

[media]
engine = "{media}"

[api]
bind = "{network}.1"
port = 8060
{tokens}
"""

TOKEN = """
[[api.tokens]]
name = "{role}"
role = "{role}"
hash = "{hash}"
"""

ROLES = ("view", "operate", "admin")


def token(role: str) -> str:
    """The token of who has a role."""
    return f"softswitch-{role}"


class Scene:
    """The switch at ``.1``, SIPp calls from ``.2`` by way of it to ``.3``.

    :ivar url: of the page.
    :ivar noise: what the browser's console said: kind and text.
    :param network: the first three numbers of its addresses.
    :param end: called with what is to be called in the end.
    :param media: engine that carries it.
    """

    def __init__(
        self, folder: Path, network: str, end: Callable[..., object], media: str = "bypass"
    ) -> None:
        self.network = network
        self.url = f"http://{network}.1:8060"
        self.noise: list[tuple[str, str]] = []
        self._folder = folder
        self._end = end
        self._browser: Any = None
        tokens = "".join(TOKEN.format(role=role, hash=hashed(token(role))) for role in ROLES)
        self._configuration = CONFIGURATION.format(network=network, tokens=tokens, media=media)
        self._phones: list[Phone] = []
        self.switch = self.start()

    def start(self) -> Switch:
        """Start the switch, for the first time or anew."""
        self.switch = Switch(self._configuration, self._folder)
        self._end(self.switch.kill)
        return self.switch

    def callee(self, rings: int = 200) -> Sipp:
        """Somebody answers at the carrier.

        :param rings: milliseconds.
        """
        return self._sipp("page_callee", 3, "", 1, ("-timeout", "120"), {"rings": rings})

    def refuser(self, status: int, reason: str) -> Sipp:
        """The backup trunk's first member refuses."""
        return self._sipp("callee_refuses", 4, "", 1, (), {"status": status, "reason": reason})

    def caller(
        self, calls: int, talk: int, rate: float = 10, service: str = "4930", name: str = "Office"
    ) -> Sipp:
        """The office calls.

        :param talk: milliseconds.
        :param rate: calls per second.
        :param name: what it calls itself; it may be anything.
        """
        pace = ("-r", str(round(rate * 10)), "-rp", "10000", "-l", str(calls))
        extra = ("-s", service, "-d", str(talk), *pace)
        where = f"{self.network}.1:5060"
        return self._sipp("page_caller", 2, where, calls, extra, {"name": name})

    def register(self, *users: str) -> None:
        """Phones register."""
        for number, user in enumerate(users, 20):
            phone = Phone(user, f"{self.network}.{number}", (f"{self.network}.1", 5060))
            self._end(phone.close)
            phone.register(fields=[("User-Agent", f"Deskphone {number}.1")])

    def context(self, **options: Any) -> BrowserContext:
        """A browser without memory."""
        if self._browser is None:
            playwright = sync_playwright().start()
            self._end(playwright.stop)
            flags = ["--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"]
            self._browser = playwright.chromium.launch(
                executable_path="/usr/bin/chromium", args=flags
            )
            self._end(self._browser.close)
        context: BrowserContext = self._browser.new_context(**options)
        return context

    def look(self, context: BrowserContext, role: str = "admin") -> Page:
        """Open the page and give it the token of a role."""
        page = context.new_page()
        page.set_default_timeout(15_000)
        page.on("console", lambda message: self.noise.append((message.type, message.text)))
        page.on("pageerror", lambda error: self.noise.append(("exception", str(error))))
        page.goto(self.url)
        page.get_by_role("textbox", name="Token").fill(token(role))
        page.get_by_role("button", name="Go on").click()
        page.get_by_text("live", exact=True).wait_for()
        page.get_by_text(f"{role} ({role})").wait_for()
        return page

    def _sipp(
        self,
        scenario: str,
        host: int,
        there: str,
        calls: int,
        extra: tuple[str, ...],
        words: dict[str, object],
    ) -> Sipp:
        count = calls if there else 100_000
        sipp = Sipp(
            scenario,
            self._folder,
            f"{self.network}.{host}",
            there,
            calls=count,
            words=words,
            extra=extra,
        )
        self._end(sipp.kill)
        return sipp


def faults(page: Page) -> list[str]:
    """What axe finds that is serious or critical (WCAG 2.2 AA), one line each."""
    if not page.evaluate("typeof window.axe === 'object'"):
        page.evaluate(AXE.read_text())
    tags = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]
    found = page.evaluate("tags => axe.run(document, {runOnly: {type: 'tag', values: tags}})", tags)
    return [
        f"{each['id']} ({each['impact']}): {node['target']} {node['failureSummary']}"
        for each in found["violations"]
        if each["impact"] in ("serious", "critical")
        for node in each["nodes"]
    ]


def port_in(page: Page, message: str) -> int:
    """The port of audio that the switch has shown in the last message of that name."""
    page.get_by_role("button", name=message, exact=False).last.press("Enter")
    shown = page.locator(".message pre").inner_text()
    return int(re.search(r"m=audio (\d+)", shown)[1])  # type: ignore[index]


def open_scene(folder: Path, network: str) -> tuple[Scene, ExitStack]:
    """A scene, and what ends it."""
    stack = ExitStack()
    return Scene(folder, network, stack.callback), stack
