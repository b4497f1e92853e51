"""What lies behind a trunk stays behind it: no message that leaves elsewhere tells where it is.

A PBX names its address, its host name and another machine of its network in every place that it
can, in whatever it sends: the carrier and the phone outside never see one of them.
"""

import pytest

from softswitch.sip.message import Response
from softswitch.testing.media import CountingEngine
from softswitch.testing.pbx import Pbx
from softswitch.testing.stage import Stage

PBX, NAME, BEHIND, SIX = "127.88.0.40", "pbx.inside", "10.9.8.7", "2001:db8:77::5"
#: None of these may stand in a message that goes elsewhere, in whatever case.
SECRETS = [each.encode() for each in (PBX, NAME, BEHIND, SIX)]

CARRIER = "127.88.0.50"

CONFIG = f"""
[dialog]
crossing = [
    "Reason", "Alert-Info", "Call-Info", "Error-Info", "Subject", "Organization", "Geolocation",
    "Warning", "Reply-To", "In-Reply-To", "P-*", "X-*",
]
refer = "relay"
message = "relay"
options = "relay"
trusted = true

[trunks.pbx]
addresses = ["{PBX}"]
inside = ["{NAME}", "10.9.0.0/16", "2001:db8:77::/48"]

[trunks.carrier]
addresses = ["{CARRIER}"]

[[policy]]
use = "trunks"
[[policy]]
use = "front"
trunk = "pbx"
[[policy]]
use = "users"
[[policy]]
use = "dialplan"
[[policy.rules]]
match = "2[0-9]+"
trunk = "pbx"
[[policy.rules]]
match = "9[0-9]+"
trunk = "carrier"
"""

FIELDS = [
    ("Server", f"PBX/1 ({NAME})"),
    ("User-Agent", f"PBX/1 ({NAME}; {PBX})"),
    ("Organization", f"the people of {NAME}"),
    ("Call-Info", f"<http://{PBX}:8080/face.png>;purpose=icon, <http://www.{NAME}/>;purpose=info"),
    ("Alert-Info", f"<http://{NAME}/ring.wav>;info=internal"),
    ("Error-Info", f"<sip:sorry@{PBX}>"),
    ("Warning", f'399 {PBX}:5060 "a node of {NAME.upper()} is down"'),
    ("Reason", f'SIP;cause=480;text="queue at {NAME}"'),
    ("Geolocation", f"<sip:floor3@{BEHIND}>"),
    ("Subject", f"see http://[{SIX}]/ or {SIX}"),
    ("Reply-To", f"<sip:200@{NAME}>"),
    ("In-Reply-To", f"77@{PBX}"),
    ("P-Asserted-Identity", f'"Desk" <sip:200@{NAME}>'),
    ("P-Charging-Vector", f"icid-value=1;icid-generated-at={BEHIND};orig-ioi={NAME}"),
    ("P-Called-Party-ID", f"<sip:200@{PBX}>"),
    ("Remote-Party-ID", f"<sip:200@{PBX}>;party=calling"),
    ("Diversion", f"<sip:201@{PBX}>;reason=unconditional"),
    ("History-Info", f"<sip:201@{NAME}?Reason=SIP%3Bcause%3D302%3Btext%3D%22{PBX}%22>;index=1"),
    ("X-Node", f"{BEHIND}:5062"),
    ("X-Queue", f"queue=sales&host%3D{NAME}%26next%3D{BEHIND}%20"),
]

SDP = "".join(
    f"{line}\r\n"
    for line in (
        "v=0",
        f"o=pbx 77 1 IN IP4 {PBX}",
        f"s=call from {NAME}",
        f"i=through {BEHIND}",
        f"u=http://{NAME}/call",
        f"c=IN IP4 {PBX}",
        "t=0 0",
        "m=audio 4000 RTP/AVP 0",
        f"a=rtcp:4001 IN IP4 {PBX}",
        f"a=candidate:1 1 UDP 2130706431 {BEHIND} 4000 typ host",
        f"a=x-node:{NAME} {SIX}",
        "a=sendrecv",
    )
).encode()

DIALOGS = f"""<?xml version="1.0"?>
<dialog-info xmlns="urn:ietf:params:xml:ns:dialog-info" version="0" state="full"
 entity="sip:200@{NAME}"><dialog id="1" call-id="9@{PBX}" local-tag="a" remote-tag="b"
 direction="initiator"><state>confirmed</state><remote><identity>sip:201@{PBX}</identity>
<target uri="sip:201@{BEHIND}:5062"/></remote><note>on {NAME}</note></dialog></dialog-info>"""
PRESENCE = f"""<?xml version="1.0"?>
<presence xmlns="urn:ietf:params:xml:ns:pidf" entity="pres:200@{NAME}"><tuple id="t">
<status><basic>open</basic></status><contact>sip:200@{PBX}</contact>
<note>at {BEHIND}</note></tuple></presence>"""
WAITING = f"Messages-Waiting: yes\r\nMessage-Account: sip:200@{NAME}\r\n"
FRAGMENT = f'SIP/2.0 503 {NAME} is down\r\nVia: SIP/2.0/UDP {PBX}\r\nWarning: 399 {PBX} "x"\r\n'


class Leaky(Pbx):
    """A PBX that tells where it is, wherever it can."""

    @property
    def contact(self):
        """With its host in places of its own."""
        return f"<sip:pbx@{PBX};maddr={PBX};x-node={NAME}>"

    def ask(self, request, tell):
        request.fields.extend(FIELDS)
        if request.method == "INVITE" and request.body:
            request.body = SDP
        super().ask(request, tell)

    def respond(self, request, response, source):
        fields = [*response.fields, *FIELDS]
        body = SDP if response.body else b""
        reason = f"{response.reason} at {NAME} ({PBX})"
        return super().respond(request, Response(response.status, reason, fields, body), source)


class House:
    """A leaky PBX, a carrier, and dave's phone, which has registered at the PBX."""

    def __init__(self, stage):
        self.stage = stage
        self.pbx = Leaky(stage.network, "pbx", (PBX, 5060), "UDP", stage.address, stage.settle)
        self.pbx.users["dave"] = "secret"
        self.pbx.can()
        self.carrier = stage.phone("carrier", host=CARRIER, register=False)
        self.carrier.can()
        self.dave = stage.phone("dave", password="secret", register=False)
        self.dave.can()
        assert self.dave.register() == 200

    def in_dialog(self, line, far):
        """Everything that can be said within a call is said by the PBX, and answered by it."""
        far.line.answers["INVITE"] = 200
        line.reinvite(SDP)
        for method in ("INFO", "MESSAGE", "OPTIONS"):
            line.request(method)
            far.line.request(method)
        line.update(SDP)
        line.answers["INVITE"] = 200
        far.line.reinvite(far.sdp(version=3))

    def judge(self):
        """Nothing that any of the others has received names a place of the PBX."""
        told = 0
        for phone in (self.carrier, self.dave):
            for received in phone.endpoint.received:
                data = received.data.lower()
                found = [secret for secret in SECRETS if secret in data]
                assert not found, f"{phone.name} sees {found}:\n{received.data.decode()}"
                told += 1
        assert told


@pytest.fixture(name="house")
def _house():
    with Stage(CONFIG, engine=lambda clock: CountingEngine()) as stage:
        house = House(stage)
        yield house
        house.judge()


def outside(house, who):
    """Whom the PBX calls, and by what."""
    if who == "carrier":
        return house.carrier, "900"
    return house.dave, house.pbx.token("dave")


@pytest.mark.parametrize("who", ["carrier", "dave"])
def test_a_call_of_the_pbx(house, who):
    """INVITE, ACK, re-INVITE, UPDATE, everything else within the call, and BYE."""
    far, number = outside(house, who)
    caller = f'"Desk at {NAME}" <sip:200@{PBX}>'
    call = house.pbx.call(number, caller=caller)
    far.ring()
    far.answer()
    assert 200 in call.statuses
    assert far.line.invite.from_.uri.user == "200"
    house.in_dialog(call, far)
    house.pbx.hang_up()


@pytest.mark.parametrize("who", ["carrier", "dave"])
def test_a_call_to_the_pbx(house, who):
    """Its 180, 183 and 200, its answers within the call, and its BYE."""
    far, _ = outside(house, who)
    call = far.call("200")
    house.pbx.ring()
    house.pbx.ring(183, sdp=SDP)
    house.pbx.answer(sdp=SDP)
    assert call.statuses == [180, 183, 200]
    assert call.responses[0].get("X-Node"), "what is listed crosses"
    house.in_dialog(house.pbx.line, far)
    house.pbx.hang_up()


@pytest.mark.parametrize("status", [302, 401, 403, 404, 486, 500, 503, 603])
@pytest.mark.parametrize("who", ["carrier", "dave"])
def test_a_call_that_the_pbx_refuses(house, who, status):
    """Reason phrase, fields and contacts of a refusal."""
    far, _ = outside(house, who)
    call = far.call("200")
    fields = [("WWW-Authenticate", f'Digest realm="pbx", domain="sip:{NAME}", nonce="1"')]
    house.pbx.refuse(status, fields=fields if status == 401 else [])
    if house.pbx.line.open:  # the phone has proved its password
        house.pbx.refuse(480)
    assert call.statuses


@pytest.mark.parametrize("who", ["carrier", "dave"])
def test_a_call_that_the_pbx_cancels(house, who):
    """The Reason of its CANCEL."""
    far, number = outside(house, who)
    house.pbx.call(number)
    far.ring()
    house.pbx.cancel(FIELDS)
    assert far.line.got("CANCEL").get("Reason")


@pytest.mark.parametrize("status", [0, 403, 423, 503])
def test_registrations(house, status):
    """What the PBX says of a registration that it grants or refuses."""
    house.pbx.refusal = status
    house.stage.run(1)
    assert house.dave.register()


@pytest.mark.parametrize("who", ["carrier", "dave"])
def test_messages(house, who):
    """A MESSAGE and its answer, either way; what a person has written is not touched."""
    far, number = outside(house, who)
    text = [("Content-Type", "text/plain")]
    house.pbx.dial(number).request("MESSAGE", text, b"shall we meet?")
    far.dial("200").request("MESSAGE", text, b"at noon")
    assert [r.body for _, r, _ in far.received if getattr(r, "method", "") == "MESSAGE"] == [
        b"shall we meet?"
    ]


@pytest.mark.parametrize(
    ("event", "kind", "body"),
    [
        ("dialog", "application/dialog-info+xml", DIALOGS),
        ("presence", "application/pidf+xml", PRESENCE),
        ("message-summary", "application/simple-message-summary", WAITING),
        ("refer", "message/sipfrag;version=2.0", FRAGMENT),
    ],
)
def test_subscriptions(house, event, kind, body):
    """The documents of what the PBX is subscribed to, be it asked for or not."""
    named = [("Event", event)]
    fields = [*named, ("Subscription-State", "active;expires=60"), ("Content-Type", kind)]
    if event != "refer":
        line = house.dave.dial("200")
        line.request("SUBSCRIBE", named)
        assert line.final == 200
        house.pbx.line.request("NOTIFY", fields, body.encode())
        assert line.requests[-1].body
    house.pbx.dial(house.pbx.token("dave")).request("NOTIFY", fields, body.encode())
    house.stage.run(4000)


@pytest.mark.parametrize("who", ["carrier", "dave"])
def test_transfers(house, who):
    """A REFER of the PBX that is relayed: Refer-To with a Replaces, Referred-By; and what it says
    of one that it was sent."""
    far, number = outside(house, who)
    call = house.pbx.call(number)
    far.answer()
    referred = ("Referred-By", f"<sip:200@{NAME}>")
    call.refer(
        f"sip:201@{BEHIND}:5062?Replaces=9%40{PBX}%3Bto-tag%3Da%3Bfrom-tag%3Db", None, referred
    )
    assert far.line.got("REFER").get("Refer-To")
    far.line.notify("200 OK", "terminated;reason=noresource")
    far.line.refer(f"sip:201@{house.stage.address[0]}")
    call.request(
        "NOTIFY",
        [
            ("Event", "refer"),
            ("Subscription-State", "terminated;reason=noresource"),
            ("Content-Type", "message/sipfrag;version=2.0"),
        ],
        FRAGMENT.encode(),
    )
    house.pbx.hang_up()


def test_several_bodies(house):
    """A session description beside a document: both are looked at."""
    parts = [("application/sdp", SDP.decode()), ("application/pidf+xml", PRESENCE)]
    body = "".join(f"--x\r\nContent-Type: {kind}\r\n\r\n{part}\r\n" for kind, part in parts)
    kind = [("Content-Type", "multipart/mixed;boundary=x")]
    line = house.pbx.dial("900")
    invite = line.compose("INVITE", kind, f"{body}--x--\r\n".encode())
    line.sent = invite
    Pbx.ask(house.pbx, invite, line._response_received)
    house.stage.settle()
    assert b"pidf" in house.carrier.line.invite.body
    house.carrier.answer()
    house.pbx.hang_up()


def test_the_pbx_sees_its_own():
    """Towards itself nothing is hidden."""
    with Stage(CONFIG) as stage:
        house = House(stage)
        house.carrier.call("200", fields=[("X-Node", PBX)])
        assert house.pbx.line.invite.get("X-Node") == PBX
        house.pbx.answer()
        house.carrier.hang_up()


def test_somebody_may_want_it_to_cross():
    """``topology = "show"``: what the trunk says of itself goes on as it is."""
    with Stage(CONFIG.replace("inside = [", 'topology = "show"\ninside = [')) as stage:
        house = House(stage)
        house.pbx.call("900")
        assert house.carrier.line.invite.get("X-Node") == f"{BEHIND}:5062"
        house.carrier.answer()
        house.pbx.hang_up()
