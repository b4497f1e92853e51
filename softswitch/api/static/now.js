// What goes on now: figures, moving plots, trunks, and what has happened that somebody should know.

import { get } from "./api.js";
import { Chart, grid } from "./charts.js";
import { failure } from "./dialogs.js";
import { make, put, refill, say } from "./dom.js";
import { milliseconds, moment, percent, plural, rounded, short } from "./words.js";

export const TITLE = "Now";

const EVERY = 2000;
const SHOWN = 600;
const NEWS = 8;

// Over how many seconds rates are taken.
const WINDOW = 60;

// What was noticed while the page was open, whichever view was shown; the latest first.
const news = [];

export function show(root, frame, { title }) {
  return new Now(root, frame, title);
}

class Now {
  constructor(root) {
    this._samples = [];
    this._tiles = new Map();
    const tiles = make("div", { class: "tiles" });
    for (const [key, label, where] of [
      ["calls", "Calls", "#/calls"], ["rate", "Calls per second", ""], ["asr", "Answered (ASR)", ""],
      ["registrations", "Registrations", "#/registrations"], ["trunks", "Trunks up", "#/trunks"],
      ["lag", "Reactor lag", ""], ["bans", "Bans", "#/bans"], ["leaks", "Leaks", ""],
    ]) {
      const value = make("b", {}, "–");
      const note = make("small", {}, "\u00a0");
      const tile = where ? make("a", { href: where, class: "tile" }) : make("div", { class: "tile" });
      put(tile, make("span", {}, label), value, note);
      put(tiles, tile);
      this._tiles.set(key, { tile, value, note });
    }
    this._calls = new Chart("Calls", [
      { label: "talking", colour: "good" }, { label: "ringing", colour: "wait" }, { label: "trying", colour: "busy" },
    ], { written: (value) => String(Math.round(value * 10) / 10), least: 4 });
    this._rate = new Chart("Calls per second", [{ label: "calls per second", colour: "accent" }],
      { written: (value) => rounded(value, value < 10 ? 1 : 0), fill: true });
    this._asr = new Chart("Answer-seizure ratio, of a minute", [{ label: "ratio", colour: "good" }],
      { written: percent, least: 1 / 1.1 });
    this._lag = new Chart("Reactor lag, at worst", [{ label: "lag", colour: "wait" }],
      { written: (value) => `${Math.round(value * 1000)} ms`, least: 0.05, fill: true });
    this._charts = [this._calls, this._rate, this._asr, this._lag];
    this._trunks = make("div", { class: "list" });
    this._news = make("ol", { class: "news" });
    this._failure = make("div");
    put(root, this._failure, tiles, grid(...this._charts),
      make("div", { class: "halves" },
        make("section", {}, make("h2", {}, "Trunks"), this._trunks),
        make("section", {}, make("h2", {}, "Noticed"), this._news)));
    this._tellNews();
    this._begin();
  }

  leave() {
    this._left = true;
    clearTimeout(this._timer);
    for (const chart of this._charts) chart.leave();
  }

  again() {
    clearTimeout(this._timer);
    this._samples = [];
    this._begin();
  }

  event(name, data) {
    if (name === "trunk_changed") this._lookAtTrunks();
    this._tellNews();
  }

  async _begin() {
    const turn = this._turn = (this._turn ?? 0) + 1;
    try {
      const history = await get("/figures/history", { seconds: SHOWN + WINDOW });
      if (turn !== this._turn || this._left) return;
      this._samples = history.samples.map(read);
    } catch (error) {
      this._failed(error);
    }
    this._lookAtTrunks();
    await this._look(turn);
  }

  async _look(turn) {
    if (this._left || turn !== this._turn) return;
    if (!document.hidden) {
      try {
        const figures = await get("/figures");
        if (this._left || turn !== this._turn) return;
        refill(this._failure);
        this._take(figures);
        this._looks = (this._looks ?? 0) + 1;
        if (this._looks % 5 === 0) this._lookAtTrunks();
      } catch (error) {
        this._failed(error);
      }
    }
    this._timer = setTimeout(() => this._look(turn), EVERY);
  }

  _failed(error) {
    // The frame says that the switch is not there.
    if (error.status) refill(this._failure, failure(error));
  }

  _take(figures) {
    const sample = read(figures.now);
    const last = this._samples.at(-1);
    // Started anew: what was counted before is no measure.
    if (last && sample.begun < last.begun) this._samples = [];
    if (!last || sample.at > last.at) this._samples.push(sample);
    while (this._samples.length > 2 && this._samples[0].at < sample.at - SHOWN - WINDOW) this._samples.shift();
    const { rate, asr } = this._rates(this._samples.length - 1);
    const { now } = figures;
    this._set("calls", (now.talking + now.ringing + now.trying).toLocaleString(),
      `${now.talking} talking, ${now.ringing} ringing, ${now.trying} trying`);
    this._set("rate", rounded(rate ?? 0, (rate ?? 0) < 10 ? 1 : 0), `${now.begun.toLocaleString()} since the start`);
    this._set("asr", percent(asr), "of the last minute");
    this._set("registrations", now.registrations.toLocaleString(), "contacts");
    const down = figures.trunks - figures.trunks_up;
    this._set("trunks", `${figures.trunks_up} / ${figures.trunks}`,
      figures.trunks ? (down ? plural(down, "trunk is out", "trunks are out") : "all take calls") : "none configured", down ? "bad" : "");
    // One stall is no overload: it has to last.
    const recent = this._samples.filter((each) => each.at > sample.at - 20);
    const slow = recent.length > 3 && recent.every((each) => each.lag > 0.1);
    this._set("lag", milliseconds(now.lag), slow ? "overloaded" : "at worst, just now", slow ? "bad" : "");
    this._set("bans", figures.bans.toLocaleString(), "networks");
    this._set("leaks", figures.leaks.toLocaleString(), figures.leaks ? "the log names them" : "as it should be", figures.leaks ? "bad" : "");
    this._plot(sample.at);
  }

  _set(key, value, note, state = "") {
    const tile = this._tiles.get(key);
    say(tile.value, value);
    say(tile.note, note);
    tile.tile.classList.toggle("bad", state === "bad");
  }

  // Calls per second and answer-seizure ratio of the time before a sample.
  _rates(place) {
    const sample = this._samples[place];
    let rateFrom = place;
    while (rateFrom > 0 && sample.at - this._samples[rateFrom].at < 10) rateFrom -= 1;
    let asrFrom = rateFrom;
    while (asrFrom > 0 && sample.at - this._samples[asrFrom].at < WINDOW) asrFrom -= 1;
    const [near, far] = [this._samples[rateFrom], this._samples[asrFrom]];
    const seconds = sample.at - near.at;
    const answered = sample.answered - far.answered;
    const all = answered + sample.unanswered - far.unanswered;
    return { rate: seconds ? (sample.begun - near.begun) / seconds : null, asr: all ? answered / all : null };
  }

  _plot(end) {
    const samples = this._samples;
    const times = samples.map((each) => each.at);
    const range = [end - SHOWN, end];
    const rates = samples.map((_, place) => this._rates(place));
    this._calls.show([times, ...["talking", "ringing", "trying"].map((key) => samples.map((each) => each[key]))], range);
    this._rate.show([times, rates.map((each) => each.rate)], range);
    this._asr.show([times, rates.map((each) => each.asr)], range);
    this._lag.show([times, samples.map((each) => each.lag)], range);
  }

  async _lookAtTrunks() {
    try {
      const { trunks } = await get("/trunks", { limit: 200 });
      if (this._left) return;
      refill(this._trunks, trunks.length ? trunks.map(trunkLine) : "No trunk is configured.");
    } catch (error) {
      if (error.status) refill(this._trunks, failure(error, () => this._lookAtTrunks()));
    }
  }

  _tellNews() {
    refill(this._news, news.length ? news.map((each) => make("li", { class: each.state },
      make("time", {}, moment(each.at)), " ",
      each.id ? make("a", { href: `#/call/${encodeURIComponent(each.id)}` }, each.text) : each.text))
      : make("li", { class: "none" }, "Nothing yet: failed calls, silences, trunks and bans show up here."));
  }
}

function read(sample) {
  return { ...sample, at: Date.parse(sample.at) / 1000 };
}

function trunkLine(trunk) {
  const out = trunk.members.filter((each) => each.taken_out).length;
  const state = trunk.up ? (trunk.members.some((each) => !each.up) ? "wait" : "good") : "bad";
  const said = trunk.up
    ? `${trunk.calls_out} out, ${trunk.calls_in} in`
    : out ? "taken out" : "out of service";
  return make("a", { href: "#/trunks", class: `line ${state}` },
    make("span", { class: "lamp", "aria-hidden": "true" }), make("span", { class: "name" }, trunk.name),
    make("span", {}, trunk.up ? (state === "wait" ? "partly up" : "up") : "down"), make("span", { class: "muted" }, said));
}

// Note what somebody should know, whichever view is shown.
export function notice(name, data) {
  const found = noticed(name, data);
  if (!found) return;
  news.unshift({ at: data.at, ...found });
  news.length = Math.min(news.length, NEWS);
}

function noticed(name, data) {
  if (name === "call_ended") {
    const { call, status, reason, hung_up: who } = data;
    if (call.answered ? who !== "switch" : status < 400 || [486, 487, 600, 603].includes(status)) return null;
    return { id: call.id, state: "bad", text: `${short(call.caller)} to ${short(call.called)}: ${status} ${reason}` };
  }
  if (name === "silence") return { id: data.id, state: "bad", text: `Leg ${data.leg} is not heard: ${data.cause}` };
  if (name === "ban_made") return { state: "wait", text: `Banned ${data.ban.network}: ${data.ban.why}` };
  if (name === "trunk_changed") {
    const down = Object.entries(data.members).filter(([, each]) => !each.up).map(([address]) => address);
    return down.length
      ? { state: "bad", text: `Trunk ${data.trunk}: ${down.join(", ")} out` }
      : { state: "good", text: `Trunk ${data.trunk} is well` };
  }
  return null;
}
