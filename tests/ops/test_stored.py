"""What stands in the store becomes users, and stays so when it changes."""

from pathlib import Path

import pytest
from twisted.logger import globalLogPublisher

from softswitch.errors import ConfigError
from softswitch.ops.stored import StoredUsers
from softswitch.sip.digest import ha1
from softswitch.testing.stage import Stage

CONFIG = """
[groups.desk]
[users.alice]
password = "x"
numbers = ["100"]
[ring_groups.sales]
members = ["alice"]
numbers = ["600"]
"""
HASH = ha1("x", "softswitch", "x", "MD5")


def row(name, *numbers, more=""):
    """A row of the store."""
    listed = ", ".join(f'"{number}"' for number in numbers)
    return name, f'{{"ha1": {{"MD5": "{HASH.upper()}"}}, "numbers": [{listed}]{more}}}'


@pytest.fixture
def logged():
    """What is logged as an error or warning, as lines."""
    lines = []

    def observe(event):
        if event["log_level"].name in ("warn", "error"):
            lines.append(event["log_format"].format(**event))

    globalLogPublisher.addObserver(observe)
    yield lines
    globalLogPublisher.removeObserver(observe)


@pytest.fixture
def house():
    """A house whose configuration has Alice, who is 100."""
    with Stage(CONFIG) as stage:
        yield stage.house


@pytest.fixture
def users(house):
    """Its directory."""
    return house.premises.users


@pytest.fixture
def stored(house):
    """What keeps it as the store is."""
    return StoredUsers(house, Path("users.sqlite"))


def test_rows_become_users(users, stored):
    """Everything that ``[users.NAME]`` may hold; hashes in lower case."""
    stored.start([row("200", "201", more=', "group": "desk", "forward_busy": "alice"')])
    found = users.find("201")
    assert (found.name, found.ha1, found.group) == ("200", {"MD5": HASH}, "desk")
    assert found.forwarded.busy == "alice"


@pytest.mark.parametrize(
    ("settings", "mistake"),
    [
        ("{", "users.sqlite: user 200: JSON is wanted"),
        ("[" * 100_000, "user 200: JSON is wanted"),
        ("5", "user 200: a table is wanted"),
        ('{"ha1": {"MD5": "5"}}', "user 200.ha1.MD5: 32 hex digits are wanted"),
        ('{"password": "geheim"}', "user 200: ha1 is wanted here, no password"),
        ("{}", "user 200: either ha1 or password is wanted"),
        ('{"displai": ""}', "user 200.displai: no such key; did you mean display?"),
        (row("", more=', "group": "none"')[1], "user 200.group: no such group; known: desk"),
    ],
)
def test_a_row_that_makes_no_user_is_passed_over(users, stored, logged, settings, mistake):
    """And told, without any secret; all others are there."""
    stored.start([("200", settings), row("201")])
    assert users.find("200") is None
    assert users.find("201").name == "201"
    (line,) = logged
    assert mistake in line
    assert "geheim" not in line


@pytest.mark.parametrize(
    ("rows", "mistake"),
    [
        ([row("200", "201"), row("201")], "user 201: 201 is user 200's already"),
        ([row("200", "100")], "user 200: 100 is user alice's already"),
        ([row("100")], "user 100: 100 is user alice's already"),
        ([row("200", "600")], "user 200: 600 is a ring group's already"),
        ([row("sales")], "user sales: sales is a ring group's already"),
    ],
)
def test_two_users_with_one_number_stop_the_start(stored, rows, mistake):
    """Somebody would be reached under a number that is not his."""
    with pytest.raises(ConfigError, match=mistake):
        stored.start(rows)


def test_a_user_of_the_configuration_comes_first(users, stored, logged):
    """Of one name; a warning says so."""
    stored.start([row("alice", "200")])
    assert users.find("alice").numbers == ("100",)
    assert logged == ["users.sqlite: user alice is the one of the configuration instead"]


def test_changes_are_taken_over(users, stored, logged):
    """Who claims what is another's while the switch runs is passed over, what somebody gives up is
    free at once, and a row that has become wrong makes nobody."""
    stored.start([row("200", "201"), row("300")])
    stored.changed(stored.read([row("300", "201"), row("200", "202"), ("none", None)]))
    assert users.find("201").name == "300"
    assert users.find("202").name == "200"
    stored.changed(stored.read([row("400", "201"), row("500", "100"), ("200", None)]))
    assert [users.find(name) for name in ("400", "500", "200", "202")] == [None] * 4
    assert [line.partition(": ")[2] for line in logged] == [
        "user 400 is passed over: 201 is user 300's already",
        "user 500 is passed over: 100 is user alice's already",
    ]
    stored.changed(stored.read([("300", "{")]))
    assert users.find("300") is None


def test_there_is_an_end_to_what_memory_holds(users, stored, logged, monkeypatch):
    """More users than can be held are passed over; those who are known can still change."""
    monkeypatch.setattr("softswitch.ops.stored.MOST", 2)
    stored.start([row("200"), row("300")])
    stored.changed(stored.read([row("400"), row("200", "201")]))
    assert users.find("400") is None
    assert users.find("201").name == "200"
    assert "more than 2 users" in logged[0]
