"""How wide a request may be forked by the proxy: RFC 5393."""

import pytest

from softswitch.plugin.decisions import Target
from softswitch.testing.stage import CONFIG

FAR = "127.88.0.60"


def at(number, **cells):
    """A target at a far host."""
    return Target(f"sip:{number}@{FAR}", **cells)


def invited(peer):
    """The INVITEs that have come, each once."""
    found = {}
    for _, message, _ in peer.received:
        if getattr(message, "method", "") == "INVITE":
            found.setdefault(message.top_via.branch, message)
    return list(found.values())


@pytest.mark.parametrize(
    ("came", "goes"),
    [
        (None, ["20", "20", "20"]),
        ("7", ["3", "2", "2"]),
        ("3", ["1", "1", "1"]),
        ("4000", ["20", "20", "20"]),
    ],
)
def test_it_is_shared_out(proxying, came, goes):
    """Every copy has a share, and one only; together they have what came, and 60 where nothing did
    or more than that (5.3.3)."""
    stage = proxying(*(at(number, group=1) for number in range(3)))
    alice, far = stage.phone("alice"), stage.peer(FAR)
    fields = [] if came is None else [("Max-Breadth", came)]
    line = alice.call("bob", fields=fields)
    assert [request.all("Max-Breadth") for request in invited(far)] == [[each] for each in goes]
    line.cancel()
    stage.run(40)


@pytest.mark.parametrize("came", ["2", "0"])
def test_too_narrow(proxying, came):
    """440, and nothing is sent (5.3.3)."""
    stage = proxying(*(at(number, group=1) for number in range(3)))
    alice, far = stage.phone("alice"), stage.peer(FAR)
    assert alice.call("bob", fields=[("Max-Breadth", came)]).statuses == [440]
    assert not far.received


def test_unreadable(proxying):
    """400."""
    stage = proxying(at(1))
    alice = stage.phone("alice")
    assert alice.call("bob", fields=[("Max-Breadth", "wide")]).statuses == [400]


def test_too_many_at_once(proxying):
    """More than the switch allows get 440 however wide the request may be; the record says so."""
    stage = proxying(
        *(at(number, group=1) for number in range(3)),
        config={**CONFIG, "limits": {"forks": {"at_once": 2}}},
    )
    alice, far = stage.phone("alice"), stage.peer(FAR)
    assert alice.call("bob").statuses == [440]
    assert not far.received
    assert stage.records[0].limit == "forks at_once 2"


def test_messages_are_forked_no_wider(proxying):
    """What is no call has the same bounds."""
    stage = proxying(*(at(number, group=1) for number in range(2)))
    alice, far = stage.phone("alice"), stage.peer(FAR)
    alice.send(alice.request("MESSAGE", "sip:bob@127.88.0.1", fields=[("Max-Breadth", "1")]))
    assert not far.received
