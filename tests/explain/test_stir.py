"""``softswitch explain`` of calls whose numbers are verified: nothing is fetched for it."""

import json
import time

import pytest
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from softswitch.__main__ import main
from softswitch.sip.passport import SHAKEN, Claims, identity
from softswitch.testing.authority import Authority

CONFIG = """
[[listen]]
transport = "udp"
bind = "127.89.1.1"

[stir]
authorities = "{folder}/authority.pem"
hosts = ["cert.example.org"]

[trunks.carrier]
addresses = ["127.89.1.2"]
stir.verify = "require"

[[policy]]
use = "trunks"
"""


@pytest.mark.parametrize(
    ("signed", "status", "answer", "assumed"),
    [
        (False, 428, "No-TN-Validation Use Identity Header", 0),
        (True, 436, "what its certificate says", 1),
    ],
)
def test_the_verdict_is_shown(tmp_path, capsys, signed, status, answer, assumed):
    """What is signed, as far as that can be said here; and that no certificate is fetched."""
    authority = Authority(tmp_path)
    key = load_pem_private_key(authority.issue("signer").key.read_bytes(), None)
    file = tmp_path / "switch.toml"
    file.write_text(CONFIG.format(folder=tmp_path))
    claims = Claims("441234567", ("442345678",), int(time.time()), attest="A", origid="x")
    value = identity(claims, "https://cert.example.org/signer.pem", key, SHAKEN)
    header = ["--header", f"Identity: {value}"] if signed else []
    call = ["--from", "sip:+441234567@127.89.1.2", "--to", "sip:+442345678@127.89.1.1"]
    base = ["explain", "--json", "--config", str(file), "--rundir", str(tmp_path)]
    main([*base, *call, "--source", "127.89.1.2", *header])
    found = json.loads(capsys.readouterr().out)
    [verified] = [
        each["answer"]
        for step in found["steps"]
        for each in step.get("consulted", ())
        if each["question"].startswith("verify(")
    ]
    assert verified == answer
    assert [each["status"] for each in found["answers"]] == [status]
    assert sum("certificate of the signer" in each for each in found["assumed"]) == assumed
