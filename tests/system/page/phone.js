// A phone in a page, made of JsSIP: it registers, calls, answers, and tells what it hears.
// A test calls what stands in `phone`, each of which waits until it has come about.
import JsSIP from "jssip";

const MEDIA = {
  mediaConstraints: {
    audio: {echoCancellation: false, noiseSuppression: false, autoGainControl: false},
    video: false,
  },
};

let agent, session, analyser, context;

// Every message, as it was sent or came: [whether we have sent it, its text].
export const messages = [];
// What has come about with calls, in order.
const events = [];

const listen = track => {
  const stream = new MediaStream([track]);
  const player = new Audio();  // without one, nothing is decoded
  player.muted = true;
  player.srcObject = stream;
  player.play();
  context.createMediaStreamSource(stream).connect(analyser);
};

const take = found => {
  session = found;
  const watch = connection => connection.addEventListener("track", ({track}) => listen(track));
  if (session.connection) watch(session.connection);
  session.on("peerconnection", ({peerconnection}) => watch(peerconnection));
  for (const name of ["progress", "accepted", "confirmed", "ended", "failed", "hold", "unhold"])
    session.on(name, ({originator, cause}) => events.push([name, originator, cause || ""]));
};

// Wait until it has come about; what has come about until then is told.
const happens = async name => {
  const deadline = performance.now() + 15000;
  while (!events.some(([found]) => found == name)) {
    if (performance.now() > deadline) throw new Error(`no ${name}: ${JSON.stringify(events)}`);
    await new Promise(resolve => setTimeout(resolve, 20));
  }
  return events;
};

export const register = (server, uri, password) => new Promise((resolve, reject) => {
  context = new AudioContext();
  analyser = context.createAnalyser();
  analyser.fftSize = 8192;
  analyser.smoothingTimeConstant = 0;
  const socket = new JsSIP.WebSocketInterface(server);
  const {send} = socket;
  socket.send = message => { messages.push([true, message]); return send.call(socket, message); };
  agent = new JsSIP.UA({sockets: [socket], uri, password, register_expires: 120});
  agent.on("newRTCSession", ({originator, session: found}) => {
    if (originator == "remote") events.push(["incoming", found.remote_identity.uri.user, ""]);
    take(found);
  });
  agent.on("registered", ({response}) => resolve(response.headers));
  agent.on("registrationFailed", ({cause}) => reject(new Error(cause)));
  agent.on("disconnected", ({error}) => reject(new Error(`disconnected: ${error}`)));
  agent.start();
  const {ondata} = socket;
  socket.ondata = message => { messages.push([false, message]); ondata.call(socket, message); };
});

export const call = async uri => {
  events.length = 0;
  agent.call(uri, MEDIA);
  return await happens("confirmed");
};

export const answer = async () => {
  await happens("incoming");
  session.answer(MEDIA);
  return await happens("confirmed");
};

export const hangUp = async () => {
  session.terminate();
  return await happens("ended");
};

export const ended = () => happens("ended");

export const leave = () => new Promise(resolve => {
  agent.on("unregistered", resolve);
  agent.unregister();
});

// State of its media, the frequency of what it hears in Hz, and how loud that is in dB.
export const heard = () => {
  const bins = new Float32Array(analyser.frequencyBinCount);
  analyser.getFloatFrequencyData(bins);
  const loudest = bins.indexOf(Math.max(...bins));
  const frequency = loudest * context.sampleRate / analyser.fftSize;
  const state = session && session.connection ? session.connection.connectionState : "none";
  return [state, frequency, Math.max(-200, bins[loudest])];
};
