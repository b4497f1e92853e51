"""The media engine on rtpengines, as the configuration lists them."""

from collections.abc import Callable
from functools import partial
from typing import Any

from twisted.logger import Logger

from softswitch.media.instances import Instance, Instances, Place
from softswitch.media.ng import NgClient
from softswitch.media.ngport import NgPort
from softswitch.media.ngwitness import RtpengineWitness
from softswitch.ops.tables import MediaTable
from softswitch.wheel import Wheel

log = Logger()


def rtpengines(
    media: MediaTable, wheel: Wheel, reactor: Any, leaked: Callable[[str, str], None]
) -> RtpengineWitness:
    """The engine that ``[[media.rtpengine]]`` describes.

    :param leaked: told of a session and a leg ("" for all) that was not let go.
    """
    instances = []
    for each in media.rtpengine:
        place = Place(each.address.host, each.address.port or 0, each.weight)
        port = NgPort(place, reactor)
        instance = Instance(place, NgClient(wheel, port.send))
        port.received = instance.client.received
        instances.append((instance, port))
    farm = Instances([each for each, _ in instances], wheel, _noted, media.check_seconds)
    for instance, port in instances:
        port.refused = partial(farm.refused, instance)
    wires = [port for _, port in instances]
    return RtpengineWitness(farm, wheel, media.wait_seconds, leaked, wires)


def _noted(instance: Instance) -> None:
    calls = len(instance.calls)
    if instance.state == "up":
        log.info("rtpengine {place} is there again, {n} calls", place=instance.place, n=calls)
    elif instance.state == "silent":
        log.warn("rtpengine {place} does not answer: {n} calls", place=instance.place, n=calls)
    else:
        log.error("rtpengine {place} has ended: {n} calls lost", place=instance.place, n=calls)
