"""The log of a running switch: lines for programs, levels that a reload changes."""

import json
import signal
from contextlib import ExitStack, closing
from pathlib import Path

from phones import Phone, claimed_network, talk
from processes import Switch

CONFIG = """
[log]
format = "json"

[log.levels]
calls = "{calls}"
wire = "{wire}"

[switch]
state_directory = "@state@"

[[listen]]
transport = "udp"
bind = "{host}"

[media]
engine = "bypass"

[users]
alice = { password = "secret" }
bob = { password = "secret" }

[[policy]]
use = "users"

[[policy]]
use = "registration"

[[policy]]
use = "located"
"""


def test_a_reload_changes_what_is_written(tmp_path: Path):
    """Each line is an object from the first to the last, twistd's own among them; calls have lines
    once they are wished for."""
    with ExitStack() as stack:
        network = stack.enter_context(claimed_network())
        host = f"{network}.1"
        config = CONFIG.replace("{host}", host)
        switch = Switch(config.replace("{calls}", "warn").replace("{wire}", "info"), tmp_path)
        stack.callback(switch.kill)
        alice, bob = (
            stack.enter_context(closing(Phone(name, f"{network}.{at}", (host, 5060))))
            for name, at in (("alice", 2), ("bob", 3))
        )
        alice.register()
        bob.register()

        def lines():
            return [json.loads(line) for line in switch.log.read_text().splitlines()]

        talk(alice, bob, f"sip:bob@{host}")
        (tmp_path / "softswitch.toml").write_text(
            config.replace("{calls}", "info")
            .replace("{wire}", "debug")
            .replace("@state@", str(switch.state))
        )
        switch.send_signal(signal.SIGHUP)
        switch.until(lambda: any(line["text"].startswith("reloaded") for line in lines()), 15)
        assert not [line for line in lines() if line["part"] == "calls"]
        talk(alice, bob, f"sip:bob@{host}")
        switch.until(lambda: sum(line["part"] == "calls" for line in lines()) == 4, 15)
        told = [line for line in lines() if line["part"] == "calls"]
        assert len({line["call"] for line in told}) == 1
        assert told[0]["called"] == f"sip:bob@{host}"
        assert told[-1]["status"] == 200
        wire = [line["wire"] for line in lines() if line["part"] == "wire"]
        assert any(f"INVITE sip:bob@{host}" in message for message in wire)
        proofs = [message for message in wire if "Authorization: Digest" in message]
        assert proofs
        assert all('response="****' in message for message in proofs)
        assert {line["part"] for line in lines()} == {"calls", "ops", "twisted", "wire"}
        switch.send_signal(signal.SIGTERM)
        assert switch.wait(15) == 0
        assert lines()[-1]["text"] == "Server Shut Down."
