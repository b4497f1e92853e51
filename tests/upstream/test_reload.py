"""What a reload does to our registrations: those that stay the same are not touched."""

import attrs

from softswitch.testing.stage import Stage

FIRST, SECOND = "127.88.0.101", "127.88.0.102"


def reload(stage, **changed):
    """Read the configuration anew, in which our trunk is another; None to have none at all."""
    config = stage.house.config
    table = config.trunks["carrier"]
    register = {key: changed.pop(key) for key in ("expires", "contact_user") if key in changed}
    if "registrars" in changed:
        hosts = changed.pop("registrars")
        by_text = {str(each): each for each in table.addresses}
        register["registrars"] = tuple(by_text[host] for host in hosts)
    changed.setdefault("register", attrs.evolve(table.register, **register))
    trunks = {"carrier": attrs.evolve(table, **changed)}
    stage.house.reload(attrs.evolve(config, trunks=trunks))
    stage.run(0)


def test_what_stays_the_same_is_not_touched(play):
    """No REGISTER is sent; calls go on there."""
    stage, registrar = play()
    stage.run(10)
    reload(stage, headers={"X-New": "1"})
    stage.run(1)
    assert len(registrar.asked) == 1
    (target,) = stage.house.premises.trunks.find("carrier").targets("1")
    assert (target.headers, target.flow.remote_host) == ({"X-New": "1"}, FIRST)


def test_what_has_changed_is_registered_over_again(play):
    """At once, in the same dialog of REGISTERs, with what is said now."""
    stage, registrar = play()
    stage.run(10)
    reload(stage, expires=600, password="changed")
    assert registrar.times == [0, 10]
    assert registrar.last.expires == 600
    assert registrar.last.call_id == registrar.asked[0][1].call_id


def test_a_new_password_is_tried_at_once(play):
    """Nobody waits for the back-off of the wrong one."""
    stage, registrar = play()
    registrar.answers = [403]
    stage.run(10)
    reload(stage, password="right")
    assert registrar.times == [0, 10]


def test_what_is_not_wanted_any_more_is_unregistered(play):
    """And its Contact is nobody's."""
    stage, registrar = play()
    stage.run(10)
    reload(stage, register=None)
    assert (registrar.last.expires, registrar.times) == (0, [0, 10])
    assert stage.house.stats()["registered_at"] == []
    assert stage.house.upstream.tokens == {}


def test_another_registrar(play):
    """The old one is left, the new one asked."""
    stage, first, second = play(
        FIRST, SECOND, trunk={"addresses": [FIRST, SECOND]}, registrars=[FIRST]
    )
    stage.run(10)
    reload(stage, registrars=[SECOND])
    assert [each.expires for _, each in first.asked] == [3600, 0]
    assert [each.expires for _, each in second.asked] == [3600]


def test_another_contact(play):
    """The old one is un-registered, the new one registered."""
    stage, registrar = play()
    stage.run(10)
    reload(stage, contact_user="me")
    found = {each.contacts[0].uri.user: each.expires for _, each in registrar.asked}
    assert list(found.values()) == [0, 3600]
    assert found["me"] == 3600


def test_a_reload_before_the_start_registers_nothing():
    """Ports come first."""
    stage = Stage()
    stage.house.reload(stage.house.config)
    assert stage.network.log == []
    stage.close()
