from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any, Literal, NewType

import attrs
import pytest

from softswitch.errors import ConfigError
from softswitch.settings import NOT_IN_FILE, nearest, structure

Even = NewType("Even", int)


def even(value: object) -> Even:
    if type(value) is not int or value % 2:
        raise ValueError("an even number is wanted")
    return Even(value)


@attrs.frozen
class Door:
    port: int
    kind: Literal["in", "out"] = "in"
    wait: float | None = None
    now: Callable[[], datetime] = datetime.now
    rooms: tuple[Mapping[str, str], ...] = ()
    lock: str = attrs.field(default="", metadata=NOT_IN_FILE)

    def __attrs_post_init__(self) -> None:
        if self.port < 0:
            raise ValueError("a door has no negative port")


@attrs.frozen
class House:
    doors: tuple[Door, ...] = ()
    keepers: Mapping[str, Door] = attrs.field(factory=dict)
    names: list[str] = attrs.field(factory=list)
    locked: bool = False
    pairs: tuple[Even, ...] = ()


def read(table: object) -> House:
    return structure(table, House, file="house.toml", hooks={Even: even})


def test_a_table_becomes_an_object():
    """Tables, lists, choices and types of the caller's own; a whole number serves as a number,
    and what the file does not say keeps its default."""
    house = read(
        {
            "doors": [{"port": 5, "kind": "out", "wait": 4}],
            "keepers": {"ann": {"port": 6}},
            "names": ["a"],
            "locked": True,
            "pairs": [2],
        }
    )
    assert house == House(
        (Door(5, "out", 4.0),), {"ann": Door(6)}, ["a"], locked=True, pairs=(Even(2),)
    )


@pytest.mark.parametrize(
    ("table", "mistake"),
    [
        (3, "house.toml: a table is wanted, not 3"),
        ({"door": []}, "house.toml: door: no such key; did you mean doors?"),
        ({"zzz": 1}, "zzz: no such key; known: doors, keepers, locked, names, pairs"),
        ({"doors": [{}]}, "house.toml: doors[0].port: is required"),
        ({"doors": [{"prot": 5}]}, "doors[0].prot: no such key; did you mean port?"),
        ({"doors": {}}, "doors: a list is wanted, not a table: [[doors]] begins each table of it"),
        ({"names": {}}, "names: a list is wanted, not a table"),
        (
            {"keepers": {"ann": {"port": 6, "rooms": {}}}},
            "not a table: [[keepers.ann.rooms]] begins",
        ),
        ({"doors": [3]}, "doors[0]: a table is wanted, not 3"),
        ({"doors": [{"port": True}]}, "doors[0].port: a whole number is wanted, not true"),
        ({"doors": [{"port": "5"}]}, 'doors[0].port: a whole number is wanted, not "5"'),
        ({"doors": [{"port": 1, "lock": ""}]}, "doors[0].lock: no such key; known: kind,"),
        ({"doors": [{"port": -1}]}, "doors[0]: a door has no negative port"),
        ({"doors": [{"port": 1, "kind": "up"}]}, 'kind: "in" or "out" is wanted, not "up"'),
        ({"doors": [{"port": 1, "wait": "1"}]}, 'wait: a number is wanted, not "1"'),
        ({"doors": [{"port": 1, "wait": float("inf")}]}, "wait: a number is wanted"),
        ({"doors": [{"port": 1, "now": 1}]}, "now: cannot be set in a configuration file"),
        ({"keepers": []}, "keepers: a table is wanted, not a list"),
        ({"keepers": {"a b": {"port": ""}}}, 'keepers."a b".port: a whole number'),
        ({"names": "abc"}, "names: a list is wanted, not text"),
        ({"names": ["a", 2]}, "names[1]: text in quotes is wanted, not 2"),
        ({"locked": "false"}, 'locked: true or false is wanted, not "false"'),
        ({"locked": 0}, "locked: true or false is wanted, not 0"),
        ({"pairs": [2, 3]}, "pairs[1]: an even number is wanted"),
    ],
)
def test_a_mistake_is_told_with_its_key_path(table: Any, mistake: str):
    """One line names file, key and what would be right; nothing is coerced."""
    with pytest.raises(ConfigError) as caught:
        read(table)
    assert mistake in str(caught.value)
    assert "\n" not in str(caught.value)


def test_the_path_goes_on_from_where_the_table_stands():
    """The options of a policy are told by the path of its own table."""
    with pytest.raises(ConfigError, match=r"^f: policy\[2\]\.port: a whole"):
        structure({"port": ""}, Door, file="f", path="policy[2]")


def test_the_word_that_is_most_like_it():
    """Or all that there are, be there none."""
    assert nearest("doorz", ["doors", "keys"]) == "did you mean doors?"
    assert nearest("x", ["doors", "keys"]) == "known: doors, keys"
    assert nearest("x", []) == "there are none"
