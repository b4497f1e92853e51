"""``softswitch doctor``: each examination, and for each what makes it complain, for real where a
test can bring that about."""

import json
import os
import pickle
import resource
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import attrs
import pytest

from softswitch.errors import ConfigError
from softswitch.flow import Flow
from softswitch.ops import doctor, examine
from softswitch.ops.cli import main
from softswitch.ops.config import Config, load
from softswitch.ops.examine import Finding, Patient
from softswitch.ops.options import check_ports
from softswitch.plain import to_plain
from softswitch.plugin.record import CallRecord
from softswitch.records.schema import add, open_records
from softswitch.registrar.bindings import Binding
from softswitch.store.sqlite import SqliteStore

NOBODY = 65534


@pytest.fixture
def patient(tmp_path: Path):
    """A configuration, with one listener of loopback, to be looked at."""

    def patient(text: str = "", listen: str = 'bind = "127.34.1.1"', **more: object) -> Patient:
        (file := tmp_path / "switch.toml").write_text(
            f'[[listen]]\ntransport = "udp"\n{listen}\n{text}'
        )
        return Patient(load(file, tmp_path), **more)

    return patient


def states(findings) -> list[str]:
    """What each of them says."""
    return [each.state for each in findings]


def elsewhere(prepare: Callable[[], object], look: Callable[[], list[Finding]]) -> list[Finding]:
    """What is found by a process that is prepared otherwise than ours."""
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            prepare()
            os.write(write, pickle.dumps([attrs.astuple(each) for each in look()]))
        finally:
            os._exit(0)
    os.close(write)
    with os.fdopen(read, "rb") as pipe:
        told = pipe.read()
    os.waitpid(child, 0)
    return [Finding(*each) for each in pickle.loads(told)]


@pytest.mark.parametrize("transport", ["udp", "tcp"])
def test_a_port_that_is_free(patient, transport):
    """Nothing is left bound."""
    looked_at = patient(f'[[listen]]\ntransport = "{transport}"\nbind = "127.34.1.2"')
    assert states(examine.ports(looked_at)) == ["OK", "OK"]
    assert states(examine.ports(looked_at)) == ["OK", "OK"]


@pytest.mark.parametrize("transport", ["udp", "tcp"])
def test_a_port_that_is_taken(patient, transport):
    """Whoever has it is named; it is all right when it is the switch."""
    looked_at = patient(f'[[listen]]\ntransport = "{transport}"\nbind = "127.34.1.3"\nport = 5071')
    kind = socket.SOCK_DGRAM if transport == "udp" else socket.SOCK_STREAM
    with socket.socket(socket.AF_INET, kind) as other:
        other.bind(("127.34.1.3", 5071))
        if transport == "tcp":
            other.listen()
        _, found = examine.ports(looked_at)
    assert found.state == "FAIL"
    assert f"{transport} port 5071 of 127.34.1.3 is taken by process {os.getpid()}" in found.found
    assert found.remedy


def served(looked_at, port, before=""):
    """What doctor finds of a UDP port that another process serves, and that one's number.

    :param before: what the process does first.
    """
    serve = (
        f"{before}import socket, sys; s = socket.socket(type=socket.SOCK_DGRAM);"
        f"s.bind(('127.34.1.4', {port})); print('bound', flush=True); sys.stdin.read()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", serve, "softswitch"], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as switch:
        assert switch.stdout is not None
        switch.stdout.readline()
        (found,) = examine.ports(looked_at)
        assert switch.stdin is not None
        switch.stdin.close()
    return found.state, found.found, switch.pid


def test_a_port_that_we_serve(patient):
    """It is the one that runs with the state directory of the configuration."""
    looked_at = patient(listen='bind = "127.34.1.4"\nport = 5072')
    state, found, pid = served(
        looked_at,
        5072,
        "from pathlib import Path; from softswitch.ops.pidfile import PidFile;"
        f"PidFile(Path({str(looked_at.config.state_directory / 'softswitch.pid')!r})).take();",
    )
    assert (state, found) == (
        "OK",
        f"udp port 5072 of 127.34.1.4 is served by us, process {pid}",
    )


def test_a_port_that_another_switch_serves(patient):
    """One with another state directory is not ours; it is named."""
    state, found, pid = served(patient(listen='bind = "127.34.1.4"\nport = 5073'), 5073)
    assert (state, found) == (
        "FAIL",
        f"udp port 5073 of 127.34.1.4 is taken by another switch, process {pid}",
    )


def test_the_port_of_the_api(patient):
    """It is looked at like any other, and tried before the start, which says what helps."""
    looked_at = patient('[api]\nbind = "127.34.1.5"\nport = 8061')
    assert states(examine.ports(looked_at)) == ["OK", "OK"]
    with socket.socket() as other:
        other.bind(("127.34.1.5", 8061))
        other.listen()
        _, found = examine.ports(looked_at)
        assert (found.state, found.remedy) == ("FAIL", "stop that, or choose another port")
        with pytest.raises(ConfigError) as caught:
            check_ports(looked_at.config)
    assert str(caught.value).endswith(
        "switch.toml: api.port: tcp port 8061 of 127.34.1.5 is taken: stop what serves it, or"
        " choose another"
    )


def test_an_address_that_is_not_ours(patient):
    """No port of it can be had."""
    (found,) = examine.ports(patient(listen='bind = "192.0.2.1"'))
    assert found.state == "FAIL"
    assert "192.0.2.1 is no address of this machine" in found.found


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")
def test_a_port_for_the_privileged(patient):
    """Below 1024, unless the kernel was told otherwise."""
    first = int(Path("/proc/sys/net/ipv4/ip_unprivileged_port_start").read_text())
    if first < 2:
        pytest.skip("this kernel gives every port to everybody")
    looked_at = patient(listen=f'bind = "127.34.1.5"\nport = {first - 1}')
    (found,) = elsewhere(lambda: os.setuid(NOBODY), lambda: list(examine.ports(looked_at)))
    assert found.state == "FAIL"
    assert "CAP_NET_BIND_SERVICE" in found.remedy


@pytest.fixture
def public_folder():
    """A folder that another user can reach."""
    folder = Path(tempfile.mkdtemp(prefix="softswitch-doctor-"))
    folder.chmod(0o755)
    yield folder
    shutil.rmtree(folder)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")
def test_a_state_directory_that_is_not_ours_to_write(patient, public_folder):
    """Seen as the user who looks."""
    looked_at = patient(f'[switch]\nstate_directory = "{public_folder}"')
    assert states(examine.state_directory(looked_at)) == ["WARN", "OK"]
    (found,) = elsewhere(
        lambda: os.setuid(NOBODY), lambda: list(examine.state_directory(looked_at))
    )
    assert found.state == "FAIL"
    assert found.found == f"{public_folder} cannot be written by the user {NOBODY}"
    assert "chown" in found.remedy


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")
def test_a_store_that_is_not_ours_to_write(patient, public_folder):
    """As when the switch has once been started as root."""
    (public_folder / "softswitch.sqlite").write_bytes(b"")
    (public_folder / "softswitch.sqlite").chmod(0o600)
    public_folder.chmod(0o777)
    looked_at = patient(f'[switch]\nstate_directory = "{public_folder}"')
    found = elsewhere(lambda: os.setuid(NOBODY), lambda: list(examine.state_directory(looked_at)))
    assert states(found) == ["WARN", "FAIL", "OK"]
    assert "softswitch.sqlite cannot be written" in found[1].found


def test_a_state_directory_that_is_a_file(patient, tmp_path):
    """Nothing can be put into it."""
    (tmp_path / "var").write_text("")
    assert states(examine.state_directory(patient())) == ["FAIL"]


def test_a_state_directory_that_is_open_to_everybody(patient, tmp_path):
    """Whoever enters it can lock what a start and the commands want to lock."""
    (state := tmp_path / "var").mkdir()
    state.chmod(0o751)
    warning, _ = examine.state_directory(patient())
    assert (warning.found, warning.remedy) == (f"{state} is open to everybody", f"chmod o= {state}")
    state.chmod(0o750)
    assert states(examine.state_directory(patient())) == ["OK"]


def test_records_that_everybody_can_read(patient, tmp_path):
    """Who called whom is nobody else's business."""
    (tmp_path / "var").mkdir(mode=0o700)
    (records := tmp_path / "var" / "calls.jsonl").write_text("")
    records.chmod(0o644)
    assert states(examine.state_directory(patient())) == ["WARN", "OK"]
    records.chmod(0o640)
    assert states(examine.state_directory(patient())) == ["OK"]


@pytest.mark.parametrize(("free", "state"), [(2**20, "FAIL"), (100 * 2**20, "WARN"), (2**30, "OK")])
def test_room_on_the_disk(free, state):
    """For records and registrations."""
    assert examine.room(free, Path("/")).state == state


def test_the_disk_is_that_of_the_state_directory(patient, tmp_path):
    """Also before there is one."""
    (found,) = examine.disk(patient())
    assert str(tmp_path) in found.found


@pytest.mark.parametrize(
    ("advertise", "state"),
    [
        ("127.34.1.1", "OK"),
        ("localhost", "OK"),
        ("8.8.8.8", "OK"),
        ("10.255.255.254", "WARN"),
        ("nowhere.invalid", "FAIL"),
    ],
)
def test_what_peers_are_told(patient, advertise, state):
    """Ours, a router's, or nobody's."""
    looked_at = patient(listen=f'bind = "127.34.1.1"\nadvertise = "{advertise}"')
    assert states(examine.advertised(looked_at)) == [state]


def test_a_private_address_that_everybody_is_told(patient, monkeypatch):
    """Unless only a local network calls, as the configuration says."""
    monkeypatch.setattr(examine, "kernel_source", lambda host: "10.1.2.3")
    (found,) = examine.advertised(patient(listen='bind = "0.0.0.0"'))
    assert found.state == "WARN"
    assert "listen[0].advertise" in found.remedy
    local = 'bind = "0.0.0.0"\nlocal_networks = ["10.0.0.0/8"]'
    assert states(examine.advertised(patient(listen=local))) == ["OK"]


def test_names_of_trunks(patient):
    """Each is looked up once; addresses are not."""
    looked_at = patient(
        '[trunks.a]\naddresses = ["localhost", "192.0.2.1", "[2001:db8::1]:5070"]\n'
        '[trunks.b]\naddresses = ["localhost:5080", "nowhere.invalid"]'
    )
    found = list(examine.names(looked_at))
    assert states(found) == ["OK", "FAIL"]
    assert "nowhere.invalid of the trunk b leads nowhere" in found[1].found


@pytest.mark.parametrize(
    ("limit", "processes", "state"),
    [(64, 1, "FAIL"), (599, 1, "FAIL"), (600, 1, "OK"), (400, 2, "OK"), (600, 0, "OK")],
)
def test_open_files(patient, limit, processes, state):
    """The hard limit is what counts, since the switch raises the soft one; each process has its
    own."""
    looked_at = patient(f"[media]\nprocesses = {processes}", calls=100)
    (found,) = elsewhere(
        lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (limit, limit)),
        lambda: list(examine.open_files(looked_at)),
    )
    assert found.state == state
    assert ("LimitNOFILE=600" in found.remedy) is (state == "FAIL")


def kernel(folder: Path, **files: str) -> Path:
    """A kernel that says so; ``__`` stands for a slash."""
    for name, text in files.items():
        file = folder / "proc" / "sys/net" / name.replace("__", "/")
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    return folder / "proc"


@pytest.mark.parametrize(
    ("ports", "calls", "reserved", "state"),
    [
        ("16384-32767", 4096, "", "OK"),
        ("16384-32767", 4097, "", "FAIL"),
        ("20000-40000", 100, "", "WARN"),
        ("20000-40000", 100, "20000-40000", "OK"),
    ],
)
def test_ports_of_the_relay(patient, tmp_path, ports, calls, reserved, state):
    """Enough of them, and not given to others by the kernel."""
    proc = kernel(
        tmp_path,
        ipv4__ip_local_port_range="32768\t60999\n",
        ipv4__ip_local_reserved_ports=f"{reserved}\n",
    )
    looked_at = patient(f'[media]\nports = "{ports}"', calls=calls, proc=proc)
    assert states(examine.media_ports(looked_at)) == [state]


def test_no_relay_needs_no_ports(patient):
    """The phones send to each other."""
    assert list(examine.media_ports(patient('[media]\nengine = "bypass"', calls=9999))) == []


@pytest.mark.parametrize(("most", "state"), [("212992", "WARN"), ("8388608", "OK")])
def test_the_receive_buffer(patient, tmp_path, most, state):
    """What the kernel grants at most."""
    looked_at = patient(proc=kernel(tmp_path, core__rmem_max=f"{most}\n"))
    assert states(examine.receive_buffer(looked_at)) == [state]


def test_versions(patient):
    """Ours do; an old Twisted does not."""
    assert states(examine.versions(patient())) == ["OK", "OK"]
    assert examine.twisted_version("24.11.0").state == "FAIL"


def test_what_is_unwise_in_the_configuration(patient):
    """With the remedy that the warning names."""
    looked_at = patient('[users.a]\npassword = "geheim"')
    (found,) = examine.wisdom(looked_at)
    assert (found.state, found.remedy) == (
        "WARN",
        f"`softswitch user hash a --config {looked_at.config.file}` makes a hash of it",
    )


@pytest.mark.parametrize(("said", "state"), [("yes", "OK"), ("no", "WARN"), (None, "?")])
def test_whether_the_clock_is_kept_right(said, state):
    """As timedatectl says, where there is one."""
    assert doctor.synchronised(said).state == state


def registered(config: Config, when: float) -> None:
    """Have the store hold a registration of that time."""
    flow = Flow("udp", "UDP", "127.34.1.1", 5060, "127.34.1.9", 5060)
    store = SqliteStore(config.state_directory / config.store.path)
    binding = Binding("a@b", "sip:a@127.34.1.9", flow, "id", 1, when, when + 60)
    store.save("a@b", to_plain([binding]))
    store.close()


def test_a_clock_that_has_gone_back(patient, tmp_path):
    """Seen by the newest entry of the store, or of the records."""
    looked_at = patient()
    assert list(doctor.clock(looked_at)) == []
    now = time.time()
    registered(looked_at.config, now - 10)
    assert states(doctor.clock(looked_at)) == ["OK"]
    records = tmp_path / "var" / "calls.sqlite"
    with closing(open_records(records)) as connection, connection:
        ends = {"early": now - 50, "late": now + 5000}
        add(
            connection,
            [
                CallRecord(id, id, "f", "user", "a", "sip:a@b", "sip:c@d", end - 9, ended=end)
                for id, end in ends.items()
            ],
        )
    assert states(doctor.clock(looked_at)) == ["FAIL"]
    records.unlink()
    registered(looked_at.config, now + 100)
    assert states(doctor.clock(looked_at)) == ["FAIL"]


def test_a_store_that_is_none(patient, tmp_path):
    """Before the switch stumbles over it."""
    (tmp_path / "var").mkdir()
    (tmp_path / "var" / "softswitch.sqlite").write_text("what?" * 100)
    assert states(doctor.clock(patient())) == ["FAIL"]


def test_the_command_tells_all_and_how_bad_it_is(patient, tmp_path, capsys, monkeypatch):
    """A line each, or JSON; status 0, 1 or 2."""
    monkeypatch.setattr(doctor, "_timedatectl", lambda: "yes")
    looked_at = patient()
    command = ["doctor", "--config", looked_at.config.file, "--rundir", str(tmp_path)]
    assert main([*command, "--calls", "10"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert all(line.startswith("OK") for line in lines)
    assert {line.split()[1] for line in lines} >= {"python", "port", "state", "disk", "files"}
    patient('[users.a]\npassword = "geheim"')
    assert main([*command, "--calls", "10"]) == 1
    capsys.readouterr()
    assert main([*command, "--calls", "100000", "--json"]) == 2
    found = json.loads(capsys.readouterr().out)
    assert {each["state"] for each in found} == {"OK", "WARN", "FAIL"}
    assert set(found[0]) == {"check", "state", "found", "remedy"}
    assert all(each["remedy"] for each in found if each["state"] != "OK")


def test_a_wrong_configuration_is_told_as_ever(tmp_path, capsys):
    """Status 2."""
    (file := tmp_path / "switch.toml").write_text("[swich]\n")
    assert main(["doctor", "--config", str(file)]) == 2
    assert "swich: no such key" in capsys.readouterr().err
