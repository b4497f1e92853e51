// One call: its ladder, which grows while one looks, and beside it how it sounds and what policies
// have decided. What has ended is looked up among the records.

import { Stream, change, download, get, keep, path } from "./api.js";
import { failure, form, sure, told } from "./dialogs.js";
import { make, paced, put, refill, say } from "./dom.js";
import { Ladder } from "./ladder.js";
import { fact, facts } from "./list.js";
import { lasting, milliseconds, moment, percent, rounded, short, since } from "./words.js";

export const TITLE = "Call";

const PACE = 500;
// Seconds between two times that the switch is asked how a call sounds.
const LISTEN = 3;

export function show(root, frame, { id, title }) {
  return new Call(root, frame, id, title);
}

class Call {
  constructor(root, frame, id, title) {
    Object.assign(this, { _frame: frame, _id: id, _title: title, _shown: null, _record: null, _drawn: false });
    this._state = make("p", { class: "lead" }, "Loading …");
    this._buttons = make("div", { class: "buttons" });
    this._ladder = new Ladder((row, from, to) => this._read(row, from, to));
    this._note = make("div", { class: "note" });
    this._message = make("pre", { tabindex: "0" });
    this._about = make("h2", {}, "Message");
    this._open = make("section", { class: "message", "aria-label": "Message", hidden: true }, this._about, this._message);
    this._side = make("div", { class: "side" });
    this._sound = make("div", { class: "sound" });
    this._ticks = 0;
    put(root, this._state, this._buttons,
      make("div", { class: "beside" },
        make("section", { class: "wideside", "aria-label": "Ladder of the call" }, this._note, this._ladder.element),
        make("div", { class: "narrowside" }, this._open, this._side)));
    this._refresh = paced(() => this._left || this._look(), PACE);
    this._clock = setInterval(() => this._tick(), 1000);
    this.again();
  }

  leave() {
    this._left = true;
    clearInterval(this._clock);
    this._follow?.stop();
    this._ladder.leave();
  }

  again() {
    this._look();
    this._begin();
  }

  event(name, data) {
    const id = data.call?.id ?? data.id;
    if (id === this._id || id === this._shown?.summary.id) this._refresh();
  }

  // The ladder.

  _begin() {
    this._follow?.stop();
    const take = (name, data) => {
      if (name === "ladder") this._drawLadder(data);
      else if (name === "row") {
        this._ladder.add(data.row, data.participants);
        if (data.row.kind !== "message") this._refresh();
      } else if (name === "ended" || name === "refused") {
        // What the record knows of its end stands in the ladder from now on.
        this._follow.stop();
        this._over = this._over || (name === "ended" && Boolean(this._shown));
        setTimeout(() => this._left || this._redraw(), 700);
      }
    };
    const state = (how, problem) => {
      if (how === "refused" && problem.status !== 503) {
        this._follow.stop();
        this._without(problem);
      }
    };
    this._follow = new Stream(`${path("calls", this._id, "ladder")}/events`, take, state);
  }

  async _redraw() {
    try {
      this._drawLadder(await get(path("calls", this._id, "ladder")));
      this._refresh();
    } catch (error) {
      if (error.status && !this._drawn) this._without(error);
    }
  }

  _drawLadder(ladder) {
    if (this._left) return;
    this._ladder.show(ladder);
    this._ladder.element.hidden = false;
    this._drawn = true;
    refill(this._note, ladder.dropped
      ? make("p", { class: "note" }, `${ladder.dropped} things from between are not kept any more.`) : null);
    this._tell();
  }

  _without(problem) {
    if (this._left) return;
    this._ladder.element.hidden = !this._drawn;
    if (this._drawn) return;
    refill(this._note, problem.status === 404
      ? make("p", { class: "note" }, "The ladder of this call is not kept any more; what its record says stands here.")
      : failure(problem, () => this._begin()));
    this._tell();
  }

  _read(row, from, to) {
    this._open.hidden = false;
    refill(this._about, `${from} → ${to}`);
    this._message.textContent = row.text;
    if (matchMedia("(max-width: 60rem)").matches) this._open.scrollIntoView({ block: "nearest" });
    this._frame.whisper(`Message opened: ${row.label}`);
  }

  // What is known of it.

  async _look() {
    try {
      const known = this._shown?.summary.id ?? this._id;
      const live = !this._record && (await get("/calls", { id: known })).calls.length > 0;
      if (live) this._shown = await get(path("calls", known));
      else await this._lookUp(known);
    } catch (error) {
      // It may end between the two.
      if (error.status === 404) this._refresh();
      else if (!this._left && error.status) refill(this._state, failure(error, () => this._look()));
      return;
    }
    if (!this._left) this._tell();
  }

  async _lookUp(id) {
    if (this._record) return;
    const { records } = await get("/records", { group: id, limit: 200 });
    this._record = records.find((record) => record.id === id) ?? null;
    if (this._record) this._shown = null;
    else if (this._shown) {
      // It has just ended, and is not written yet.
      this._over = true;
      setTimeout(() => this._left || this._refresh(), 1000);
    }
  }

  _tell() {
    const call = this._shown?.summary ?? this._record;
    if (!call) {
      say(this._state, this._drawn ? "This call is over." : "No call of this id is known: it may have ended before the recorder and the records kept it.");
      this._tools();
      return;
    }
    const name = `${short(call.caller) || "anonymous"} calls ${short(call.called)}`;
    say(this._title, name);
    document.title = `${name} · softswitch`;
    this._tick();
    this._tools();
    refill(this._side, this._record ? this._ofRecord(this._record) : this._ofLive(this._shown), this._verdictBox());
  }

  _tick() {
    const live = this._shown?.summary;
    if (live && !this._over) {
      const state = live.answered ? `talking for ${lasting(since(live.answered))}` : `${live.state} for ${lasting(since(live.invited))}`;
      this._state.className = `lead ${live.state}`;
      say(this._state, `Live: ${state}, began ${moment(live.invited)}`);
      if (live.answered && this._ticks++ % LISTEN === 0) this._listen(live.id);
    } else if (this._record) {
      const record = this._record;
      this._state.className = "lead ended";
      const talked = record.answered ? `, talked ${lasting(record.talk_seconds ?? 0)}` : "";
      say(this._state, `Ended ${moment(record.ended)}: ${record.status} ${record.reason}${talked}${record.hung_up ? `, ended by the ${record.hung_up}` : ""}`);
    } else if (live) say(this._state, "It has just ended.");
  }

  async _listen(id) {
    try {
      const { streams } = await get(path("calls", id, "media"));
      refill(this._sound, streams.length ? streams.map(stream) : make("p", {}, "Nobody measures it: the media goes past the switch."));
    } catch (error) {
      // Over by now; or the engine does not answer, and is asked again.
      if (error.status === 503) refill(this._sound, make("p", { class: "bad" }, "The media engine does not answer."));
    }
  }

  _tools() {
    const live = this._shown && !this._over && this._shown.summary.state !== "forwarded";
    const key = `${Boolean(live)} ${this._drawn} ${this._frame.role}`;
    if (key === this._tooled) return;
    this._tooled = key;
    const where = path("calls", this._id, "ladder");
    const name = `call-${this._id.slice(0, 12)}`;
    const button = (text, work, kind = "") => make("button", { type: "button", class: kind, onclick: () => this._try(work) }, text);
    refill(this._buttons,
      live && this._frame.may("operate") ? [button("Hang up", () => this._hangUp(), "danger"), button("Transfer", () => this._transfer())] : null,
      this._drawn ? [
        button("Save pcap", () => download(`${where}.pcap`, "application/vnd.tcpdump.pcap", `${name}.pcap`)),
        button("Save SVG", () => download(`${where}.svg`, "image/svg+xml", `${name}.svg`)),
        button("Save JSON", async () => keep(new Blob([JSON.stringify({ ladder: await get(where), call: this._shown, record: this._record }, null, 2)], { type: "application/json" }), `${name}.json`)),
      ] : null);
  }

  async _try(work) {
    try {
      await work();
    } catch (problem) {
      this._frame.tell(told(problem));
    }
  }

  async _hangUp() {
    const { summary } = this._shown;
    const question = `${short(summary.caller)} and ${short(summary.called)} are cut off at once. This cannot be undone.`;
    if (!(await sure("Hang up this call?", question, "Hang up"))) return;
    await change("DELETE", path("calls", summary.id));
    this._frame.tell("The call is hung up.");
    this._refresh();
  }

  async _transfer() {
    const { summary, legs } = this._shown;
    const stays = legs.length
      ? legs.map((leg) => [leg.name, leg.name === "a" ? `the caller, ${short(summary.caller)}` : `${leg.name}, ${leg.peer || short(leg.remote)}`])
      : [["a", "the caller"]];
    const wish = await form({
      title: "Transfer this call",
      text: "Who stays is connected to somebody else; the other side is dismissed when that succeeds.",
      fields: [{ name: "to", label: "To a number, name or SIP URI", required: true }, { name: "leg", label: "Who stays", choices: stays, value: "a" }],
      button: "Transfer",
    });
    if (!wish) return;
    await change("POST", path("calls", summary.id, "transfer"), { body: wish });
    this._frame.tell(`Being transferred to ${wish.to}.`);
  }

  // Beside the ladder.

  _ofLive({ summary, legs, attempts, silences, recording, transfer, mended }) {
    return [
      box("Media", silences.map(silence), summary.answered ? this._sound : make("p", {}, "Nobody has answered yet.")),
      box("This call", facts(
        fact("From", summary.caller), fact("To", summary.called),
        fact("Who", `${summary.identity_kind} ${summary.identity}`), fact("Trunk", summary.trunk),
        fact("Rang", moment(summary.ringing)), fact("Answered", moment(summary.answered)),
        fact("Recorded in", recording), fact("Transfer", transfer), fact("Mended", mended?.join(", ")))),
      box("Legs", legs.map((leg) => make("p", {}, make("b", {}, leg.name), ` ${leg.peer || short(leg.remote)}, ${leg.life}, ${leg.address}`))),
      tries(attempts),
    ];
  }

  _ofRecord(record) {
    return [
      box("Media", record.silences.map(silence), record.media.length ? record.media.map(stream)
        : record.silences.length ? null : make("p", {}, record.answered ? "Nobody has measured it: the media went past the switch." : "There was none: nobody answered.")),
      box("This call", facts(
        fact("From", record.caller), fact("To", record.called), fact("Sent as", record.sent_called_number),
        fact("Who", `${record.identity_kind} ${record.identity}`), fact("Trunk", record.trunk_out || record.trunk_in),
        fact("Began", moment(record.invited)), fact("Rang", moment(record.ringing)), fact("Answered", moment(record.answered)), fact("Ended", moment(record.ended)),
        fact("Post-dial delay", record.pdd_seconds === null ? "" : `${rounded(record.pdd_seconds, 2)} s`),
        fact("Why", record.causes?.join(", ")), fact("Limit", record.limit), fact("Number", record.verstat),
        fact("Recorded in", record.recording), fact("Session-ID", record.session_id))),
      tries(record.attempts),
    ];
  }

  _verdictBox() {
    this._verdictList = make("ul", { class: "plain" });
    this._verdicts();
    return box("Policies", this._verdictList);
  }

  _verdicts() {
    if (!this._verdictList) return;
    const recorded = this._record?.verdicts?.map((each) => `${each.question}: ${each.policy || "nobody"}, ${each.decision}`) ?? [];
    const seen = recorded.length ? recorded : this._ladder.rows.filter((row) => row.kind === "decision").map((row) => row.label);
    refill(this._verdictList, seen.length ? seen.map((each) => make("li", {}, each)) : make("li", { class: "none" }, "None has decided anything."));
  }
}

function box(title, ...content) {
  return make("section", { class: "box" }, make("h2", {}, title), content);
}

function tries(attempts) {
  return attempts.length ? box("Tried", attempts.map((each) => make("p", { class: each.status >= 300 ? "bad" : "" },
    make("b", {}, each.trunk ?? short(each.target)), ` ${each.target}`,
    each.status ? `: ${each.status} ${each.reason}` : each.limit ? `: ${each.limit}` : ""))) : null;
}

function silence(each) {
  return make("p", { class: "bad" }, make("b", {}, `Leg ${each.leg} is not heard: ${each.cause}`), ` ${each.detail}`);
}

function stream(each) {
  const total = each.packets + (each.lost ?? 0);
  const state = each.mos === null ? "" : each.mos >= 3.6 ? "good" : each.mos >= 3.1 ? "wait" : "bad";
  return make("div", { class: "stream" },
    make("p", {}, make("b", {}, each.leg === "a" ? "From the caller" : `From ${each.leg}`), ` ${each.kind} ${each.codec}`),
    facts(
      fact("MOS", make("b", { class: state }, rounded(each.mos))), fact("Packets", each.packets.toLocaleString()),
      fact("Lost", each.lost === null ? "" : total ? `${each.lost} (${(each.lost / total * 100).toFixed(1)} %)` : "0"),
      fact("Jitter", each.jitter === null ? "" : milliseconds(each.jitter)),
      fact("Round trip", each.round_trip === null ? "" : milliseconds(each.round_trip)),
      fact("It heard lost", each.heard_lost === null ? "" : percent(each.heard_lost)),
      fact(each.latched ? "Came from" : "Expected from", each.latched || each.signalled), fact("Not sent on", each.unsent || "")));
}
