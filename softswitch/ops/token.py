"""``softswitch token``: makes a token for the API, and what the configuration is to say of it.

The token is shown once and kept nowhere; the configuration has its hash.
"""

import json
import sys
from argparse import ArgumentParser, ArgumentTypeError, Namespace
from datetime import date
from typing import Any, get_args

from softswitch.api.tokens import Role, hashed, new_token
from softswitch.ops.values import read_field_text


def add(commands: Any) -> None:
    """Put the command among the others."""
    parser: ArgumentParser = commands.add_parser(
        "token", help="make a token for the API, and the table that lets it in"
    )
    parser.add_argument("name", type=_name, help="whose it is, for the audit")
    parser.add_argument(
        "--role", choices=get_args(Role), default="view", help="what it allows; view without it"
    )
    parser.add_argument("--expires", type=_day, metavar="DAY", help="the last day, as 2027-12-31")
    parser.set_defaults(run=run)


def run(chosen: Namespace) -> int:
    """Make one: the token on the standard error, what belongs into the file on the output."""
    token = new_token()
    print(f"The token, which is shown just this once:\n\n    {token}\n", file=sys.stderr)
    print("And what belongs into the configuration, before `softswitch reload`:\n", file=sys.stderr)
    print("[[api.tokens]]")
    print(f"name = {json.dumps(chosen.name, ensure_ascii=False)}")
    print(f'role = "{chosen.role}"')
    print(f'hash = "{hashed(token)}"')
    if chosen.expires is not None:
        print(f"expires = {chosen.expires.isoformat()}")
    return 0


def _name(text: str) -> str:
    if not text.strip():
        raise ArgumentTypeError("a name is wanted")
    try:
        return read_field_text(text)
    except ValueError as error:
        raise ArgumentTypeError(str(error)) from None


def _day(text: str) -> date:
    try:
        day = date.fromisoformat(text)
    except ValueError:
        raise ArgumentTypeError("a day such as 2027-12-31 is wanted") from None
    if day < date.today():
        raise ArgumentTypeError(f"{text} has passed: a day to come is wanted")
    return day
