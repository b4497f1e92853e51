"""JSON files that other processes read."""

import json

import pytest

from softswitch.ops.whole import write_whole


def test_the_old_file_or_the_new_one(tmp_path):
    """Nothing else is left in the directory, also where it could not be written."""
    path = tmp_path / "ban.json"
    write_whole(path, {"at": 1})
    with pytest.raises(TypeError):
        write_whole(path, {"at": object()})
    assert json.loads(path.read_bytes()) == {"at": 1}
    write_whole(path, {"at": 2})
    assert json.loads(path.read_bytes()) == {"at": 2}
    assert [each.name for each in tmp_path.iterdir()] == ["ban.json"]


def test_two_who_write_do_not_meet(tmp_path, monkeypatch):
    """The command writes its wish while the switch writes its answer, whose names differ in the
    suffix alone: each has a part of its own."""
    parts = []
    replace = __import__("os").replace

    def noted(part, path):
        parts.append(part)
        if len(parts) == 1:
            write_whole(tmp_path / "ban.wish", {"do": "list"})
        replace(part, path)

    monkeypatch.setattr("softswitch.ops.whole.os.replace", noted)
    write_whole(tmp_path / "ban.json", {"at": 1})
    assert len(set(parts)) == 2
    assert json.loads((tmp_path / "ban.json").read_bytes()) == {"at": 1}
    assert json.loads((tmp_path / "ban.wish").read_bytes()) == {"do": "list"}


@pytest.mark.parametrize("name", ["ban.part", ".ban.json.00.part"])
def test_a_link_is_not_followed(tmp_path, monkeypatch, name):
    """Whoever may write into the state directory cannot have the switch write elsewhere; where he
    guesses the name, nothing is written at all."""
    elsewhere = tmp_path / "elsewhere"
    elsewhere.write_text("mine")
    (tmp_path / name).symlink_to(elsewhere)
    monkeypatch.setattr("softswitch.ops.whole.token_hex", lambda length: "00", raising=False)
    if name == "ban.part":
        write_whole(tmp_path / "ban.json", {"at": 1})
    else:
        with pytest.raises(FileExistsError):
            write_whole(tmp_path / "ban.json", {"at": 1})
    assert elsewhere.read_text() == "mine"
