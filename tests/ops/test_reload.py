"""A reload: what comes from now on is served as the new configuration says, what runs as before."""

import json
from weakref import finalize

import pytest
from twisted.internet.defer import Deferred
from twisted.python.failure import Failure
from zope.interface import implementer

from softswitch.errors import ConfigError
from softswitch.ops.reloader import Reloader
from softswitch.plugin.decisions import Proxy, Route
from softswitch.plugin.interfaces import ICallObserver, IRouter, IUserDirectory
from softswitch.plugin.views import User
from softswitch.policy.chain import Policy
from softswitch.policy.located import Located
from softswitch.testing.stage import CONFIG, Stage

#: The policies of the stage, but for what follows redirections.
WITHOUT_FOLLOW = {
    "policy": [
        {"use": "trunks"},
        {"use": "users"},
        {"use": "registration"},
        {"use": "located"},
    ]
}


@implementer(ICallObserver)
class Told:
    """Notes what it is told."""

    def __init__(self):
        self.facts = []

    def call_started(self, record):
        self.facts.append("started")

    def call_ringing(self, record):
        self.facts.append("ringing")

    def call_answered(self, record):
        self.facts.append("answered")

    def call_ended(self, record):
        self.facts.append("ended")


def asked_of(house, router):
    """Have a router of the present policies' asked first."""
    asked = house.policies._routing.asked
    asked.insert(0, (asked[0][0], router.route))


def test_new_calls_go_by_the_new_policies():
    """Users, policies and their order are those of the new file, for calls, registrations and
    what is admitted alike; registrations and their nonces stay."""
    with Stage() as stage:
        alice, bob = stage.phone("alice"), stage.phone("bob")
        users = {"alice": {"password": "alice"}, "dora": {"password": "dora"}}
        redirects = {"use": "redirects", "users": {"bob": ["sip:x@192.0.2.1"]}}
        stage.reload({"users": users, "policy": [redirects, *WITHOUT_FOLLOW["policy"]]})
        assert alice.call("bob").statuses == [302]
        stage.phone("dora")
        assert bob.register() == 401  # nobody of that name any more
        assert alice.register() == 200
        assert len(stage.house.bindings) == 3
        bob.unread.clear()


@pytest.mark.parametrize(("before", "after"), [("MD5", "SHA-256"), ("SHA-256", "MD5")])
def test_other_algorithms(before, after):
    """Challenges ask for what is accepted from now on: a phone that can do it registers and calls,
    and no password is proved in the old way any more (RFC 8760)."""
    with Stage({"auth": {"algorithms": [before]}}) as stage:
        alice, bob = stage.phone("alice"), stage.phone("bob")
        stage.reload({"auth": {"algorithms": [after]}})
        assert alice.register() == 200
        call = alice.call("bob")
        bob.answer()
        assert call.statuses == [200]
        alice.hang_up()
        challenges = [
            message.get("WWW-Authenticate")
            for _, message, _ in alice.received
            if message.get("WWW-Authenticate") is not None
        ]
        assert f"algorithm={before}," in challenges[0]
        assert f"algorithm={after}," in challenges[-1]


def test_a_running_call_keeps_the_policies_that_it_began_with():
    """A redirection that comes after a reload is followed as the policy of the beginning has it;
    that of a later call is passed on, since nothing follows any more."""
    with Stage() as stage:
        alice, bob, carol = (stage.phone(name) for name in ("alice", "bob", "carol"))
        first = alice.call("bob")
        stage.reload(WITHOUT_FOLLOW)
        bob.refuse(302, fields=[("Contact", f"<sip:carol@{stage.address[0]}>")])
        carol.answer()
        assert first.statuses == [200]
        alice.hang_up()
        second = alice.call("bob")
        bob.refuse(302, fields=[("Contact", f"<sip:carol@{stage.address[0]}>")])
        assert second.statuses == [302]


@pytest.mark.parametrize("forwarded", [False, True])
def test_an_observer_hears_whole_stories(forwarded):
    """Who was told that a call began is told that it ends, and nobody else: a plug-in that counts
    calls counts right whatever is reloaded meanwhile. Observers of the switch itself hear all."""

    @implementer(IRouter)
    class Forwards:
        def route(self, invite):
            return Proxy([bob.contact.strip("<>")]) if forwarded else None

    own = Told()
    with Stage(plug_ins=[Forwards()]) as stage:
        alice, bob = stage.phone("alice"), stage.phone("bob")
        old, new = Told(), Told()
        stage.house.policies.observe(Policy("old", old))
        stage.house.observe(Policy("own", own))
        alice.call("bob")
        stage.reload()
        stage.house.policies.observe(Policy("new", new))
        bob.ring()
        bob.answer()
        alice.hang_up()
        assert old.facts == ["started", "ringing", "answered", "ended"]
        assert new.facts == []
        assert own.facts == old.facts


def test_a_refused_reload_changes_nothing():
    """A policy that does not load, or does not start, leaves everything as it was, also where
    those before it were sound."""
    with Stage() as stage:
        alice, bob = stage.phone("alice"), stage.phone("bob")
        before = (stage.house.premises, stage.house.policies)
        for broken in ({"use": "locatd"}, {"use": "dialplan", "rules": [{"match": "("}]}):
            with pytest.raises(ConfigError):
                stage.reload({"users": {}, "policy": [{"use": "users"}, broken]})
        assert (stage.house.premises, stage.house.policies) == before
        alice.call("bob")
        bob.answer()
        alice.hang_up()


@pytest.mark.parametrize(
    ("tables", "key"),
    [
        ({"listen": [{"transport": "udp", "bind": "127.88.0.2"}]}, "listen"),
        ({"media": {"engine": "bypass"}}, "media"),
        ({"store": {"path": "other.sqlite"}}, "store"),
        ({"switch": {"domains": ["example.org"]}}, "switch.domains"),
        ({"switch": {"state_directory": "elsewhere"}}, "switch.state_directory"),
    ],
)
def test_what_takes_a_restart_is_said(tables, key):
    """Sockets, files and whose registrations they are: refused, with the key."""
    with Stage() as stage:
        with pytest.raises(ConfigError) as caught:
            stage.reload(tables)
        assert str(caught.value) == f"{key}: a change here takes a restart of the switch"


def test_limits_and_times_are_those_of_the_new_file():
    """What a policy, a call and a subscription may take; the realm, and how long a nonce lives."""

    @implementer(IRouter)
    class Slow:
        async def route(self, invite):
            await Deferred()

    with Stage(plug_ins=[Slow()]) as stage:
        alice = stage.phone("alice")
        alice.can()
        stage.reload(
            {
                "switch": {"policy_seconds": 1, "try_seconds": 1},
                "subscriptions": {"per_user": 1, "min_expires": 7, "max_expires": 90},
                "limits": {"max_fields": 200},
                "auth": {"nonce_seconds": 7},
            }
        )
        call = alice.call("bob")
        stage.run(0.9)
        assert call.statuses == []
        stage.run(0.2)
        assert call.statuses == [500]
        assert stage.house.premises.nonces.lifetime == 7
        assert stage.house.transport.limits.max_fields == 200
        lamp = alice.dial("bob")
        lamp.request("SUBSCRIBE", [("Event", "dialog"), ("Expires", "600")])
        assert lamp.replies[-1].expires == 90
        lamp.request("SUBSCRIBE", [("Event", "dialog"), ("Expires", "0")])


def test_a_trunk_of_the_new_file_is_known_at_once():
    """To admission, by its network, and to the dial plan of the same file."""
    with Stage() as stage:
        gateway = stage.peer("127.88.0.99", name="gateway")
        stage.reload(
            {
                "trunks": {"carrier": {"addresses": ["127.88.0.99"]}},
                "policy": [
                    {"use": "trunks"},
                    {"use": "dialplan", "rules": [{"match": "9.*", "trunk": "carrier"}]},
                ],
            }
        )
        invite = gateway.request("INVITE", f"sip:100@{stage.address[0]}")
        gateway.send(invite)
        stage.settle()
        assert gateway.expect(404)


def test_a_router_of_a_running_transfer_is_the_old_one():
    """A blind transfer after the reload asks the routers of the call's beginning."""
    asked = []

    @implementer(IRouter)
    class Says:
        def __init__(self, name):
            self.name = name

        def route(self, invite):
            asked.append(self.name)
            return Route([phones[invite.uri.user].contact.strip("<>")])

    with Stage() as stage:
        phones = {name: stage.phone(name) for name in ("alice", "bob", "carol")}
        alice, bob, carol = phones.values()
        for phone in phones.values():
            phone.can()
        house = stage.house
        asked_of(house, Says("old"))
        line = alice.call("bob")
        bob.answer()
        stage.reload()
        asked_of(house, Says("new"))
        line.refer(f"sip:carol@{stage.address[0]}")
        stage.run(1)
        carol.answer()
        stage.run(1)
        assert asked == ["old", "old"]
        bob.hang_up()


@implementer(ICallObserver)
class Stops(Told):
    """Told too that nobody asks it any more."""

    def __init__(self, stop):
        super().__init__()
        self.stopping = stop

    def stop(self):
        self.facts.append("stopped")
        return self.stopping()


def loaded(house, plug_in):
    """Have it among the policies that the configuration has loaded."""
    policy = Policy("stops", plug_in)
    house.policies.policies = (*house.policies.policies, policy)
    house.policies.observe(policy)


def test_a_policy_stops_when_its_last_call_has_ended():
    """Not when it is replaced: the call that began with it is told to the end first."""
    with Stage() as stage:
        alice, bob = stage.phone("alice"), stage.phone("bob")
        plug_in = Stops(lambda: None)
        loaded(stage.house, plug_in)
        alice.call("bob")
        stage.reload()
        bob.answer()
        stage.run(40)
        assert plug_in.facts == ["started", "answered"]
        alice.hang_up()
        stage.run(40)
        assert plug_in.facts == ["started", "answered", "ended", "stopped"]


def test_all_policies_stop_with_the_switch():
    """Those of the configuration, and those that are only kept for a call; who has something to
    finish is waited for, and one that raises keeps nobody else from it."""
    with Stage() as stage:
        alice, _ = stage.phone("alice"), stage.phone("bob")
        finished = Deferred()
        old, broken, new = Stops(lambda: finished), Stops(lambda: 1 / 0), Stops(lambda: None)
        loaded(stage.house, old)
        alice.call("bob")
        stage.reload()
        loaded(stage.house, broken)
        loaded(stage.house, new)
        (wait,) = stage.house.stop_policies()
        assert not wait.called
        finished.callback(None)
        assert wait.called
        assert [each.facts[-1] for each in (old, broken, new)] == ["stopped"] * 3
        alice.cancel()


def test_policies_before_one_that_does_not_start_are_stopped_again(monkeypatch):
    """A refused reload leaves nothing of the new policies behind."""
    stopped = []
    monkeypatch.setattr(Located, "stop", lambda self: stopped.append(self), raising=False)
    with Stage() as stage:
        with pytest.raises(ConfigError):
            stage.reload({"policy": [{"use": "located", "ring_seconds": 7}, {"use": "locatd"}]})
        assert [each.ring_seconds for each in stopped] == [7]
        monkeypatch.undo()


def test_nothing_keeps_policies_that_nobody_asks():
    """Neither checks of gateways, nor fronts, nor watchers, nor a directory of users: those of the
    beginning go as those of later do."""

    @implementer(IUserDirectory)
    class Directory:
        def find(self, name):
            return None

    with Stage(
        {"trunks": {"carrier": {"addresses": ["127.88.0.201"], "health": {"check_seconds": 30}}}},
        plug_ins=[Directory()],
    ) as stage:
        alice = stage.phone("alice")
        alice.can()
        lamp = alice.dial("bob")
        lamp.request("SUBSCRIBE", [("Event", "dialog"), ("Expires", "600")])
        for _ in range(2):
            gone = []
            finalize(stage.house.policies, gone.append, True)
            stage.reload()
            stage.run(1)
            assert gone == [True]
        lamp.request("SUBSCRIBE", [("Event", "dialog"), ("Expires", "0")])
        stage.house.stop()


def test_users_of_the_store_stay():
    """They are not read anew; who is in the file as well is the file's, with all his numbers."""
    with Stage() as stage:
        stored = stage.house.premises.users.stored
        stored.put(User("erin", numbers=("200",)))
        stored.put(User("dora", display="Stored", numbers=("201",)))
        dora = {"dora": {"password": "dora"}}
        stage.reload({"users": {**CONFIG["users"], **dora}})
        found = stage.house.premises.find_user
        assert found("200").name == "erin"
        assert (found("dora").display, found("201")) == ("", None)
        stage.reload({})
        assert found("201") is None  # of the premises that were
        assert stage.house.premises.find_user("201").display == "Stored"


@pytest.mark.parametrize(
    ("tables", "key"),
    [
        ({"users": {"erin": {"password": "x", "numbers": ["200"]}}}, "users.erin.numbers.0."),
        ({"users": {"200": {"password": "x"}}}, "users.200"),
        ({"ring_groups": {"dora": {"members": ["alice"]}}}, "ring_groups.dora"),
    ],
)
def test_what_a_user_of_the_store_has_is_no_other_s(tables, key):
    """Two users with one number: the new file is refused."""
    with Stage() as stage:
        stage.house.premises.users.stored.put(User("dora", numbers=("200",)))
        before = stage.house.premises
        with pytest.raises(ConfigError, match=rf"{key}: (200|dora) is user dora's in the store"):
            stage.reload(tables)
        assert stage.house.premises is before


LISTEN = '[[listen]]\ntransport = "udp"\nbind = "127.0.0.1"\n'


class Threads:
    """A reactor whose threads do at once what they are asked for."""

    def getThreadPool(self):  # noqa: N802
        return self

    def callInThreadWithCallback(self, told, work, *args):  # noqa: N802
        try:
            told(True, work(*args))
        except Exception:
            told(False, Failure())

    def callFromThread(self, told, *args):  # noqa: N802
        told(*args)


@pytest.mark.parametrize(
    ("text", "trouble", "words"),
    [
        ("[listen", None, "; nothing has changed"),
        (LISTEN, ConfigError("listen", "a change here takes a restart"), "; nothing has changed"),
        (LISTEN, RuntimeError("odd"), "part of it may be in force: see the log, and restart"),
    ],
)
def test_what_a_failed_reload_says(tmp_path, text, trouble, words):
    """That nothing has changed only where that is so: not where it broke down under way."""
    file, outcome, told = tmp_path / "my.toml", tmp_path / "reload.json", []
    file.write_text(text)

    def take(config, certificates):
        raise trouble

    Reloader(file, tmp_path, outcome, take, Threads()).begin(lambda *each: told.append(each))
    ((done, said),) = told
    assert not done
    assert words in said
    assert ("nothing has changed" in said) is not isinstance(trouble, RuntimeError)
    assert json.loads(outcome.read_text())["said"] == said


def test_what_is_in_force_is_counted(tmp_path):
    """One of a thing is one."""
    (file := tmp_path / "my.toml").write_text(f'{LISTEN}[[policy]]\nuse = "users"\n')
    told = []
    reloader = Reloader(file, tmp_path, tmp_path / "reload.json", lambda *_: None, Threads())
    reloader.begin(lambda *each: told.append(each))
    assert told == [(True, f"{file}: in force, with 1 policy, 0 trunks and 0 users")]
