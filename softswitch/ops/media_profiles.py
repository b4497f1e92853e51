"""What the peers want of the media, as the configuration has it: ``media`` tables. Pure."""

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, Final

import attrs

from softswitch.plugin.media import MediaProfile
from softswitch.plugin.profile import Profile
from softswitch.settings import key_path, structure

if TYPE_CHECKING:
    from softswitch.ops.config import Config

_PLAIN: Final = MediaProfile()


def wanted(*tables: Mapping[str, Any], file: str, path: str) -> MediaProfile | None:
    """What tables say, a later one before an earlier one; None where that is plain RTP.

    :param path: of the last one.
    :raises ConfigError: it is wrong.
    """
    if not any(tables):
        return None
    cells = {key: cell for table in tables for key, cell in table.items()}
    found = structure(cells, MediaProfile, file=file, path=path)
    return None if found == _PLAIN else found


def media_faults(config: "Config") -> Iterator[tuple[str, str]]:
    """What is wrong with the engine, and with what is wanted of it: key path and what would be
    right."""
    media = config.media
    yield from _instance_faults(config)
    for index, listen in enumerate(config.listen):
        if listen.serves_pages and media.engine == "relay":
            yield (
                f"listen[{index}].websocket.webrtc",
                "pages speak WebRTC, and the built-in relay does not: [media] engine = "
                '"rtpengine" is wanted, or "bypass" for calls between pages alone; or false, where '
                "what connects is no page",
            )
    if media.engine == "rtpengine":
        for key, table in _tables(config):
            profile = _profile(config, key)
            if table.get("transcode") and profile.codecs:
                yield f"{key}.transcode", "dialog.codecs would take these out: leave that away"
            if table and profile.media == "bypass":
                yield (
                    key,
                    'dialog.media = "bypass" has the media go past all engines: leave one away',
                )
        return
    for key, table in _tables(config):
        found = wanted(table, file=config.file, path=key)
        if found is not None:
            cell = next(
                field.name
                for field in attrs.fields(MediaProfile)
                if getattr(found, field.name) != getattr(_PLAIN, field.name)
            )
            knows = {
                "relay": 'the built-in relay knows profile = "rtp" only',
                "bypass": "without an engine nobody changes media",
            }[media.engine]
            yield f"{key}.{cell}", f'[media] engine = "rtpengine" is wanted, for {knows}'


def _instance_faults(config: "Config") -> Iterator[tuple[str, str]]:
    media = config.media
    if media.engine != "rtpengine":
        if media.rtpengine:
            yield "media.rtpengine", '[media] engine = "rtpengine" is wanted beside it'
        return
    if not media.rtpengine:
        yield "media.rtpengine", "at least one [[media.rtpengine]] with its address is wanted"
    elif not any(each.weight for each in media.rtpengine):
        yield "media.rtpengine[0].weight", "at least one of them must take calls: 1 or more"
    seen: dict[str, int] = {}
    for index, each in enumerate(media.rtpengine):
        key = f"media.rtpengine[{index}].address"
        if each.address.port is None or not each.address.port:
            yield key, 'the port of listen-ng is wanted, too, as in "127.0.0.1:2223"'
        if not each.has_literal:
            yield key, "an IP address is wanted: names are not looked up on a call's way"
        first = seen.setdefault(str(each.address), index)
        if first != index:
            yield key, f"{each.address} is media.rtpengine[{first}]'s already"
    if not 0.2 <= media.wait_seconds <= 3:
        yield "media.wait_seconds", "0.2 to 3 are wanted: a caller waits for so long"
    if media.check_seconds < 1:
        yield "media.check_seconds", "1 or more are wanted"


def _tables(config: "Config") -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Every table of what is wanted: its key path and itself."""
    yield "media.default", config.media.default
    for kind, tables in (
        ("groups", config.groups),
        ("users", config.users),
        ("trunks", config.trunks),
    ):
        for name, table in tables.items():
            yield f"{key_path(kind, name)}.media", table.media


def _profile(config: "Config", key: str) -> Profile:
    """How whoever has that table is treated within a call."""
    for (kind, name), profile in config.profiles.items():
        if key == f"{key_path(f'{kind}s', name)}.media":
            return profile
    return config.dialog
