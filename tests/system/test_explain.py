"""What ``softswitch explain`` says leaves is what leaves: the corpus of ``tests/explain/corpus``,
each INVITE sent to a running switch from a real socket, beside what explain makes of it."""

import json
from collections.abc import Iterator
from pathlib import Path

import attrs
import pytest
from corpus import CORPUS, Playground, case, configuration, masked, names
from phones import bracketed, claimed_network
from processes import Switch

from softswitch.__main__ import main

#: Where they are called, by the last number of their address.
CALLEES = {
    "relay": [
        *((host, 5060, "udp") for host in (10, 11, 13, 14, 21, 23, 24, 25)),
        (12, 5060, "tcp"),
    ],
    "peers": [(host, 5060, "udp") for host in (10, 11, 12, 13, 14, 15, 20, 41)],
    "bypass": [(9, 5060, "udp"), (30, 5070, "udp"), (31, 5060, "tcp")],
}

#: Who is registered, at which addresses, and how each is preferred.
PHONES = {
    "relay": [
        ("bob", 21, "udp", "1"),
        ("carol", 22, "tcp", "1"),
        ("dave", 23, "udp", "0.9"),
        ("dave", 24, "udp", "0.3"),
        ("frank", 25, "udp", "1"),
        ("hatter#1", 21, "udp", "1"),
    ],
    "peers": [("office", 41, "udp", "1")],
    "bypass": [],
}


@attrs.frozen
class World:
    """A running switch, and everybody around it."""

    folder: Path
    switch: Switch
    playground: Playground
    words: dict[str, str]


def world(kind: str, folder: Path) -> Iterator[World]:
    """One switch for all INVITEs of a folder."""
    with claimed_network() as network:
        number = int(network.rpartition(".")[2])
        words = {"NET": network}
        words |= {f"PORT{six}": str(21000 + 10 * number + six) for six in (6, 7, 8)}
        rates = (CORPUS / "peers" / "rates.csv").read_text()
        (folder / kind / "state").mkdir(parents=True)
        (folder / kind / "state" / "rates.csv").write_text(rates)
        switch = Switch(configuration(kind, words), folder / kind)
        callees = [((f"{network}.{host}", port), over) for host, port, over in CALLEES[kind]]
        if kind == "relay":
            callees.append((("::1", int(words["PORT7"])), "udp"))

        def switch_at(transport: str, source: str) -> tuple[str, int]:
            return ("::1", int(words["PORT6"])) if ":" in source else (f"{network}.1", 5060)

        playground = Playground(callees, switch_at)
        try:
            for user, host, over, q in PHONES[kind]:
                playground.register(user, (f"{network}.{host}", 5060), over, q)
            yield World(folder / kind, switch, playground, words)
            assert switch.stats()["leaks"] == 0
            assert switch.stop() == 0
        finally:
            playground.close()
            switch.kill()


@pytest.fixture(scope="module")
def relay(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """The switch that relays the media."""
    yield from world("relay", tmp_path_factory.mktemp("explain"))


@pytest.fixture(scope="module")
def peers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """The switch between carriers and PBXs of all kinds."""
    yield from world("peers", tmp_path_factory.mktemp("explain"))


@pytest.fixture(scope="module")
def bypass(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """The switch that does not."""
    yield from world("bypass", tmp_path_factory.mktemp("explain"))


@pytest.mark.parametrize("name", names("relay"))
def test_the_invite_that_explain_shows_leaves_the_relaying_switch(
    name: str, relay: World, capsys: pytest.CaptureFixture[str]
):
    """Byte for byte but for what is drawn by lot: every INVITE for every target, in order, and what
    the caller is told."""
    same(relay, "relay", name, capsys)


@pytest.mark.parametrize("name", names("peers"))
def test_the_invite_that_explain_shows_leaves_for_peers_that_want_it_their_way(
    name: str, peers: World, capsys: pytest.CaptureFixture[str]
):
    """The same: what is configured for a trunk shows in both."""
    same(peers, "peers", name, capsys)


@pytest.mark.parametrize("name", names("bypass"))
def test_the_invite_that_explain_shows_leaves_the_switch_without_media(
    name: str, bypass: World, capsys: pytest.CaptureFixture[str]
):
    """The same, the ports of the descriptions included."""
    same(bypass, "bypass", name, capsys)


def same(world: World, kind: str, name: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Play one INVITE on both, and compare."""
    played = case(kind, name, world.words)
    sent, left, answered = world.playground.play(played)
    (file := world.folder / f"{name}.sip").write_bytes(sent)
    host, port = played.source
    base = ["explain", "--json", "--config", str(world.folder / "softswitch.toml")]
    where = ["--source", f"{bracketed(host)}:{port}", "--transport", played.transport]
    fate = ["--all", "--fate", str(played.fate) if played.fate else "silent"]
    main([*base, str(file), *where, *fate])
    said = json.loads(capsys.readouterr().out)
    explained = [each["invite"].encode("utf-8", "surrogateescape") for each in said["tries"]]
    told = [each["response"].encode("utf-8", "surrogateescape") for each in said["answers"]]
    relayed = kind != "bypass"
    assert [masked(each, relayed) for each in explained] == [masked(each, relayed) for each in left]
    assert [masked(each, relayed) for each in told] == [masked(each, relayed) for each in answered]
