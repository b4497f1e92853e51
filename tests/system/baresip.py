"""baresip, Debian's softphone, as a process that is told what to do over its control port."""

import json
import re
import socket
import wave
from array import array
from contextlib import suppress
from pathlib import Path

from namespaces import Namespace
from phones import bracketed
from processes import Process

from softswitch.testing.tones import RATE, tone

CONFIG = """\
poll_method epoll
sip_listen {at}:5060
net_interface {host}
net_prefer_ipv6 {sixth}
module_path /usr/lib/baresip/modules
module g711.so
module aufile.so
module aubridge.so
module sndfile.so
module ctrl_tcp.so
module_tmp account.so
module_app menu.so
audio_source aufile,{folder}/tone.wav
audio_player aubridge,{name}
snd_path {folder}
rtp_ports {first}-{last}
ctrl_tcp_listen {control}:4444
{more}
"""
ACCOUNT = (
    "<sip:{name}@{switch};transport={transport}>"
    ";auth_user={name};auth_pass={password};answermode=auto;audio_codecs=PCMU\n"
)
#: For its audio, unless it has some of its own.
PORTS = range(16384, 32769)
_RATES = re.compile(rb"audio=(\d+)/(\d+) ")


class Baresip(Process):
    """A phone with one account, that answers every call and records what it hears.

    Its RTP socket is bound to 0.0.0.0, so that on loopback its packets come from 127.0.0.1 and
    not from the address in its SDP: whoever hears it has learnt.

    :param host: its address, without brackets; ports 5060 and 4444 are to be free there.
    :param switch: the switch's, as it stands in a URI.
    :param frequency: of its tone, Hz.
    :param namespace: in which it runs; its control port is on ``control`` then.
    :param ports: for its audio.
    :param encryption: that it insists on, as baresip calls it: "srtp-mand"; "" for none.
    :param more: further lines of its configuration.
    """

    def __init__(
        self,
        folder: Path,
        name: str,
        password: str,
        host: str,
        switch: str,
        frequency: int,
        transport: str = "udp",
        namespace: Namespace | None = None,
        control: str = "",
        ports: range = PORTS,
        encryption: str = "",
        more: str = "",
    ) -> None:
        folder = folder / name
        folder.mkdir()
        control = control or host
        sixth = "yes" if ":" in host else "no"
        config = CONFIG.format(
            host=host,
            at=bracketed(host),
            sixth=sixth,
            control=control,
            folder=folder,
            name=name,
            first=ports[0],
            last=ports[-1],
            more=more,
        )
        account = ACCOUNT.format(name=name, password=password, switch=switch, transport=transport)
        if encryption:
            config += "module srtp.so\n"
            account = f"{account.rstrip()};mediaenc={encryption}\n"
        (folder / "config").write_text(config)
        (folder / "accounts").write_text(account)
        (folder / "contacts").touch()
        with wave.open(str(folder / "tone.wav"), "wb") as file:
            file.setnchannels(1)
            file.setsampwidth(2)
            file.setframerate(RATE)
            file.writeframes(tone(frequency, 30).tobytes())
        self._socket = socket.socket() if namespace is None else namespace.within(socket.socket)
        self._told = b""
        prefix = () if namespace is None else namespace.prefix
        super().__init__([*prefix, "baresip", "-f", str(folder)], folder, f"baresip-{name}")
        self.until(lambda: self._socket.connect_ex((control, 4444)) == 0, 10)
        self._socket.setblocking(False)

    def order(self, command: str, params: str = "") -> None:
        """Give one of baresip's commands: dial, hangup, hold, resume ..."""
        text = json.dumps({"command": command, "params": params, "token": command})
        self._socket.sendall(f"{len(text)}:{text},".encode())

    def expect(self, event: str, seconds: float = 10) -> None:
        """Wait for an event, one that was not waited for before: CALL_ESTABLISHED ..."""
        wanted = f'"type":"{event}"'.encode()
        self.until(lambda: wanted in self._heard(), seconds)
        self._told = self._told.partition(wanted)[2]

    def quit(self) -> None:
        """Have it unregister and end."""
        self.order("quit")
        assert self.wait(10) == 0, self.tail()

    def recording(self) -> "array[int]":
        """The samples that it heard in its one call, or its last; whole once it has quit."""
        return self.recordings()[-1]

    def recordings(self) -> "list[array[int]]":
        """The same of all that it has recorded: a hold begins another."""
        found = []
        for file in sorted(self.folder.glob("dump-*-dec.wav")):
            with wave.open(str(file), "rb") as heard:
                assert (heard.getframerate(), heard.getnchannels()) == (RATE, 1)
                found.append(array("h", heard.readframes(heard.getnframes())))
        return found

    def rates(self) -> list[tuple[int, int]]:
        """Bits per second that it said it sent and got, in the last 3 s each time: its recording
        ends with a hold, since its filters for audio do not start again."""
        return [(int(sent), int(got)) for sent, got in _RATES.findall(self.log.read_bytes())]

    def kill(self) -> None:
        """End it, whatever it does."""
        self._socket.close()
        super().kill()

    def _heard(self) -> bytes:
        """What its control port told since the last event that was waited for."""
        with suppress(BlockingIOError):
            self._told += self._socket.recv(65536)
        return self._told
