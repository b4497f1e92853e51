"""Calls over a secure WebSocket with JsSIP in Chromium: their signalling goes through the switch,
their media through rtpengine, and a plain phone is at the other end (RFC 7118)."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path

import pytest
from audio import TONES, Hall, is_tone
from conftest import do_without
from engines import Rtpengine
from jssip import BUNDLE, WebPage
from namespaces import Namespace, World

from softswitch.sip.message import Request
from softswitch.sip.parser import parse
from softswitch.testing.authority import Authority

pytestmark = pytest.mark.peer("chromium", "rtpengine", "baresip", "ip", "nft")

HERE, ALICE = "127.0.0.1", "127.0.0.2"

TABLES = """
[[listen]]
transport = "wss"
bind = "127.0.0.1"
port = 8443
certificate = "{folder}/switch.pem"
key = "{folder}/switch.key"

[listen.websocket]
path = "/sip"
origins = ["http://127.0.0.1"]

[users.web]
password = "web-secret"
"""


class ForPages(Rtpengine):
    """And a listener for pages, with a user who is in one."""

    def start(
        self, folder: Path, namespace: Namespace, hosts: Sequence[str], end: Callable[..., object]
    ) -> str:
        """As above."""
        Authority(folder).issue("switch", HERE)
        return super().start(folder, namespace, hosts, end) + TABLES.format(folder=folder)


@pytest.fixture
def running() -> Iterator[ExitStack]:
    """Ends whatever a test has left running, the last first."""
    with ExitStack() as stack:
        yield stack


@pytest.mark.parametrize("caller", ["page", "phone"])
def test_a_page_and_a_phone_talk(tmp_path: Path, networks: World, running: ExitStack, caller: str):
    """Whoever calls, and hangs up, each hears the other's tone: the page is found over the
    WebSocket on which it has registered by RFC 5626, and nothing is left in the end."""
    if not BUNDLE.exists():
        do_without("the page is missing: source scripts/environment; make_page")
    namespace = networks.namespace()
    hall = Hall(tmp_path, ForPages(), namespace, [HERE], running)
    alice = hall.phone("alice", ALICE)
    page = WebPage(namespace, tmp_path, TONES["bob"], running.callback)
    told = page.register(f"wss://{HERE}:8443/sip", f"sip:web@{HERE}", "web-secret")
    assert told["Require"] == ["outbound"]
    assert all(";reg-id=1" in each for each in told["Contact"])
    if caller == "page":
        assert ("accepted", "remote", "") in page.call(f"sip:alice@{HERE}")
    else:
        alice.phone.order("dial", f"sip:web@{HERE}")
        assert ("incoming", "alice", "") in page.answer()
    alice.phone.expect("CALL_ESTABLISHED")
    assert page.hears(TONES["alice"])
    (heard,) = hall.heard(alice)
    assert is_tone(heard, "bob")
    if caller == "page":
        page.hang_up()
    else:
        alice.phone.order("hangup")
        page.ended()
    alice.phone.expect("CALL_CLOSED")
    page.leave()
    seen = [parse(text.encode()) for _, text in page.messages() if text.strip()]
    assert {each.top_via.transport for each in seen} == {"WSS"}
    methods = [each.method for each in seen if isinstance(each, Request)]
    assert methods.count("INVITE") >= 1
    assert methods[-1] == "REGISTER"
    hall.close(alice)
