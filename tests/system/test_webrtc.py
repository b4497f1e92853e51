"""A browser talks to a plain phone: ICE, DTLS-SRTP and RTP on one port on one side, RTP/AVP on the
other, and rtpengine between them, at the switch's request."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path

import pytest
from audio import TONES, Hall, is_tone
from browser import Browser
from engines import Rtpengine
from namespaces import Namespace, World
from phones import Phone

from softswitch.sdp.session import SessionDescription

pytestmark = pytest.mark.peer("chromium", "rtpengine", "baresip", "ip", "nft")

HERE, ALICE, WEB = "127.0.0.1", "127.0.0.2", "127.0.0.3"

TABLES = """
[[listen]]
transport = "tcp"
bind = "127.0.0.1"

[groups.browsers.media]
profile = "webrtc"

[users.web]
password = "web-secret"
group = "browsers"
"""


class ForBrowsers(Rtpengine):
    """And a user whose phone is a browser, whose messages are long."""

    def start(
        self, folder: Path, namespace: Namespace, hosts: Sequence[str], end: Callable[..., object]
    ) -> str:
        """As above."""
        return super().start(folder, namespace, hosts, end) + TABLES


@pytest.fixture
def running() -> Iterator[ExitStack]:
    """Ends whatever a test has left running, the last first."""
    with ExitStack() as stack:
        yield stack


@pytest.mark.parametrize("caller", ["browser", "phone"])
def test_a_browser_and_a_phone_hear_each_other(
    tmp_path: Path, networks: World, running: ExitStack, caller: str
):
    """Whoever calls: the phone sees plain RTP and no trace of ICE or keys, the browser what it
    wants; each hears the other's tone. Nothing is left when they have hung up."""
    namespace = networks.namespace()
    hall = Hall(tmp_path, ForBrowsers(), namespace, [HERE], running)
    alice = hall.phone("alice", ALICE)
    browser = Browser(namespace, tmp_path, TONES["bob"], running.callback)
    web = namespace.within(
        lambda: Phone("web", WEB, (HERE, 5060), "tcp", password="web-secret", domain=HERE)
    )
    running.callback(web.close)
    assert web.register().status == 200
    if caller == "browser":
        described = [("Content-Type", "application/sdp")]
        invite, answer = web.ask(
            web.request("INVITE", f"sip:alice@{HERE}", described, browser.offer())
        )
        assert answer.status == 200, answer
        web.send(web.within(invite, answer, "ACK"))
        told = answer.body
        browser.take(told)
    else:
        alice.phone.order("dial", f"sip:web@{HERE}")
        invite = web.request_received("INVITE")
        told = invite.body
        web.answer(invite, 200, browser.answer(told))
        web.request_received("ACK")
    alice.phone.expect("CALL_ESTABLISHED")
    (section,) = SessionDescription.parse(told).media
    assert section.protocol == "UDP/TLS/RTP/SAVPF"
    for name in ("fingerprint", "ice-ufrag", "candidate", "rtcp-mux"):
        assert section.attributes(name), name
    assert browser.hears(TONES["alice"])
    (heard,) = hall.heard(alice)
    assert is_tone(heard, "bob")
    alice.phone.order("hangup")
    web.answer(web.request_received("BYE"), 200)
    alice.phone.expect("CALL_CLOSED")
    assert web.register(0).status == 200
    hall.close(alice)
