"""Bindings: order, expiry, reboot, limit, reachability, restart."""

import attrs
import pytest

from softswitch.errors import PeerError
from softswitch.flow import Flow
from softswitch.registrar.bindings import Binding, Bindings, address_of_record
from softswitch.sip.uri import Uri
from softswitch.testing.clock import VirtualClock

EPOCH = 1_800_000_000.0
AOR = "bob@example.com"
UDP = Flow("lan", "UDP", "127.44.0.1", 5060, "127.44.0.9", 5060)
TCP = Flow("lan", "TCP", "127.44.0.1", 5060, "127.44.0.9", 40001, 7)


class MemoryStore:
    """A store that outlives the Bindings of a test."""

    def __init__(self):
        self.kept = {}

    def load(self):
        return self.kept

    def save(self, aor, bindings):
        self.kept[aor] = bindings


class House:
    """Bindings, their clock, store, and the list of all that the observer was told."""

    def __init__(self, store=None):
        self.clock = VirtualClock()
        self.store = store
        self.bindings = Bindings(self.clock, store, self.now)
        self.told = []
        self.bindings.observers.append(
            lambda change, binding: self.told.append((str(change), binding.contact))
        )
        self.cseq = 0

    def now(self):
        return EPOCH + self.clock.seconds()

    def binding(self, contact, expires=3600, **others):
        self.cseq += 1
        values = {"aor": AOR, "flow": UDP, "call_id": contact, "cseq": self.cseq, **others}
        now = self.now()
        return Binding(contact=contact, registered_at=now, expires_at=now + expires, **values)

    def register(self, contact, expires=3600, limit=10, **others):
        binding = self.binding(contact, expires, **others)
        self.bindings.update(binding.aor, [binding], limit)

    def restore(self, alive=lambda flow: not flow.reliable):
        self.unreadable = []
        return self.bindings.restore(alive, lambda aor, error: self.unreadable.append(aor))

    def found(self, aor=AOR):
        return [binding.contact for binding in self.bindings.lookup(aor)]

    def kept(self, aor=AOR):
        return [binding.contact for binding in self.bindings.contacts(aor)]


def test_highest_q_first_then_the_newest():
    """Look-up is by descending q; among equals the newest registration comes first."""
    house = House()
    house.register("sip:bob@a", q=0.5)
    house.clock.run(1)
    house.register("sip:bob@b", q=0.5)
    house.clock.run(1)
    house.register("sip:bob@c", q=0.1)
    house.register("sip:bob@d")
    assert house.found() == ["sip:bob@d", "sip:bob@b", "sip:bob@a", "sip:bob@c"]
    assert house.found("alice@example.com") == []


def test_a_binding_goes_at_its_second():
    """Unless refreshed a binding expires (10.2.2), at its second; one timer serves them all."""
    house = House(MemoryStore())
    house.register("sip:bob@a", 60)
    house.register("sip:bob@b", 90)
    house.register("sip:alice@c", 75, aor="alice@example.com")
    assert house.clock.waiting == 1
    house.clock.run(59.999)
    assert house.found() == ["sip:bob@a", "sip:bob@b"]
    house.clock.run(0.001)
    assert house.found() == ["sip:bob@b"]
    assert house.told[3:] == [("removed", "sip:bob@a")]
    house.clock.run(30)
    assert house.told[4:] == [("removed", "sip:alice@c"), ("removed", "sip:bob@b")]
    assert house.store.kept == {AOR: [], "alice@example.com": []}
    assert house.clock.idle
    assert len(house.bindings) == 0


def test_a_refresh_puts_the_expiry_off():
    """A refreshed binding lives until its new expiry, be that later or earlier."""
    house = House()
    house.register("sip:bob@a", 60)
    house.clock.run(50)
    house.register("sip:bob@a", 60)
    house.clock.run(59)
    assert house.found() == ["sip:bob@a"]
    house.register("sip:bob@a", 3600)
    house.register("sip:bob@a", 10)
    house.clock.run(10)
    assert house.found() == []
    assert house.told == [
        ("added", "sip:bob@a"),
        ("refreshed", "sip:bob@a"),
        ("refreshed", "sip:bob@a"),
        ("refreshed", "sip:bob@a"),
        ("removed", "sip:bob@a"),
    ]
    assert house.clock.idle


def test_a_leap_of_the_wall_clock_does_not_keep_what_has_expired():
    """The timer may be late by the wall clock; look-up is not."""
    clock = VirtualClock()
    leap = [0.0]
    bindings = Bindings(clock, None, lambda: EPOCH + clock.seconds() + leap[0])
    binding = Binding(AOR, "sip:bob@a", UDP, "id", 1, EPOCH, EPOCH + 60)
    bindings.update(AOR, [binding], 1)
    leap[0] = 100
    assert bindings.lookup(AOR) == []
    leap[0] = -100
    clock.run(60)
    assert bindings.lookup(AOR) == [binding]
    clock.run(100)
    assert len(bindings) == 0
    assert clock.idle


def test_contacts_are_compared_as_uris():
    """The binding is found by the comparison of RFC 3261 19.1.4 (10.3 step 7)."""
    house = House()
    house.register("sip:%62ob@HOST.example.com;newparam=5", call_id="id")
    house.register("sip:bob@host.example.com", call_id="id")
    assert house.kept() == ["sip:bob@host.example.com"]
    house.register("sip:bob@host.example.com:5060", call_id="id")
    assert len(house.kept()) == 2
    house.register("sip:BOB@host.example.com", call_id="id")
    assert len(house.kept()) == 3


def test_older_than_the_binding_is_refused_whole():
    """Same Call-ID and a CSeq that is not higher: nothing at all happens (10.3 step 7)."""
    house = House(store := MemoryStore())
    house.register("sip:bob@b", call_id="id", cseq=9)
    before = house.bindings.contacts(AOR)
    kept = dict(store.kept)
    for cseq in (8, 9):
        request = [
            house.binding("sip:bob@a", call_id="id", cseq=cseq),
            house.binding("sip:bob@b", call_id="id", cseq=cseq),
        ]
        with pytest.raises(PeerError) as refused:
            house.bindings.update(AOR, request, 10)
        assert refused.value.status == 500
        with pytest.raises(PeerError):
            house.register("sip:bob@b", 0, call_id="id", cseq=cseq)
        with pytest.raises(PeerError):
            house.bindings.remove_all(AOR, "id", cseq)
    assert house.bindings.contacts(AOR) == before
    assert store.kept == kept
    assert house.told == [("added", "sip:bob@b")]
    house.register("sip:bob@b", call_id="another", cseq=1)
    assert house.told[1:] == [("refreshed", "sip:bob@b")]


def test_remove_all_checks_every_binding_first():
    """``*`` removes all or, when older than one of them, none (10.3 step 6)."""
    house = House()
    house.register("sip:bob@a", call_id="one", cseq=1)
    house.register("sip:bob@b", call_id="two", cseq=9)
    with pytest.raises(PeerError):
        house.bindings.remove_all(AOR, "two", 9)
    assert house.kept() == ["sip:bob@a", "sip:bob@b"]
    house.bindings.remove_all(AOR, "two", 10)
    assert house.kept() == []
    assert house.clock.idle


def test_a_rebooted_phone_replaces_its_binding_by_instance():
    """The same ``+sip.instance`` is the same phone, wherever it is now."""
    house = House()
    house.register("sip:bob@127.44.0.9:5060", instance='"<urn:uuid:1>"', user_agent="Phone")
    house.register("sip:bob@127.44.0.8:6000", instance='"<urn:uuid:1>"')
    house.register("sip:bob@127.44.0.9:7000", instance='"<urn:uuid:2>"', user_agent="Phone")
    assert sorted(house.kept()) == ["sip:bob@127.44.0.8:6000", "sip:bob@127.44.0.9:7000"]


def test_a_rebooted_phone_replaces_its_binding_by_user_agent_and_source():
    """Without an instance: same User-Agent, same source host, new Call-ID."""
    house = House()
    house.register("sip:bob@127.44.0.9:5060", user_agent="Phone")
    house.register("sip:bob@127.44.0.9:6000", user_agent="Phone")
    assert house.kept() == ["sip:bob@127.44.0.9:6000"]
    assert house.told[1:] == [
        ("removed", "sip:bob@127.44.0.9:5060"),
        ("added", "sip:bob@127.44.0.9:6000"),
    ]
    elsewhere = UDP._replace(remote_host="127.44.0.8")
    house.register("sip:bob@127.44.0.9:7000", user_agent="Phone", flow=elsewhere)
    house.register("sip:bob@127.44.0.9:8000", user_agent="Other")
    house.register("sip:bob@127.44.0.9:9000")
    house.register("sip:bob@127.44.0.9:9001")
    assert len(house.kept()) == 5


def test_a_phone_that_has_not_rebooted_adds_contacts():
    """One boot has one Call-ID (10.2.4): another contact under it is one more, and so are
    several contacts of one request."""
    house = House()
    house.register("sip:bob@a", user_agent="Phone", call_id="boot")
    house.register("sip:bob@b", user_agent="Phone", call_id="boot")
    assert house.kept() == ["sip:bob@a", "sip:bob@b"]
    both = [
        house.binding(contact, user_agent="Phone", call_id="reboot", cseq=1)
        for contact in ("sip:bob@c", "sip:bob@d")
    ]
    house.bindings.update(AOR, both, 10)
    assert house.kept() == ["sip:bob@c", "sip:bob@d"]


def test_removing_one_contact_leaves_the_phone_its_others():
    """Expiry 0 is about that contact alone, whoever asks."""
    house = House()
    house.register("sip:bob@a", user_agent="Phone")
    house.register("sip:bob@old", 0, user_agent="Phone")
    assert house.kept() == ["sip:bob@a"]


def test_at_the_limit_the_oldest_goes_and_the_unreachable_before_it():
    """The contact that was registered longest ago goes; one that cannot be reached goes first."""
    house = House()
    for contact in ("sip:bob@a", "sip:bob@b", "sip:bob@c"):
        house.register(contact, limit=3)
        house.clock.run(1)
    house.register("sip:bob@a", limit=3)
    house.clock.run(1)
    house.register("sip:bob@d", limit=3, flow=TCP)
    assert house.kept() == ["sip:bob@c", "sip:bob@a", "sip:bob@d"]
    house.bindings.flow_closed(TCP)
    house.register("sip:bob@e", limit=3)
    assert house.kept() == ["sip:bob@c", "sip:bob@a", "sip:bob@e"]


def test_one_request_cannot_exceed_the_limit():
    """More contacts than are allowed: 403 and nothing done. With a limit of 0, nobody."""
    house = House()
    house.register("sip:bob@a")
    three = [house.binding(f"sip:bob@{n}") for n in range(3)]
    with pytest.raises(PeerError) as refused:
        house.bindings.update(AOR, three, 2)
    assert refused.value.status == 403
    with pytest.raises(PeerError):
        house.bindings.update(AOR, three[:1], 0)
    assert house.kept() == ["sip:bob@a"]


def test_the_same_contact_twice_in_a_request_is_one():
    """The later of two equal contacts of a request counts."""
    house = House()
    twice = [house.binding("sip:bob@a", 60), house.binding("sip:bob@A", 90)]
    house.bindings.update(AOR, twice, 1)
    assert house.kept() == ["sip:bob@A"]
    undone = [house.binding("sip:bob@b"), house.binding("sip:bob@b", 0)]
    house.bindings.update(AOR, undone, 1)
    assert house.kept() == ["sip:bob@A"]


def test_a_closed_connection_makes_its_bindings_unreachable_at_once():
    """Bound still, but not found, until the phone registers on a new connection."""
    house = House()
    house.register("sip:bob@a", flow=TCP, call_id="boot")
    house.register("sip:bob@b")
    house.register("sip:carol@c", flow=TCP, aor="carol@example.com")
    house.bindings.flow_closed(TCP._replace(serial=8))
    assert house.found() == ["sip:bob@a", "sip:bob@b"]
    house.bindings.flow_closed(TCP)
    house.bindings.flow_closed(TCP)
    assert house.found() == ["sip:bob@b"]
    assert house.found("carol@example.com") == []
    assert house.kept() == ["sip:bob@a", "sip:bob@b"]
    house.register("sip:bob@a", flow=TCP._replace(serial=9), call_id="boot")
    house.bindings.flow_closed(TCP)
    assert sorted(house.found()) == ["sip:bob@a", "sip:bob@b"]


def test_a_phone_with_two_flows_is_found_once():
    """On the flow that it has registered last; on the other one at once, when that is gone
    (RFC 5626 4.2, 6). Both may bear the same contact, and another phone of the user rings too."""
    house = House()
    other = TCP._replace(serial=8)
    phone = {"instance": '"<urn:uuid:1>"', "call_id": "boot"}
    house.register("sip:bob@page.invalid", flow=TCP, reg_id=1, **phone)
    house.clock.run(1)
    house.register("sip:bob@page.invalid", flow=other, reg_id=2, **phone)
    house.clock.run(1)
    house.register("sip:bob@desk", instance='"<urn:uuid:2>"')
    assert len(house.bindings) == 3
    assert house.found() == ["sip:bob@desk", "sip:bob@page.invalid"]
    assert house.bindings.lookup(AOR)[1].flow == other
    house.bindings.flow_closed(other)
    assert house.bindings.lookup(AOR)[1].flow == TCP
    house.bindings.flow_closed(TCP)
    assert house.found() == ["sip:bob@desk"]


def test_a_flow_takes_the_place_of_the_one_with_its_number():
    """Whatever its contact is now; what has no number takes the place of both (RFC 5626 6)."""
    house = House()
    phone = {"instance": '"<urn:uuid:1>"', "flow": TCP}
    house.register("sip:bob@a.invalid", reg_id=1, **phone)
    house.register("sip:bob@a.invalid", reg_id=2, **phone)
    house.register("sip:bob@b.invalid", reg_id=1, **phone)
    assert house.told == [
        ("added", "sip:bob@a.invalid"),
        ("added", "sip:bob@a.invalid"),
        ("removed", "sip:bob@a.invalid"),
        ("added", "sip:bob@b.invalid"),
    ]
    assert [binding.key for binding in house.bindings.contacts(AOR)] == [
        ("sip:bob@a.invalid", 2),
        ("sip:bob@b.invalid", 1),
    ]
    house.register("sip:bob@c.invalid", **phone)
    assert [binding.key for binding in house.bindings.contacts(AOR)] == [("sip:bob@c.invalid", 0)]


def test_a_phone_that_lost_its_connection_replaces_its_binding():
    """Within one boot too, when the earlier contact cannot be reached any more."""
    house = House()
    house.register("sip:bob@a:40001", flow=TCP, call_id="boot", user_agent="Phone")
    house.bindings.flow_closed(TCP)
    again = TCP._replace(remote_port=40002, serial=8)
    house.register("sip:bob@a:40002", flow=again, call_id="boot", user_agent="Phone")
    assert house.kept() == ["sip:bob@a:40002"]


def test_after_a_restart_udp_is_reachable_and_tcp_awaited():
    """Bindings outlive the process; a UDP flow is rebuilt, a connection is not; what expired
    meanwhile goes."""
    first = House(store := MemoryStore())
    first.register("sip:bob@udp", q=0.3, instance='"<urn:uuid:1>"', user_agent="Phone")
    first.register("sip:bob@tcp", flow=TCP)
    first.register("sip:carol@c", 5, aor="carol@example.com")
    before = first.bindings.contacts(AOR)
    first.bindings.stop()
    assert first.clock.idle

    second = House(store)
    second.clock.run(10)
    assert second.restore() == 3
    udp, tcp = second.bindings.contacts(AOR)
    assert udp == before[0]
    assert tcp == attrs.evolve(before[1], reachable=False)
    assert second.found() == ["sip:bob@udp"]
    second.clock.run(1)
    assert store.kept["carol@example.com"] == []
    second.clock.run(3600)
    assert len(second.bindings) == 0
    assert second.clock.idle


def test_after_a_restart_without_its_listener_a_phone_is_awaited():
    """The configuration may have changed meanwhile: nothing can be sent on that flow."""
    first = House(store := MemoryStore())
    first.register("sip:bob@udp")
    second = House(store)
    assert second.restore(alive=lambda flow: False) == 1
    assert second.found() == []
    second.register("sip:bob@udp", call_id="new")
    assert second.found() == ["sip:bob@udp"]


@pytest.mark.parametrize(
    "damage",
    [
        5,
        None,
        "x",
        {},
        {"contact": "nothing that can be called"},
        {"flow": ["lan"]},
        {"expires_at": "soon"},
    ],
)
def test_what_cannot_be_read_back_is_passed_over(damage):
    """It is told of and stops nothing: neither the start, nor the other bindings of that address,
    nor the phone's next registration."""
    first = House(store := MemoryStore())
    first.register("sip:bob@a")
    first.register("sip:bob@b")
    first.register("sip:carol@c", aor="carol@example.com")
    row = store.kept[AOR]
    row[0] = {**row[0], **damage} if isinstance(damage, dict) and damage else damage
    second = House(store)
    assert second.restore() == 2
    assert second.unreadable == [AOR]
    assert second.found() == ["sip:bob@b"]
    second.register("sip:bob@a", call_id="new")
    assert [each["contact"] for each in store.kept[AOR]] == ["sip:bob@b", "sip:bob@a"]


def test_without_a_store_nothing_is_restored():
    """A switch may keep its bindings in memory alone."""
    assert House().restore() == 0


def test_the_canonical_address_of_record():
    """Parameters go, escapes are undone, case stays, one name stands for every host of ours
    (10.3 step 5)."""
    for text in (
        "sip:bob@example.com",
        "sips:b%6Fb@127.44.0.1:5060;user=phone;transport=tcp",
        "sip:bob:secret@EXAMPLE.com?Subject=x",
    ):
        assert address_of_record(Uri.parse(text), "example.com") == AOR
    assert address_of_record(Uri.parse("sip:Bob@example.com"), "example.com") != AOR
