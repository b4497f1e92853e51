"""A switch that stops: new calls are refused, those that stand are served, then ended."""


def test_new_calls_are_refused(stage):
    """503, with a record; the calls that stand go on, re-INVITE and all."""
    alice, bob, carol = (stage.phone(name) for name in ("alice", "bob", "carol"))
    line = alice.call("bob")
    bob.answer()
    stage.house.switch.draining = True
    assert carol.call("bob").statuses == [503]
    line.reinvite(alice.sdp("sendonly", version=2))
    bob.line.respond(200, sdp=bob.sdp("recvonly", version=2))
    assert line.statuses == [200]
    bob.hang_up()
    assert line.over
    assert [record.status for record in stage.records] == [503, 200]


def test_what_stands_is_hung_up(stage):
    """Both legs of a call get a BYE, and the record says who ended it."""
    alice, bob = stage.phone("alice"), stage.phone("bob")
    line = alice.call("bob")
    bob.answer()
    stage.house.switch.shut()
    stage.settle()
    assert line.methods == ["BYE"]
    assert bob.line.methods == ["INVITE", "ACK", "BYE"]
    (record,) = stage.records
    assert (record.hung_up, record.status, record.reason) == ("switch", 200, "Switch stops")


def test_what_rings_is_cancelled(stage):
    """The caller is told 503."""
    alice, bob = stage.phone("alice"), stage.phone("bob")
    line = alice.call("bob")
    bob.ring()
    stage.house.switch.shut()
    stage.settle()
    assert line.statuses == [180, 503]
    assert bob.line.methods == ["INVITE", "CANCEL", "ACK"]


def test_a_reinvite_that_is_open(stage):
    """It is answered before the BYE."""
    alice, bob = stage.phone("alice"), stage.phone("bob")
    line = alice.call("bob")
    bob.answer()
    line.reinvite(alice.sdp("sendonly", version=2))
    stage.house.switch.shut()
    stage.settle()
    assert line.statuses == [487]
    assert line.methods == ["BYE"]
    assert bob.line.over
