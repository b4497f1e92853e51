"""Where users are found: the configuration, the store, plug-ins; and what waits for one."""

import pytest
from twisted.internet.defer import Deferred
from zope.interface import implementer

from softswitch.plugin.decisions import Reject, Route
from softswitch.plugin.interfaces import IRouter, IUserDirectory
from softswitch.plugin.profile import Profile
from softswitch.plugin.views import Forwarded, User
from softswitch.policy.chain import Policy, PolicyChain
from softswitch.policy.located import ring
from softswitch.policy.terms import Terms
from softswitch.policy.users import REMEMBERED, Roll, Users
from softswitch.policy.waiting import once_known
from softswitch.sip.digest import ha1
from softswitch.testing.clock import VirtualClock
from softswitch.testing.stage import CONFIG, Stage

POLICIES = ["trunks", "users", "registration", "forwarding", "located", "follow"]


def account(name, **others):
    """Somebody whose password is the name, in the realm of the stage."""
    return User(name, {"MD5": ha1(name, "softswitch", name, "MD5")}, **others)


@implementer(IUserDirectory)
class Directory:
    """A directory that says what it is told to, at once or after a wait.

    :ivar asked: whom it was asked for.
    :ivar seconds: that it takes.
    """

    def __init__(self, *users, seconds=0.0):
        self.known = {name: user for user in users for name in (user.name, *user.numbers)}
        self.seconds = seconds
        self.clock = None
        self.asked = []

    def find(self, name):
        self.asked.append(name)
        answer = self.known.get(name)
        if isinstance(answer, Exception):
            raise answer
        if not self.seconds:
            return answer
        later = Deferred()
        self.clock.callLater(self.seconds, lambda: later.called or later.callback(answer))
        return later


@pytest.fixture
def stage():
    """A stage with directories, on which the policies of ``POLICIES`` decide."""
    stages = []

    def make(*directories, **tables):
        policies = [{"use": name} for name in POLICIES]
        made = Stage({"policy": policies, **tables}, plug_ins=directories)
        for each in directories:
            each.clock = made.clock
        stages.append(made)
        return made

    yield make
    for made in stages:
        made.close()


def phone(made, name):
    """A phone of somebody whom the configuration does not know; it is to register yet."""
    return made.phone(name, password=name, register=False)


@pytest.mark.parametrize("seconds", [0, 0.3])
def test_a_user_of_a_plug_in_registers_calls_and_is_called(stage, seconds):
    """By a directory that answers at once and by one that has to be waited for alike."""
    directory = Directory(account("dave", numbers=("200",)), seconds=seconds)
    made = stage(directory)
    dave, alice = phone(made, "dave"), made.phone("alice")
    dave.register()
    made.run(1)
    assert dave.registered == 200
    line = alice.call("200")
    made.run(1)
    assert dave.line.invite.to.uri.user == "dave"
    dave.answer()
    assert line.statuses == [200]
    alice.hang_up()
    line = dave.call("alice")
    made.run(1)
    alice.answer()
    assert line.statuses == [200]
    dave.hang_up()
    assert [record.identity for record in made.records] == ["alice", "dave"]


def test_nobody_waits_for_what_was_said_already(stage):
    """An answer that took a while is good for ``remember_seconds``, that nobody has the name too;
    one that came at once is asked for each time."""
    slow = Directory(account("dave"), seconds=0.3)
    made = stage(slow, auth={"remember_seconds": 20})
    dave, alice = phone(made, "dave"), made.phone("alice")
    dave.register()
    made.run(1)
    for seconds, asked in ((1, ["dave"]), (30, ["dave", "dave"])):
        made.run(seconds)
        dave.register()
        made.run(1)
        assert dave.registered == 200
        assert slow.asked == asked
    for expected in ([404], [404]):
        line = alice.call("erin")
        made.run(1)
        assert line.statuses == expected
    assert slow.asked.count("erin") == 1


def test_the_configuration_comes_first_and_the_store_next(stage):
    """A plug-in is not even asked for whom they know."""
    directory = Directory(account("alice", display="Other"), account("erin"))
    made = stage(directory)
    made.house.premises.users.stored.put(account("erin", display="Stored", numbers=("201",)))
    made.house.premises.users.stored.put(account("alice", display="Stored"))
    assert made.house.premises.find_user("alice").display == ""
    made.house.premises.users.stored.put(account("bob", numbers=("202",)))
    assert made.house.premises.find_user("202") is None
    directory.asked.clear()
    assert made.house.premises.find_user("201").display == "Stored"
    assert made.house.premises.look_up_user("erin").display == "Stored"
    assert directory.asked == []


def test_a_call_under_a_number(stage):
    """A user calls under a number of his, too, and nobody else does."""
    made = stage(users={**CONFIG["users"], "bob": {"password": "bob", "numbers": ["100", "+44"]}})
    alice, bob = made.phone("alice"), made.phone("bob")
    for number in ("100", "+44", "bob"):
        line = alice.call(number)
        bob.answer()
        assert line.statuses == [200]
        alice.hang_up()
    switch = made.address[0]
    line = bob.call("alice", caller=f"sip:100@{switch}")
    alice.answer()
    assert line.statuses == [200]
    bob.hang_up()
    assert alice.call("bob", caller=f"sip:100@{switch}").statuses == [403]


@pytest.mark.parametrize("seconds", [0, 0.3])
@pytest.mark.parametrize("wrong", ["rubbish", "no name", "raises", "late"])
def test_a_directory_that_fails_fails_its_own_request(stage, seconds, wrong):
    """500, as with other policies; all whom it is not asked for go on."""
    answer = {"rubbish": 5, "no name": User("", {}), "raises": ValueError("x"), "late": None}[wrong]
    directory = Directory(seconds=5 if wrong == "late" else seconds)
    directory.known["dave"] = answer
    made = stage(directory)
    dave, alice, bob = phone(made, "dave"), made.phone("alice"), made.phone("bob")
    dave.register()
    made.run(3)
    assert dave.registered == 500
    kind = {"raises": "raised", "late": "late"}.get(wrong, "rubbish")
    assert made.house.policies.failures == {("Directory", kind): 1}
    line = alice.call("bob")
    bob.answer()
    assert line.statuses == [200]
    alice.hang_up()
    line = alice.call("dave")
    made.run(3)
    assert line.statuses == [500]
    made.run(10)


def test_forwarding_to_and_by_users_who_must_be_waited_for(stage):
    """Bob forwards to Dave, who forwards to Erin; each is found by the way."""
    directory = Directory(
        account("dave", forwarded=Forwarded(always="erin")), account("erin"), seconds=0.2
    )
    bob = {"password": "bob", "forward_always": "dave"}
    made = stage(directory, users={**CONFIG["users"], "bob": bob})
    erin, alice = phone(made, "erin"), made.phone("alice")
    erin.register()
    made.run(1)
    line = alice.call("bob")
    made.run(1)
    assert len(erin.line.invite.all("Diversion")) == 2
    erin.answer()
    assert line.statuses == [181, 200]
    alice.hang_up()
    assert directory.asked == ["erin", "dave"]


def test_profiles_of_users_from_anywhere(stage):
    """The group of a stored user and of one of a plug-in says how he is treated; an unknown group
    as nobody's."""
    slow = Directory(account("dave", group="desk"), seconds=0.2)
    made = stage(slow, groups={"desk": {"dialog": {"refer": "refuse"}}})
    premises = made.house.premises
    premises.users.stored.put(account("erin", group="desk"))
    premises.users.stored.put(account("frank", group="none"))
    assert premises.profile_of("user", "erin").refer == "refuse"
    assert premises.profile_of("user", "frank") == premises.profile_of("user", "dave") == Profile()
    made.run(1)
    assert premises.profile_of("user", "dave").refer == "refuse"


def test_algorithms_of_a_group_for_users_from_anywhere(stage):
    """A stored user is challenged as the group wants; where that must be waited for, too."""
    strong = {"SHA-256": ha1("dave", "softswitch", "dave", "SHA-256")}
    slow = Directory(User("dave", strong, group="modern"), seconds=0.2)
    made = stage(slow, groups={"modern": {"algorithms": ["SHA-256"]}})
    dave = phone(made, "dave")
    dave.register()
    made.run(1)
    assert dave.registered == 200


def test_a_policy_that_takes_part_in_waiting(stage):
    """A router of a plug-in author waits with ``await``; the awaitable answers each who asks."""

    @implementer(IRouter)
    class Doubles:
        def start(self, house):
            self.house = house

        async def route(self, invite):
            one, two = (self.house.look_up_user("dave") for _ in range(2))
            return Route([f"sip:{(await one).name}-{(await two).name}@127.88.0.77"])

    slow, router = Directory(account("dave"), seconds=0.3), Doubles()
    made = stage(slow, router)
    router.start(made.house.premises)
    peer, alice = made.peer("127.88.0.77"), made.phone("alice")
    alice.call("anything")
    made.run(0.5)
    assert peer.unread[0].uri == "sip:dave-dave@127.88.0.77"
    assert slow.asked == ["dave"]
    alice.cancel()
    made.run(60)


def users(ask):
    """A directory with nobody but plug-ins, and its clock."""
    clock = VirtualClock()
    made = Users(Roll(), clock, 30)
    made.ask = ask
    return made, clock


def test_memory_is_bounded():
    """What strangers ask for pushes out nothing but what strangers asked for."""
    waiting = []
    made, _ = users(lambda name, tell: waiting.append((name, tell)))
    for number in range(REMEMBERED + 10):
        made.look_up(f"{number}")
        name, tell = waiting.pop()
        tell(User(name) if number < 5 else None)
    assert made.find("0") == User("0")
    assert len(made._unknown) == REMEMBERED
    assert len(made._known) == 5


def test_too_many_questions_at_once_are_refused(stage):
    """A directory is asked about so many names at once as any policy; the same name is one."""
    slow = Directory(account("dave"), account("erin"), seconds=0.3)
    made = stage(policy=[{"use": "users"}, {"use": "registration"}])
    users = made.house.premises.users
    slow.clock = made.clock
    chain = PolicyChain(
        [Policy("slow", slow, Terms(most_open=1))],
        made.clock,
        challenge_fields=lambda flow, challenge: [],
    )
    users.ask = chain.ask_user
    told = []
    for name in ("dave", "dave", "erin"):
        found = users.look_up(name)
        if isinstance(found, Reject):
            told.append(found.status)
        else:
            found.addCallback(lambda user: told.append(user.name))
    made.run(1)
    assert told == [500, "dave", "dave"]
    assert chain.failures == {("slow", "crowded"): 1}


def test_a_roll_keeps_numbers_with_their_users():
    """A user who is changed or removed leaves nothing behind, and takes nobody's number."""
    roll = Roll([User("a", numbers=("1", "2")), User("b", numbers=("2", "3"))])
    assert roll.get("2").name == "a"
    roll.put(User("a", numbers=("1",)))
    assert roll.get("1").name == "a"
    assert roll.get("2") is None
    roll.put(User("b", numbers=("2",)))
    assert roll.get("2").name == "b"
    assert roll.get("3") is None
    roll.remove("a")
    roll.remove("nobody")
    assert (roll.get("a"), roll.get("1"), len(roll)) == (None, None, 1)
    assert roll.named("2") is None


def test_what_is_at_hand_costs_no_awaitable(house):
    """A user in memory is rung at once."""
    assert once_known(lambda: ring("bob", house)).status == 480
