"""Chromium as a phone: a page that makes offers and answers, speaks a tone, and listens.

It knows nothing of SIP: a test takes what it says to the switch, and back.
"""

import math
import wave
from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar

from namespaces import Namespace
from playwright.sync_api import sync_playwright

from softswitch.testing.tones import RATE, tone

FLAGS = (
    *("--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"),
    *("--disable-background-networking", "--disable-component-update"),
    *("--use-fake-ui-for-media-stream", "--use-fake-device-for-media-stream"),
    *("--allow-loopback-in-peer-connection", "--autoplay-policy=no-user-gesture-required"),
)

#: Counts as a secure page, so that it may have a microphone; nobody is asked for it.
PAGE = "http://127.0.0.1/"

SCRIPT = """
const connection = new RTCPeerConnection();
const context = new AudioContext();
const analyser = context.createAnalyser();
analyser.fftSize = 8192;
analyser.smoothingTimeConstant = 0;
connection.ontrack = ({track}) => {
  const stream = new MediaStream([track]);
  const player = new Audio();  // without one, nothing is decoded
  player.muted = true;
  player.srcObject = stream;
  player.play();
  context.createMediaStreamSource(stream).connect(analyser);
};
const speak = async () => {
  const plain = {echoCancellation: false, noiseSuppression: false, autoGainControl: false};
  const stream = await navigator.mediaDevices.getUserMedia({audio: plain});
  for (const track of stream.getTracks()) connection.addTrack(track, stream);
};
const described = async () => {
  await connection.setLocalDescription();
  while (connection.iceGatheringState != "complete")
    await new Promise(resolve => connection.onicegatheringstatechange = resolve);
  return connection.localDescription.sdp;
};
const offer = async () => { await speak(); return await described(); };
const take = async sdp => await connection.setRemoteDescription({type: "answer", sdp});
const answer = async sdp => {
  await connection.setRemoteDescription({type: "offer", sdp});
  await speak();
  return await described();
};
const heard = () => {
  const bins = new Float32Array(analyser.frequencyBinCount);
  analyser.getFloatFrequencyData(bins);
  const loudest = bins.indexOf(Math.max(...bins));
  const frequency = loudest * context.sampleRate / analyser.fftSize;
  return [connection.connectionState, frequency, Math.max(-200, bins[loudest])];
};
"""


class Browser:
    """One page.

    :cvar flags: how Chromium is started.
    :cvar ear: what tells the state of its media, the frequency of what it hears, how loud it is.
    :param frequency: of its tone, Hz.
    :param end: called with what is to be called in the end.
    :param script: what the page does.
    """

    flags: ClassVar[tuple[str, ...]] = FLAGS
    ear: ClassVar[str] = "heard()"

    def __init__(
        self,
        namespace: Namespace,
        folder: Path,
        frequency: int,
        end: Callable[..., object],
        script: str = SCRIPT,
    ) -> None:
        sound = folder / "microphone.wav"
        with wave.open(str(sound), "wb") as file:
            file.setnchannels(1)
            file.setsampwidth(2)
            file.setframerate(RATE)
            file.writeframes(tone(frequency, 10).tobytes())
        chromium = folder / "chromium"
        chromium.write_text(f'#!/bin/sh\nexec {" ".join(namespace.prefix)} chromium "$@"\n')
        chromium.chmod(0o755)
        playwright = sync_playwright().start()
        end(playwright.stop)
        browser = playwright.chromium.launch(
            executable_path=chromium,
            args=[*self.flags, f"--use-file-for-fake-audio-capture={sound}"],
        )
        end(browser.close)
        self._page = browser.new_page()
        self._page.route("**/*", lambda route: route.fulfill(body="", content_type="text/html"))
        self._page.goto(PAGE)
        self._page.add_script_tag(content=script)

    def offer(self) -> bytes:
        """What it offers."""
        return str(self._page.evaluate("offer()")).encode()

    def take(self, sdp: bytes) -> None:
        """Give it the answer to that."""
        self._page.evaluate("sdp => take(sdp)", sdp.decode())

    def answer(self, sdp: bytes) -> bytes:
        """What it answers to an offer."""
        return str(self._page.evaluate("sdp => answer(sdp)", sdp.decode())).encode()

    def hears(self, frequency: int, seconds: float = 10.0) -> bool:
        """Whether it hears that tone, and nothing louder, three times in a row before the time is
        up."""
        in_a_row = 0
        seen: list[Any] = []
        for _ in range(math.ceil(seconds / 0.2)):
            self._page.wait_for_timeout(200)
            state, found, level = self._page.evaluate(self.ear)
            seen.append((state, round(found), round(level)))
            clear = state == "connected" and abs(found - frequency) < 20 and level > -50
            in_a_row = in_a_row + 1 if clear else 0
            if in_a_row == 3:
                return True
        print(f"the browser heard: {seen}")
        return False
