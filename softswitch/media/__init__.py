"""One leg's media, and the engines that carry it.

``endpoint.MediaEndpoint`` is what a leg knows of its own session description. The engines
implement ``plugin.media.IMediaEngine``:

- ``relay.RelayEngine(clock, ports, quarantine=10.0, seed=None, reactor=None)``: the built-in
  relay. ``ports`` is (first, last) of the range; with a reactor it serves packets by itself,
  else whoever made it calls ``path.serve()`` when ``path.fileno()`` is readable.
- ``rtpengine.RtpengineEngine``: a farm of rtpengines; ``ops.rtpengines`` puts one together.
- ``bypass.BypassEngine()``: the SDP passes unchanged, the phones talk to each other.
"""
