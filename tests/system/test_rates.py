"""Least-cost routing in a running switch: a real file, a real process that reads it."""

import os
from pathlib import Path

from phones import Phone, claimed_network
from processes import Switch

from softswitch.sip.uri import Uri

CONFIGURATION = """
[switch]
state_directory = "@state@"
drain_seconds = 1

[[listen]]
transport = "udp"
bind = "{network}.1"

[trunks.pbx]
addresses = ["{network}.2"]

[trunks.one]
addresses = ["{one}"]

[trunks.other]
addresses = ["{other}"]

[[policy]]
use = "trunks"

[[policy]]
use = "rates"
file = "{file}"

[media]
engine = "bypass"
"""

HEAD = "prefix,price,valid_from,trunk"


def write(file: Path, *rows: str) -> None:
    """Put another table in the place of the old one."""
    part = file.with_suffix(".part")
    part.write_text("\n".join([HEAD, *rows, ""]))
    os.replace(part, file)


def test_a_rate_table_that_changes_while_calls_are_made(tmp_path: Path):
    """The cheaper trunk is called, and when it refuses the other. A new file is taken; a broken one
    is refused with line and column, and the old table stays."""
    file = tmp_path / "rates.csv"
    write(file, "44,0.01,,one", "44,0.02,,other")
    with claimed_network() as network:
        here = (f"{network}.1", 5060)
        pbx, one, other = (
            Phone(name, f"{network}.{number}", here)
            for number, name in enumerate(("pbx", "one", "other"), 2)
        )
        places = {each.user: Uri.parse(each.contact) for each in (one, other)}
        configuration = CONFIGURATION.format(
            network=network,
            file=file,
            **{name: f"{uri.host}:{uri.port}" for name, uri in places.items()},
        )
        switch = Switch(configuration, tmp_path / "switch")

        def goes_to(*tried: Phone) -> None:
            """A call is tried there, in this order, and refused by each."""
            pbx.send(pbx.invite(f"sip:+442071838750@{network}.1"))
            for phone in tried:
                offered = phone.request_received("INVITE")
                assert offered.request_uri.user == "+442071838750"
                phone.answer(offered, 404)
                phone.request_received("ACK")
            pbx.response_received(404)

        def says(text: str) -> None:
            switch.until(lambda: text in switch.log.read_text(), 20)

        try:
            says("2 rates for 1 prefixes")
            goes_to(one, other)
            write(file, "44,0.03,,one", "44,0.02,,other", "33,1,,one")
            says("3 rates for 2 prefixes")
            goes_to(other, one)
            write(file, "44,0.03,,one", "44,free,,other")
            says(
                'rates.csv: line 3, column 2 (price): a number such as 0.0125 is wanted, not "free"'
            )
            goes_to(other, one)
            assert switch.stop() == 0
        finally:
            switch.kill()
    assert "the old table stays" in switch.log.read_text()
