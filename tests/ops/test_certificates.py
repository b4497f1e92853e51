"""TLS in the configuration: what is wrong between the keys, what is wrong with the files."""

from datetime import UTC, datetime, timedelta

import pytest

from softswitch.errors import ConfigError
from softswitch.ops.certificates import expiring, read_certificates
from softswitch.ops.cli import main
from softswitch.ops.config import load
from softswitch.ops.examine import Patient, certificates
from softswitch.testing.authority import Authority

PLAIN = '[[listen]]\ntransport = "udp"\nbind = "127.33.1.1"\n'
TLS = """
[[listen]]
transport = "tls"
bind = "127.33.1.1"
certificate = "switch.pem"
key = "switch.key"
"""
TRUNK = '[trunks.a]\naddresses = ["a.example"]\ntransport = "tls"\n'


@pytest.fixture
def authority(tmp_path):
    authority = Authority(tmp_path)
    authority.issue("switch", "sip.example.org")
    return authority


@pytest.fixture
def read(tmp_path, authority):
    """Reads a configuration given as text; its files are beside it."""

    def read(text):
        file = tmp_path / "switch.toml"
        file.write_text(text)
        return load(file, tmp_path)

    return read


def test_a_listener_has_its_port_and_certificates(read, authority):
    """5061 where none is said (RFC 3261 19.1.2); its own, and others by their names."""
    authority.issue("acme", "acme.example")
    more = 'certificates = [{ certificate = "acme.pem", key = "acme.key" }]\n'
    config = read(PLAIN + TLS + more)
    assert [each.port for each in config.listeners()] == [5060, 5061]
    [(name, server)] = read_certificates(config).servers.items()
    assert name == "tls:127.33.1.1:5061"
    assert [each.paths.certificate.name for each in server.proofs] == ["switch.pem", "acme.pem"]


def test_a_trunk_is_believed_under_each_of_its_hosts(read, authority):
    """Its members, its proxy and its registrars, and its names in certificates, to which a Route
    may lead; others as the system does."""
    text = TLS + TRUNK + 'outbound_proxy = "proxy.example"\n[trunks.a.tls]\nca = "authority.pem"\n'
    certificates = read_certificates(read(text + 'names = ["b2.example"]\n'))
    assert certificates.clients.keys() == {"a.example", "proxy.example", "b2.example"}
    assert certificates.client("a.example") is certificates.client("proxy.example")
    assert certificates.client("b.example") is not certificates.client("a.example")


@pytest.mark.parametrize(
    ("text", "mistake"),
    [
        (TLS.replace('certificate = "switch.pem"', ""), "listen[0].certificate: the name of a PEM"),
        (TLS.replace('key = "switch.key"', ""), "listen[0].key: the name of a PEM file is wanted"),
        (PLAIN + 'certificate = "a"', "listen[0].certificate: it is for listeners with transport"),
        (PLAIN + 'client_certificates = "wanted"', "listen[0].client_certificates: it is for"),
        (TLS + 'client_certificates = "required"', "listen[0].client_ca: the PEM file of whoever"),
        (TLS + 'client_ca = "authority.pem"', 'client_certificates: "wanted" or "required" goes'),
        (TLS + 'client_certificates = "yes"', '"none" or "wanted" or "required" is wanted'),
        (PLAIN + TRUNK, 'trunks.a.transport: a [[listen]] with transport = "tls" is wanted, too'),
        (
            PLAIN + '[trunks.a]\n[[trunks.a.members]]\naddress = "a"\ntransport = "tls"',
            'trunks.a.transport: a [[listen]] with transport = "tls" is wanted, too',
        ),
        (TLS + TRUNK + 'tls.key = "a"', "trunks.a.tls: certificate and key go together"),
        (TLS + TRUNK + 'tls.chain = "a"', "trunks.a.tls.chain: it belongs to a certificate"),
        (TLS + TRUNK + 'tls.names = ["a b"]', "trunks.a.tls.names[0]: a host name or an address"),
        (
            TLS + TRUNK + 'inbound_certificates = ["a.example"]',
            "trunks.a.inbound_certificates: a [[listen]] with client_certificates",
        ),
        (
            TLS + TRUNK + TRUNK.replace("trunks.a", "trunks.b") + "tls.wildcard = true",
            "trunks.b.tls: a.example is a host of trunks.a, too: the same is wanted there",
        ),
    ],
)
def test_a_contradiction_is_told(read, text, mistake):
    """With the key and what would be right."""
    with pytest.raises(ConfigError) as told:
        read(text)
    assert mistake in str(told.value)


@pytest.mark.parametrize(
    ("text", "mistake"),
    [
        (TLS.replace("switch.pem", "absent.pem"), "listen[0].certificate: "),
        (TLS.replace("switch.key", "authority.pem"), "listen[0].key: "),
        (TLS + 'chain = "switch.key"', "listen[0].chain: "),
        (
            TLS + 'client_certificates = "wanted"\nclient_ca = "switch.key"',
            "listen[0].client_ca: ",
        ),
        (
            TLS + 'certificates = [{ certificate = "switch.pem", key = "switch.pem" }]',
            "listen[0].certificates[0].key: ",
        ),
        (TLS + TRUNK + 'tls.ca = "switch.key"', "trunks.a.tls.ca: "),
        (
            TLS + TRUNK + 'tls.certificate = "switch.key"\ntls.key = "switch.key"',
            "trunks.a.tls.certificate: ",
        ),
    ],
)
def test_an_unfit_file_is_told(read, text, mistake):
    """With the key that names it; what is wrong with it is in tests/transport."""
    config = read(text)
    with pytest.raises(ConfigError) as told:
        read_certificates(config)
    assert mistake in str(told.value)


def test_what_expires_within_a_month_is_told(read, authority):
    """Of what we show, wherever it is shown; the authorities of others are theirs to renew."""
    authority.issue("mine", "me.example", good_for=timedelta(days=5))
    text = TLS + TRUNK + 'tls = { certificate = "mine.pem", key = "mine.key" }\n'
    certificates = read_certificates(read(text))
    now = datetime.now(UTC)
    [soon] = expiring(certificates, now)
    assert soon.file.name == "mine.pem"
    assert not soon.over
    assert f"mine.pem expires on {(now + timedelta(days=5)):%Y-%m-%d}" in str(soon)
    later = {str(each.file.name): each.over for each in expiring(certificates, now + 10 * USUAL)}
    assert later == {"mine.pem": True, "switch.pem": True}


USUAL = timedelta(days=365)


def test_the_doctor_looks_at_certificates(read, authority):
    """OK, about to expire, expired, unfit."""
    patient = Patient(read(TLS))
    [finding] = certificates(patient)
    assert (finding.state, finding.remedy) == ("OK", "")
    for days, state in ((9, "WARN"), (-9, "FAIL")):
        authority.issue("switch", "sip.example.org", good_for=timedelta(days=days))
        [finding] = certificates(patient)
        assert finding.state == state
        assert "switch.pem expire" in finding.found.replace("has expired", "expire")
        assert "softswitch reload" in finding.remedy
    (patient.config.directory / "switch.key").unlink()
    [finding] = certificates(patient)
    assert finding.state == "FAIL"
    assert "listen[0].key" in finding.found
    assert list(certificates(Patient(read(PLAIN)))) == []


def test_check_reads_the_files(read, authority, capsys, tmp_path, monkeypatch):
    """``softswitch check`` says what is unfit, and what is about to expire."""
    monkeypatch.chdir(tmp_path)
    read(TLS)
    authority.issue("switch", "sip.example.org", good_for=timedelta(days=9))
    assert main(["check", "switch.toml"]) == 0
    assert "switch.pem expires on" in capsys.readouterr().err
    (tmp_path / "switch.key").write_text("")
    assert main(["check", "switch.toml"]) == 2
    assert "listen[0].key: " in capsys.readouterr().err
