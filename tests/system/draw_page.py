"""Takes the pictures of the page; ``scripts/pictures`` runs it."""

import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path

from pages import Scene, port_in
from phones import Talker, claimed_network
from playwright.sync_api import Page

WIDE = {"width": 1280, "height": 800}
#: What is shown of a picture: lists are cut where they repeat themselves, for the sake of bytes.
SHOWN = {"calls": {"x": 0, "y": 0, "width": 1280, "height": 640}}
NARROW = {"width": 360, "height": 740}


def visit(page: Page, view: str, network: str) -> None:
    """Show a view, and let it come to rest; in the call that is shown both sides talk."""
    if view == "call":
        page.goto(page.url.partition("#")[0] + "#/calls")
        page.locator("tr.talking th a").nth(2).click()
        page.locator(".arrow").first.wait_for()
        with ExitStack() as stack:
            talkers = [
                Talker(stack, (f"{network}.{host}", port), (f"{network}.1", port_in(page, message)))
                for host, port, message in ((2, 16400, "200 OK"), (3, 16500, "INVITE sip:"))
            ]
            page.locator(".arrow").first.click()
            for number in range(250):
                for talker in talkers:
                    talker.say(lost=talker is talkers[0] and number % 40 == 20)
                page.wait_for_timeout(20)
        return
    if view == "failed":
        page.goto(page.url.partition("#")[0] + "#/records?status=5xx")
        page.locator("tbody th a").first.click()
        page.locator(".arrow.bad").first.click()
    else:
        page.goto(page.url.partition("#")[0] + f"#/{view}")
    page.wait_for_timeout(2500)


def main(folder: Path) -> None:
    """Take them all."""
    folder.mkdir(parents=True, exist_ok=True)
    with (
        ExitStack() as stack,
        tempfile.TemporaryDirectory() as state,
        claimed_network() as network,
    ):
        scene = Scene(Path(state), network, stack.callback, media="relay")
        scene.callee(rings=2500)
        scene.refuser(503, "Service Unavailable")
        scene.register("alice", "bob", "carol")
        scene.caller(6, 1000, service="8610").wait(20)
        scene.caller(300, 12_000, rate=2, name="Reception")
        looks = {
            (size, scheme): scene.look(
                scene.context(viewport=WIDE if size == "wide" else NARROW, color_scheme=scheme)
            )
            for size, scheme in (("wide", "light"), ("wide", "dark"), ("narrow", "light"))
        }
        first = looks["wide", "light"]
        first.request.post(
            f"{scene.url}/api/v1/bans",
            data={"network": "203.0.113.0/24", "seconds": 86400, "why": "scans for users"},
            headers={"Authorization": "Bearer softswitch-admin"},
        )
        first.wait_for_timeout(45_000)
        for (size, scheme), page in looks.items():
            end = f"{'' if size == 'wide' else '-narrow'}{'-dark' if scheme == 'dark' else ''}"
            for view in (
                *("now", "calls", "call", "failed"),
                *("records", "registrations", "trunks", "bans"),
            ):
                if end == "-dark" and view not in ("now", "call"):
                    continue
                if end == "-narrow" and view not in ("now", "calls", "call"):
                    continue
                visit(page, view, network)
                clip = SHOWN.get(view) if size == "wide" else None
                page.screenshot(path=folder / f"page-{view}{end}.png", clip=clip)
        print(scene.noise)


main(Path(sys.argv[1]))
