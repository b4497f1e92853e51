"""Phones behind NAT on UDP: kept open, known to be there or not, removed where that is wanted."""

import pytest

from softswitch.errors import ConfigError
from softswitch.ops.config import load
from softswitch.testing.stage import CONFIG, Stage

CRLF = b"\r\n\r\n"
PRIVATE = "<sip:{name}@10.0.0.2:{port}>"


def behind_nat(stage, name="alice", host="127.88.0.60", **where):
    """A phone that is registered, and says to be where nobody can reach it."""
    phone = stage.phone(name, host=host, register=False, **where)
    phone.private = PRIVATE.format(name=name, port=phone.port)
    assert phone.register() == 200
    return phone


def sent(stage, start, host="127.88.0.60"):
    """Seconds at which the switch has sent to a host what begins so, copies too."""
    return [
        at
        for at, _, _, to, data, _ in stage.network.log
        if to[0] == host and data.startswith(start)
    ]


def reachable(stage, user="alice"):
    """Of each contact of a user, whether it is."""
    bindings = stage.house.bindings.contacts(f"{user}@{stage.house.domain}")
    return [binding.reachable for binding in bindings]


def registration(**cells):
    """A configuration that says so of registrations."""
    return {"registration": cells}


def test_options_every_25_seconds():
    """Over the flow on which it registered, to the Contact as the phone wrote it; the first within
    25 s, since a NAT may forget after 30."""
    with Stage() as stage:
        phone = behind_nat(stage)
        stage.run(100)
        first, *later = times = phone.times("OPTIONS")
        assert 0 < first <= 25
        assert later == pytest.approx([first + 25, first + 50, first + 75], abs=0.1)
        assert sent(stage, b"OPTIONS sip:alice@10.0.0.2:5060 SIP/2.0\r\n") == times
        assert reachable(stage) == [True]
        assert stage.house.stats()["counters"]["keep-alive: OPTIONS"] == 4


@pytest.mark.parametrize("transport", ["TCP", "WS"])
def test_connections_are_left_alone(transport):
    """Who has opened one keeps it open himself (RFC 5626 4.4.1)."""
    with Stage() as stage:
        phone = behind_nat(stage, transport=transport)
        stage.run(100)
        assert phone.times("OPTIONS") == []


def test_a_phone_that_is_where_it_says_is_left_alone():
    """No NAT is between, whether its port stands in its Contact or is the usual one."""
    with Stage() as stage:
        alice = stage.phone("alice", register=False)
        alice.private = f"<sip:alice@{alice.host}>"
        assert alice.register() == 200
        bob = stage.phone("bob", port=5070)
        stage.run(100)
        assert alice.times("OPTIONS") == bob.times("OPTIONS") == []


@pytest.mark.parametrize("seconds", [-3600, 3600])
def test_a_clock_that_is_set(seconds):
    """Keep-alives go on: a NAT would have forgotten the phone long before the clock is there
    again."""
    with Stage(registration(keep_alive="crlf")) as stage:
        phone = behind_nat(stage)
        stage.network.silent.add(phone.host)
        stage.run(100)
        before = len(sent(stage, CRLF))
        stage.clock.set_by = seconds
        stage.run(100)
        assert (before, len(sent(stage, CRLF))) == (4, 8)


def test_line_ends():
    """Nobody answers them over UDP (RFC 5626 3.5.1 has STUN there): nothing is known, nobody is
    called unreachable."""
    with Stage(registration(keep_alive="crlf", keep_alive_seconds=20)) as stage:
        phone = behind_nat(stage)
        stage.network.silent.add(phone.host)
        stage.run(200)
        first, *later = sent(stage, CRLF)
        assert later == pytest.approx([first + 20 * number for number in range(1, 10)], abs=0.1)
        assert sent(stage, b"OPTIONS") == []
        assert reachable(stage) == [True]


def test_nothing_where_it_is_off():
    """keep_alive = "off"."""
    with Stage(registration(keep_alive="off")) as stage:
        behind_nat(stage)
        stage.run(100)
        assert sent(stage, CRLF) == sent(stage, b"OPTIONS") == []


def test_who_answers_no_more_is_unreachable_until_he_answers():
    """After three in a row. Calls do not wait for it meanwhile; it stays registered."""
    with Stage() as stage:
        bob = stage.phone("bob")
        phone = behind_nat(stage)
        stage.run(26)
        stage.network.silent.add(phone.host)
        stage.run(75)
        assert reachable(stage) == [True]
        stage.run(25)
        assert reachable(stage) == [False]
        call = bob.call("alice")
        assert call.statuses == [480]
        assert len(sent(stage, b"INVITE")) == 0
        stage.network.silent.clear()
        stage.run(26)
        assert reachable(stage) == [True]
        bob.call("alice")
        phone.refuse(486)
        assert stage.house.stats()["counters"]["keep-alive: unreachable"] == 1


def test_any_answer_is_a_sign_of_life():
    """A phone that does not know the method, or wants a challenge answered, is there."""
    with Stage() as stage:
        phone = behind_nat(stage)
        phone.answers["OPTIONS"] = 405
        stage.run(300)
        assert reachable(stage) == [True]


def test_who_registers_anew_is_reachable_at_once():
    """Its REGISTER has come, after all."""
    with Stage() as stage:
        phone = behind_nat(stage)
        stage.run(26)
        stage.network.silent.add(phone.host)
        stage.run(126)
        assert reachable(stage) == [False]
        stage.network.silent.clear()
        assert phone.register(again=True) == 200
        assert reachable(stage) == [True]


def test_who_has_never_answered_is_believed():
    """It may drop what it does not know, and be called all the same; it is not removed either."""
    with Stage(registration(drop_dead=3)) as stage:
        phone = behind_nat(stage)
        stage.network.silent.add(phone.host)
        stage.run(300)
        assert reachable(stage) == [True]


def test_the_dead_are_removed_where_that_is_wanted():
    """After drop_dead unanswered ones; nothing is sent there any more."""
    with Stage(registration(drop_dead=5)) as stage:
        phone = behind_nat(stage)
        other = behind_nat(stage, host="127.88.0.61", port=5062)
        stage.run(26)
        stage.network.silent.add(phone.host)
        stage.run(125)
        assert sorted(reachable(stage)) == [False, True]
        stage.run(25)
        assert reachable(stage) == [True]
        stage.run(64)
        asked = len(sent(stage, b"OPTIONS"))
        stage.run(100)
        assert len(sent(stage, b"OPTIONS")) == asked
        assert other.times("OPTIONS")[-1] > stage.clock.seconds() - 25


def test_a_phone_that_moves_or_goes_is_not_sent_anything_where_it_was():
    """Its NAT has given it another port; later it takes its binding away."""
    with Stage() as stage:
        phone = behind_nat(stage)
        stage.run(26)
        phone.move(5099)
        assert phone.register(again=True) == 200
        begun = stage.clock.seconds()
        stage.run(100)
        places = {
            to
            for at, _, _, to, data, _ in stage.network.log
            if at > begun and data[:7] == b"OPTIONS"
        }
        assert places == {(phone.host, 5099)}
        assert len(stage.house.keep_alive) == 1
        assert phone.register(0, again=True) == 200
        begun = stage.clock.seconds()
        stage.run(100)
        assert len(stage.house.keep_alive) == 0
        assert [at for at in sent(stage, b"OPTIONS") if at > begun] == []


def test_many_are_asked_one_after_the_other():
    """A thousand registrations that come at once, as after a power cut, or are restored at once:
    in no second are there more than twice their share, and one timer serves all."""
    users = {f"u{number}": {"password": "x"} for number in range(1000)}
    with Stage({**CONFIG, "users": users, "door": {"trusted": ["127.88.0.0/16"]}}) as stage:
        for number, name in enumerate(users):
            behind_nat(stage, name, host=f"127.88.{1 + number // 250}.{1 + number % 250}")
        stage.network.log.clear()
        before = stage.clock.seconds()
        stage.house.keep_alive.stop()
        stage.house.keep_alive.start()
        stage.run(75)
        asked = [
            int(at - before) for at, _, _, _, data, _ in stage.network.log if data[:7] == b"OPTIONS"
        ]
        assert len(asked) == pytest.approx(3000, abs=5)
        assert max(asked.count(second) for second in range(75)) < 80


def test_a_reload_changes_what_is_sent():
    """From now on; who was thought to be unreachable by OPTIONS is not by line ends."""
    with Stage() as stage:
        phone = behind_nat(stage)
        stage.run(26)
        stage.network.silent.add(phone.host)
        stage.run(100)
        assert reachable(stage) == [False]
        stage.reload(registration(keep_alive="crlf"))
        assert reachable(stage) == [True]
        stage.run(64)
        asked = len(sent(stage, b"OPTIONS"))
        stage.run(100)
        assert len(sent(stage, b"OPTIONS")) == asked
        assert len(sent(stage, CRLF)) > 4


@pytest.mark.parametrize(
    ("lines", "wanted"),
    [
        ('keep_alive = "ping"', "registration.keep_alive"),
        ("keep_alive_seconds = 1", "registration.keep_alive_seconds: 5 seconds at least"),
        ('keep_alive = "crlf"\ndrop_dead = 3', "registration.drop_dead: who is dead is known by"),
    ],
)
def test_mistakes_are_named(tmp_path, lines, wanted):
    """The key, and what would be right."""
    file = tmp_path / "softswitch.toml"
    file.write_text(f'[[listen]]\ntransport = "udp"\nbind = "127.0.0.1"\n[registration]\n{lines}\n')
    with pytest.raises(ConfigError) as error:
        load(file)
    assert wanted in str(error.value)
