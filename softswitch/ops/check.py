"""``softswitch check``: whether a configuration is right, and whether its plug-ins do as they say.

Each policy is made and asked once, by ``dry`` in a process of its own. The exit status tells the
class of the first mistake found, by the order of this list:

- 0: none
- 2: the configuration is wrong, or a policy cannot be made from it
- 3: a plug-in raised
- 4: a plug-in blocks: for longer than the limit, or for longer than others can wait
- 5: a plug-in answered rubbish
- 6: a plug-in ended the process
"""

import json
import re
import subprocess
import sys
from argparse import ArgumentParser, Namespace
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from softswitch.errors import ConfigError
from softswitch.ops.certificates import expiring, read_certificates
from softswitch.ops.config import Config, load
from softswitch.ops.stir import check_stir
from softswitch.policy.load import makers, unknown

#: What went wrong -> exit status.
STATUS = {"config": 2, "raised": 3, "slow": 4, "blocked": 4, "rubbish": 5, "ended": 6}

#: A line of the stack that a hang leaves.
_FRAME = re.compile(r'^  File "(?P<file>.*)", line (?P<line>[0-9]+) in ', re.M)

_OURS = str(Path(__file__).parent.parent)


def add(commands: Any) -> None:
    """Put the command among the others.

    :param commands: what ``ArgumentParser.add_subparsers`` has given.
    """
    parser: ArgumentParser = commands.add_parser(
        "check", help="say what is wrong with a configuration and its plug-ins"
    )
    parser.add_argument("file", type=Path, nargs="?", help="without it, the package's defaults")
    parser.add_argument("--no-plugins", action="store_true", help="make and ask no policy")
    parser.add_argument(
        "--seconds", type=float, default=5.0, help="that a plug-in may take for one answer (5)"
    )
    parser.set_defaults(run=check)


def check(chosen: Namespace) -> int:
    """Do it, and print what was found."""
    config = load(chosen.file)
    known = makers()
    for index, table in enumerate(config.policy):
        if table["use"] not in known:
            raise ConfigError(f"{config.file}: policy[{index}].use", unknown(table["use"], known))
    check_stir(config)
    for expiry in expiring(read_certificates(config)):
        print(f"{config.file}: {expiry}", file=sys.stderr)
    for warning in config.warnings():
        print(f"{config.file}: {warning}", file=sys.stderr)
    status = 0
    if not chosen.no_plugins:
        found = list(_dry_calls(config, chosen.file, chosen.seconds))
        for line in found:
            _print(config, line)
        status = min((STATUS[line["kind"]] for line in found if line["kind"] in STATUS), default=0)
    if status == 0:
        print(f"{config.file}: no mistake found")
    return status


def _print(config: Config, line: dict[str, Any]) -> None:
    index, text = line["policy"], line["text"]
    if line["kind"] == "config":  # which names file and key itself
        print(f"softswitch: {text}", file=sys.stderr)
        return
    wrong = line["kind"] in STATUS
    what = f"policy[{index}] {config.policy[index]['use']}: {line['place']}: "
    print(
        f"{config.file}: {what}{text}",
        file=sys.stderr if wrong else sys.stdout,
    )


def _dry_calls(config: Config, file: Path | None, limit: float) -> Iterator[dict[str, Any]]:
    """What became of each policy; one that takes the process with it is named, and the others are
    asked all the same."""
    first = 0
    while first < len(config.policy):
        done = subprocess.run(
            [
                *(sys.executable, "-m", "softswitch.ops.dry"),
                *(str(file or ""), str(config.directory), str(first), str(limit)),
            ],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            check=False,
        )
        lines: list[dict[str, Any]] = [json.loads(line) for line in done.stdout.splitlines()]
        yield from (line for line in lines if line["kind"] != "asking")
        if done.returncode == 0:
            return
        if not lines or lines[-1]["kind"] != "asking":
            raise ConfigError(config.file, f"the dry calls broke down: {done.stderr[-500:]}")
        yield {**lines[-1], **_end(done, limit)}
        first = lines[-1]["policy"] + 1


def _end(done: "subprocess.CompletedProcess[str]", limit: float) -> dict[str, str]:
    """How a policy has ended the process: by a hang, whose stack says where, or by itself."""
    if not re.search(r"^Timeout \(", done.stderr, re.M):
        last = done.stderr.strip().rpartition("\n")[2]
        return {"kind": "ended", "text": f"ended the process with {done.returncode}: {last}"}
    frames = [(each["file"], each["line"]) for each in _FRAME.finditer(done.stderr)]
    theirs = [each for each in frames if not each[0].startswith(_OURS)]
    file, line = (theirs or frames or [("?", "0")])[0]
    return {"kind": "blocked", "text": f"no answer in {limit:g} s ({file}:{line})"}
