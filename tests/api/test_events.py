"""Events: what is told to whom, what is kept, and who is let go."""

import json

import pytest

from softswitch.api.events import KEPT, LISTENERS
from softswitch.api.stream import QUEUE
from softswitch.plugin.media import MediaNotice
from softswitch.plugin.record import Silence
from softswitch.testing.stage import Stage

EVENTS = "/api/v1/events"


class Page:
    """A page that listens."""

    def __init__(self, line, query="", last=None, role="look"):
        self.connection = line()
        field = f"Last-Event-ID: {last}\r\n" if last else ""
        fields = f"Host: x\r\nAuthorization: Bearer {role}\r\n{field}"
        self.connection.send(f"GET {EVENTS}{query} HTTP/1.1\r\n{fields}\r\n".encode())
        self.last = ""
        self.head = b""

    def read(self):
        """What has come since: name and data of each event."""
        data = self.connection.wire.value()
        self.connection.wire.clear()
        if not self.head:
            self.head, _, data = data.partition(b"\r\n\r\n")
        found = []
        while data:
            size, _, data = data.partition(b"\r\n")
            chunk, data = data[: int(size, 16)], data[int(size, 16) + 2 :]
            for event in filter(None, chunk.decode().split("\n\n")):
                fields = dict(line.partition(": ")[::2] for line in event.split("\n"))
                if "event" in fields:
                    self.last = fields.get("id", self.last)
                    found.append((fields["event"], json.loads(fields["data"])))
                else:
                    found.append(("sign", None))
        return found

    @property
    def names(self):
        return [name for name, _ in self.read()]


@pytest.fixture(name="page")
def _page(stage, desk, line):
    pages = []

    def listen(*args, **terms):
        pages.append(Page(line, *args, **terms))
        return pages[-1]

    yield listen
    for page in pages:
        page.connection.hang_up()
    stage.run(61)


def test_a_call_is_told_as_it_goes_on(stage, page):
    """It starts, rings, is answered, ends; each with the call as the list shows it."""
    alice, bob = stage.phone("alice"), stage.phone("bob")
    listener = page()
    assert listener.names == ["hello"]
    assert b"text/event-stream" in listener.head
    alice.call("bob")
    bob.ring()
    bob.answer()
    alice.hang_up()
    found = listener.read()
    assert [name for name, _ in found] == [
        "call_started",
        "call_ringing",
        "call_answered",
        "call_ended",
    ]
    assert [data["call"]["state"] for _, data in found] == ["trying", "ringing", *["talking"] * 2]
    assert found[-1][1]["hung_up"] == "caller"
    assert len({data["call"]["id"] for _, data in found}) == 1


def test_registrations_bans_and_silences(stage, desk, page):
    """Each when it happens; topics choose among them."""
    everything, few = page(), page("?topics=bans,media")
    alice = stage.phone("alice")
    desk.ask("POST", "/api/v1/bans", {"network": "203.0.113.9"})
    desk.ask("DELETE", "/api/v1/bans/203.0.113.9")
    bob = stage.phone("bob")
    alice.call("bob")
    bob.answer()
    [call] = stage.house.switch.calls.values()
    silence = Silence("a", "nothing sent", "no packet", 1.0)
    desk.api.events.media_noticed(MediaNotice(call.data.id, silence), call.data.record)
    alice.hang_up()
    assert few.names == ["hello", "ban_made", "ban_lifted", "silence"]
    assert everything.names == [
        *("hello", "registration_added", "ban_made", "ban_lifted", "registration_added"),
        *("call_started", "call_answered", "silence", "call_ended"),
    ]


def test_a_trunk_that_changes(desk_of):
    """Whether its members are up is looked at each second while somebody listens."""
    with Stage({"trunks": {"carrier": {"addresses": ["192.0.2.20"]}}}) as stage:
        desk = desk_of(stage)
        told = []

        class Ear:
            def tell(self, topic, event):
                told.append((topic, event))

            def look(self, sign):
                """Nothing."""

        ear = Ear()
        desk.api.events.listen(ear)
        desk.ask("POST", "/api/v1/trunks/carrier/out")
        stage.run(1)
        assert [topic for topic, _ in told] == [None, "trunks"]
        assert b'"taken_out":true' in told[-1][1]
        desk.api.events.leave(ear)
        stage.run(61)
        assert stage.clock.idle


def test_who_comes_back_goes_on_where_he_was(stage, page):
    """Last-Event-ID: what has happened since comes first; nothing twice, nothing left out."""
    alice, bob = stage.phone("alice"), stage.phone("bob")
    first = page()
    alice.call("bob")
    first.read()
    last = first.last
    first.connection.hang_up()
    bob.ring()
    bob.answer()
    stage.run(30)
    again = page(last=last)
    assert again.names == ["call_ringing", "call_answered"]
    alice.hang_up()
    assert again.names == ["call_ended"]


@pytest.mark.parametrize("last", ["abc", "1-2", "-", "0-1", "9" * 30])
def test_an_id_that_is_not_known_any_more(page, last):
    """reset: whoever listens looks anew."""
    assert page(last=last).names == ["reset"]


def test_who_has_been_away_too_long(stage, desk, page):
    """When nobody has listened for a minute nothing is kept; then it is reset."""
    first = page()
    first.read()
    stage.phone("alice")
    first.read()
    last = first.last
    first.connection.hang_up()
    stage.run(62)
    assert desk.api.events._timer is None
    assert page(last=last).names == ["reset"]


def test_more_than_is_kept_has_happened(stage, desk, page):
    """Then it is reset, too; what is kept is bounded."""
    first = page()
    stage.phone("alice")
    first.read()
    last = first.last
    for number in range(KEPT + 1):
        desk.api.events._tell("bans", "ban_made", {"number": number})
    assert len(desk.api.events._kept) == KEPT
    assert page(last=last).names == ["reset"]


def test_signs_of_life(stage, page):
    """Every 15 seconds a comment, so that nobody on the way closes the connection."""
    listener = page()
    listener.read()
    stage.run(45)
    assert listener.names == ["sign"] * 3


def test_who_does_not_read_costs_its_queue_and_is_let_go(stage, desk, page):
    """So many events wait for it, others are counted; after a minute its connection is cut. Who
    reads is told everything meanwhile."""
    dead, alive = page(), page()
    dead.read()
    alive.read()
    producer = dead.connection.wire.producer
    producer.pauseProducing()
    for number in range(QUEUE + 50):
        desk.api.events._tell("bans", "ban_made", {"number": number})
    assert dead.read() == []
    assert len(alive.read()) == QUEUE + 50
    assert desk.api.events.dropped == 50
    assert len(desk.api.events) == 2
    stage.run(61)
    assert not dead.connection.wire.connected
    assert len(desk.api.events) == 1


def test_who_reads_again_is_told_what_it_has_missed(desk, page):
    """First what waited, then how many were dropped."""
    slow = page()
    slow.read()
    producer = slow.connection.wire.producer
    producer.pauseProducing()
    for number in range(QUEUE + 7):
        desk.api.events._tell("bans", "ban_made", {"number": number})
    producer.resumeProducing()
    found = slow.read()
    assert [name for name, _ in found] == ["ban_made"] * QUEUE + ["dropped"]
    assert found[-1][1] == {"count": 7}


def test_listeners_are_bounded(desk, page):
    """One more gets 503; health and all else is served as before."""
    for _ in range(LISTENERS):
        page()
    assert desk.get(EVENTS).status == 503
    assert desk.get("/api/v1/health/live").status == 200


def test_topics_that_are_none(desk):
    """400, and the problem names the parameter."""
    assert desk.get(f"{EVENTS}?topics=calls,weather").field == "topics"


def test_nobody_listens(stage, desk):
    """Then nothing is written down, and no timer is set."""
    alice, bob = stage.phone("alice"), stage.phone("bob")
    alice.call("bob")
    bob.answer()
    alice.hang_up()
    assert desk.api.events._number == 0
    assert desk.api.events._timer is None


def test_a_token_that_is_taken_away_ends_what_it_has_begun(desk, page):
    """A reload without it: nothing more is told to who listens with it. Others go on listening."""
    kept, gone = page(role="rule"), page(role="look")
    settings = desk.api._gate.settings
    tokens = tuple(each for each in settings.tokens if each.role == "admin")
    desk.api.renew(type(settings)(tokens))
    assert not gone.connection.wire.connected
    gone.connection.hang_up()
    assert kept.connection.wire.connected
    assert len(desk.api.events) == 1
    desk.api.events._tell("bans", "ban_made", {"number": 1})
    assert kept.names == ["hello", "ban_made"]
    assert len(desk.api.factory.streams) == 1
    kept.connection.hang_up()
    assert not desk.api.factory.streams
