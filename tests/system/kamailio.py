"""Kamailio as a PBX: the registrar of its phones, with a next hop for whatever is not theirs.

It proxies: what it sends on bears its Record-Route, so that a whole call goes through it. Calls
from the next hop ring the phone that has registered under the number; all others go there.
"""

import shutil
import subprocess
from contextlib import suppress
from pathlib import Path

from processes import Process, is_bound

CONFIGURATION = """
debug=1
log_stderror=yes
# One: of two processes one may send a 180 behind the 200 of the other.
children=1
disable_tcp=yes
auto_aliases=no
listen=udp:{host}:{port}
mpath="/usr/lib/x86_64-linux-gnu/kamailio/modules/:/usr/lib64/kamailio/modules/:/usr/lib/kamailio/modules/"

loadmodule "tm.so"
loadmodule "tmx.so"
loadmodule "sl.so"
loadmodule "rr.so"
loadmodule "pv.so"
loadmodule "maxfwd.so"
loadmodule "siputils.so"
loadmodule "textops.so"
loadmodule "usrloc.so"
loadmodule "registrar.so"
{modules}

request_route {{
    if (!mf_process_maxfwd_header("10")) {{
        sl_send_reply("483", "Too Many Hops");
        exit;
    }}
    if (is_method("CANCEL")) {{
        if (t_check_trans()) t_relay();
        exit;
    }}
    if (has_totag()) {{
        if (loose_route() || (is_method("ACK") && t_check_trans())) {{
            t_relay();
        }} else if (!is_method("ACK")) {{
            sl_send_reply("481", "No Such Call Here");
        }}
        exit;
    }}
    t_check_trans();
    {before}
    if (is_method("REGISTER")) {{
        if (!save("location")) sl_reply_error();
        exit;
    }}
    if (is_method("OPTIONS")) {{
        sl_send_reply("200", "OK");
        exit;
    }}
    record_route();
    if ($si == "{next_hop}") {{
        if (!lookup("location")) {{
            sl_send_reply("404", "No Such Phone");
            exit;
        }}
    }} else {{
        $ru = "sip:" + $rU + "@{next_hop}:5060";
    }}
    t_relay();
}}
"""


class Kamailio(Process):
    """A running Kamailio.

    :param folder: for its files; a folder of its own is made in it.
    :param host: where it listens, with UDP.
    :param next_hop: address of who gets the calls that are not for its phones, and whose calls are.
    :param before: further lines of the request route, for requests outside of dialogs.
    :param modules: further modules to load, and their parameters.
    """

    def __init__(
        self,
        folder: Path,
        host: str,
        next_hop: str,
        *,
        port: int = 5060,
        before: str = "",
        modules: str = "",
    ) -> None:
        own = folder / f"kamailio-{host}"
        own.mkdir(exist_ok=True)
        file = own / "kamailio.cfg"
        file.write_text(
            CONFIGURATION.format(
                host=host, port=port, next_hop=next_hop, before=before, modules=modules
            )
        )
        program = shutil.which("kamailio") or "/usr/sbin/kamailio"
        command = [program, "-DD", "-E", "-f", str(file), "-m", "32", "-M", "4"]
        command += ["-Y", str(own), "-w", str(own), "-P", str(own / "pid")]
        super().__init__(command, own, "kamailio")
        try:
            self.until(lambda: is_bound(host, port, "udp"), 10)
        except (RuntimeError, TimeoutError):
            self.kill()
            raise

    def kill(self) -> None:
        """Have it end its children first: one that is killed leaves them behind."""
        if self._process.poll() is None:
            self._process.terminate()
            with suppress(subprocess.TimeoutExpired):
                self._process.wait(5)
        super().kill()
