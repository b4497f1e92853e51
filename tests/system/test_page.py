"""The page of a running switch, in Chromium: SIPp calls are seen, looked into and hung up; the page
outlives a restart of the switch, and everybody can use it."""

import json
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from conftest import do_without
from pages import AXE, Scene, faults, port_in
from phones import Talker, claimed_network
from playwright.sync_api import expect

pytestmark = pytest.mark.peer("chromium", "sipp")

VIEWS = ("now", "calls", "records", "registrations", "trunks", "bans")
SIZES = {"wide": {"width": 1280, "height": 800}, "narrow": {"width": 360, "height": 740}}


@pytest.fixture(name="scene")
def _scene(tmp_path: Path) -> Iterator[Scene]:
    with ExitStack() as stack, claimed_network() as network:
        yield Scene(tmp_path, network, stack.callback)


def quiet(scene: Scene) -> bool:
    """Whether the console said nothing but that the switch was away."""
    return [each for each in scene.noise if "net::ERR" not in each[1]] == []


def test_a_call_is_seen_looked_into_and_hung_up(scene: Scene):
    """Calls show up as they come; the ladder of one grows while one looks, each arrow opens its
    message; hung up, it ends for both sides, and its record stands in the place of what went on."""
    scene.callee(rings=3000)
    page = scene.look(scene.context())
    page.goto(f"{scene.url}/#/calls")
    page.get_by_text("No calls go on").wait_for()
    scene.caller(5, 60_000)
    expect(page.locator("tr.ringing")).to_have_count(5)
    page.locator("tr.ringing th a").first.click()
    page.get_by_role("heading", name="calls").wait_for()
    ringing = page.locator(".arrow").count()
    assert ringing >= 4
    page.get_by_text("talking for").wait_for()
    expect(page.locator(".arrow")).not_to_have_count(ringing)
    page.get_by_role("button", name="INVITE sip:", exact=False).first.press("Enter")
    expect(page.locator(".message pre")).to_contain_text("m=audio 16400 RTP/AVP 0")
    page.get_by_role("button", name="Hang up").click()
    dialogue = page.get_by_role("dialog", name="Hang up this call?")
    dialogue.get_by_role("button", name="Hang up").click()
    expect(page.locator(".lead")).to_contain_text("Ended")
    expect(page.locator(".lead")).to_contain_text("ended by the switch")
    expect(page.get_by_role("button", name="Hang up")).to_have_count(0)
    assert page.get_by_role("button", name="BYE sip:", exact=False).count() >= 2
    page.goto(f"{scene.url}/#/calls")
    expect(page.get_by_text("4 calls go on")).to_be_visible()
    assert quiet(scene), scene.noise


def test_how_a_call_sounds(tmp_path: Path):
    """What comes from either side stands beside the ladder while they talk: a packet in twenty of
    the caller's is missing."""
    with ExitStack() as stack, claimed_network() as network:
        scene = Scene(tmp_path, network, stack.callback, media="relay")
        scene.callee()
        page = scene.look(scene.context())
        scene.caller(1, 60_000)
        page.goto(f"{scene.url}/#/calls")
        page.locator("tr.talking th a").click()
        expect(page.locator(".sound")).to_contain_text("Packets0Expected from")
        talkers = [
            Talker(stack, (f"{network}.{host}", port), (f"{network}.1", port_in(page, message)))
            for host, port, message in ((2, 16400, "200 OK"), (3, 16500, "INVITE sip:"))
        ]
        for number in range(100):
            for talker in talkers:
                talker.say(lost=talker is talkers[0] and number % 20 == 10)
            page.wait_for_timeout(20)
        caller, callee = page.locator(".stream").all()
        expect(caller).to_contain_text("From the caller audio PCMU")
        expect(caller).to_contain_text("5 (5.0 %)")
        expect(callee).to_contain_text("From b1 audio PCMU")
        expect(callee).to_contain_text("4.4")
        assert quiet(scene), scene.noise


def test_the_page_outlives_a_restart_of_the_switch(scene: Scene):
    """It says that nobody answers, comes back by itself, and shows what goes on then."""
    page = scene.look(scene.context())
    page.goto(f"{scene.url}/#/calls")
    assert scene.switch.stop() == 0
    expect(page.get_by_role("alert")).to_contain_text("does not answer")
    scene.start()
    page.get_by_text("live", exact=True).wait_for()
    expect(page.get_by_role("alert")).to_be_hidden()
    scene.callee()
    scene.caller(3, 60_000)
    expect(page.locator("tr.talking")).to_have_count(3)
    assert quiet(scene), scene.noise


def test_what_a_peer_writes_is_text(scene: Scene):
    """Markup in a display name and URI is shown as it is, in the list, the ladder and the message;
    nothing of it becomes an element or runs."""
    scene.callee()
    page = scene.look(scene.context())
    evil = "<img src=x onerror=alert(1)><script>alert(2)</script>"
    scene.caller(1, 60_000, service="49%3Cb%3E", name=evil)
    page.goto(f"{scene.url}/#/calls")
    page.locator("tr.talking th a").click()
    page.locator(".arrow").first.click()
    expect(page.locator(".message pre")).to_contain_text(evil)
    expect(page.get_by_role("heading", level=1)).to_contain_text("49<b>")
    assert page.locator("main img, main script").count() == 0
    assert quiet(scene), scene.noise


def test_roles(scene: Scene):
    """Who may only look is offered nothing else."""
    scene.callee()
    scene.caller(1, 60_000)
    scene.register("alice")
    for role, count in (("view", 0), ("operate", 1)):
        page = scene.look(scene.context(), role)
        page.goto(f"{scene.url}/#/calls")
        page.locator("tr.talking th a").click()
        page.locator(".arrow").first.wait_for()
        expect(page.get_by_role("button", name="Hang up")).to_have_count(count)
        page.goto(f"{scene.url}/#/registrations")
        page.get_by_text("Deskphone").wait_for()
        expect(page.get_by_role("button", name="Remove")).to_have_count(count)
        page.goto(f"{scene.url}/#/trunks")
        page.get_by_role("heading", name="carrier").wait_for()
        expect(page.get_by_role("button", name="Take out")).to_have_count(5 * count)
        page.goto(f"{scene.url}/#/bans")
        page.get_by_text("Nobody is banned").wait_for()
        expect(page.get_by_role("button", name="Ban a network")).to_have_count(count)
    assert quiet(scene), scene.noise


def test_what_an_operator_does(scene: Scene):
    """Takes a trunk's member out and puts it back, removes a contact, bans and lifts."""
    scene.register("alice", "bob")
    page = scene.look(scene.context(), "operate")
    page.goto(f"{scene.url}/#/trunks")
    first = f"{scene.network}.4"
    page.get_by_role("button", name=f"Take out: {first}").click()
    page.get_by_role("dialog").get_by_role("button", name="Take out").click()
    page.get_by_role("button", name=f"Put back: {first}").click()
    page.get_by_role("button", name=f"Take out: {first}").wait_for()
    page.goto(f"{scene.url}/#/registrations")
    page.get_by_role("button", name="Remove sip:alice").click()
    page.get_by_role("dialog").get_by_role("button", name="Remove").click()
    expect(page.get_by_text("1 contact", exact=True)).to_be_visible()
    page.goto(f"{scene.url}/#/bans")
    page.get_by_role("button", name="Ban a network").click()
    page.get_by_label("Address or network").fill("203.0.113.0/24")
    page.get_by_role("dialog").get_by_role("button", name="Ban").click()
    page.get_by_role("button", name="Lift the ban of 203.0.113.0/24").click()
    page.get_by_role("dialog").get_by_role("button", name="Lift").click()
    page.get_by_text("Nobody is banned").wait_for()
    assert quiet(scene), scene.noise


def test_what_may_be_saved_and_charted(scene: Scene):
    """A call's capture, picture and JSON come as files; what has ended is charted, by hour and
    trunk, and told in figures."""
    scene.callee()
    scene.caller(2, 300).wait(20)
    page = scene.look(scene.context())
    page.goto(f"{scene.url}/#/records")
    record = page.get_by_role("link", name="+4971155501")
    expect(record).to_be_visible()
    expect(page.locator("figure.chart canvas").first).to_be_visible()
    page.get_by_text("The charts as figures").click()
    expect(page.get_by_role("rowheader", name="carrier, out").first).to_be_visible()
    record.click()
    page.locator(".arrow").first.wait_for()
    saved = {}
    for kind in ("pcap", "SVG", "JSON"):
        with page.expect_download() as download:
            page.get_by_role("button", name=f"Save {kind}").click()
        saved[kind] = download.value.path().read_bytes()
        assert download.value.suggested_filename.endswith(f".{kind.lower()}")
    assert saved["pcap"][:4] in (b"\xd4\xc3\xb2\xa1", b"\xa1\xb2\xc3\xd4", b"\x0a\x0d\x0d\x0a")
    assert b"<svg" in saved["SVG"][:200]
    assert json.loads(saved["JSON"])["record"]["status"] == 200
    assert quiet(scene), scene.noise


def test_a_call_is_transferred(scene: Scene):
    """To whom the form says: the ladder shows that he is called."""
    scene.callee()
    scene.caller(1, 60_000)
    page = scene.look(scene.context(), "operate")
    page.goto(f"{scene.url}/#/calls")
    page.locator("tr.talking th a").click()
    page.get_by_role("button", name="Transfer").click()
    dialogue = page.get_by_role("dialog", name="Transfer this call")
    dialogue.get_by_label("To a number, name or SIP URI").fill("4988")
    dialogue.get_by_role("button", name="Transfer").click()
    expect(page.get_by_text("Being transferred to 4988.")).to_be_visible()
    expect(page.get_by_role("button", name="INVITE sip:4988", exact=False).first).to_be_visible()
    assert quiet(scene), scene.noise


@pytest.mark.alone
def test_two_thousand_calls(scene: Scene):
    """As many as a busy office has: they are counted, paged and searched, one among them is looked
    into and hung up, and the figures move on."""
    scene.callee()
    page = scene.look(scene.context())
    page.set_default_timeout(60_000)
    page.goto(f"{scene.url}/#/calls")
    scene.caller(2000, 180_000, rate=100)
    expect(page.get_by_text("2,000 calls go on", exact=False)).to_be_visible(timeout=120_000)
    shown = page.locator("tr.talking").count()
    assert 0 < shown < 2000
    page.get_by_label("Number, name or trunk").fill("+4971155501234")
    expect(page.locator("tr.talking")).to_have_count(1)
    page.locator("tr.talking th a").click()
    page.locator(".arrow").first.wait_for()
    page.get_by_role("button", name="Hang up").click()
    page.get_by_role("dialog").get_by_role("button", name="Hang up").click()
    expect(page.locator(".lead")).to_contain_text("Ended")
    page.goto(f"{scene.url}/#/now")
    expect(page.get_by_text("1,999", exact=True).first).to_be_visible()
    assert quiet(scene), scene.noise


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("size", SIZES)
def test_everybody_can_use_it(scene: Scene, size: str, scheme: str):
    """axe finds no serious or critical fault in any view; nothing is wider than a telephone."""
    if not AXE.exists():
        do_without("axe is missing: source scripts/environment; make_page")
    scene.callee()
    scene.caller(1, 300).wait(20)
    scene.caller(3, 90_000)
    scene.register("alice", "bob")
    page = scene.look(scene.context(viewport=SIZES[size], color_scheme=scheme))
    found = {}
    for view in VIEWS:
        page.goto(f"{scene.url}/#/{view}")
        page.get_by_role("heading", level=1).wait_for()
        expect(page.get_by_text("Loading …")).to_have_count(0)
        found[view] = faults(page)
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), view
    page.goto(f"{scene.url}/#/calls")
    page.locator("tr.talking th a").first.click()
    page.locator(".arrow").first.click()
    found["call"] = faults(page)
    page.get_by_role("button", name="Transfer").click()
    found["dialogue"] = faults(page)
    assert {view: each for view, each in found.items() if each} == {}
    assert quiet(scene), scene.noise
