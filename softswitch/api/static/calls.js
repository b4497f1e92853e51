// The calls that go on, as they come and go. All are known here; a page of them is shown, brought up
// to date a few times a second, however much happens.

import { get } from "./api.js";
import { failure } from "./dialogs.js";
import { make, paced, put, refill, say } from "./dom.js";
import { search, Table } from "./list.js";
import { lasting, moment, plural, short, since } from "./words.js";

export const TITLE = "Calls";

const SHOWN = 50;
const MOST = 20000;

// Milliseconds between two times that rows are brought up to date, and for which a call that has
// ended stays in the list.
const PACE = 250;
const FADING = 8000;

const STATES = [["", "any"], ["trying", "trying"], ["ringing", "ringing"], ["talking", "talking"], ["forwarded", "forwarded"], ["silent", "not heard"]];

export function show(root, frame) {
  return new Calls(root, frame);
}

class Calls {
  constructor(root) {
    this._calls = new Map();
    this._ended = new Map();
    this._page = 0;
    this._filter = { text: "", state: "" };
    this._held = null;
    this._turn = 0;
    const form = search([
      { name: "text", label: "Number, name or trunk", placeholder: "49711", size: 18 },
      { name: "state", label: "State", choices: STATES },
    ], (found) => this._filterBy(found), "Show");
    form.element.addEventListener("input", () => this._filterBy(form.read()));
    this._hold = make("button", { type: "button", "aria-pressed": "false", onclick: () => this._toggle() }, "Hold");
    put(form.element, this._hold);
    this._table = new Table("Calls that go on, the newest first", [
      ["State"], ["From"], ["To"], ["Over", "wide"], ["Began", "wide number"], ["Lasts", "number"], ["Media", "wide"],
    ], (call) => new Row(call));
    this._note = make("p", { class: "note" }, "Loading …");
    this._before = make("button", { type: "button", onclick: () => this._go(-1) }, "Newer");
    this._after = make("button", { type: "button", onclick: () => this._go(1) }, "Older");
    this._count = make("span", { class: "count" });
    put(root, form.element, this._table.element, this._note,
      make("nav", { class: "pager", "aria-label": "Pages" }, this._before, this._count, this._after));
    this._draw = paced(() => this._left || this._paint(), PACE);
    this._clock = setInterval(this._draw, 1000);
    this.again();
  }

  leave() {
    this._left = true;
    clearInterval(this._clock);
  }

  // Look at all of them anew; events that come meanwhile are newer than what is read.
  async again() {
    const turn = ++this._turn;
    const heard = this._heard = new Map();
    const found = new Map();
    try {
      let cursor = "";
      do {
        const page = await get("/calls", { limit: 200, cursor });
        if (turn !== this._turn || this._left) return;
        for (const call of page.calls) found.set(call.id, call);
        cursor = page.next;
      } while (cursor && found.size < MOST);
    } catch (error) {
      if (turn === this._turn) refill(this._note, failure(error, () => this.again()));
      return;
    }
    for (const [id, call] of heard) {
      if (call) found.set(id, call);
      else found.delete(id);
    }
    this._heard = null;
    this._calls = found;
    this._loaded = true;
    this._draw();
  }

  event(name, data) {
    if (name === "silence") {
      const call = this._calls.get(data.id);
      if (call) this._keep({ ...call, silences: call.silences + 1 });
    } else if (name === "call_ended") {
      const { call } = data;
      this._heard?.set(call.id, null);
      if (this._calls.delete(call.id) || !this._loaded) {
        this._ended.set(call.id, { ...call, over: performance.now(), status: data.status, reason: data.reason });
      }
    } else if (name.startsWith("call_")) {
      this._keep(data.call);
    }
    this._draw();
  }

  _keep(call) {
    this._heard?.set(call.id, call);
    this._calls.set(call.id, call);
  }

  _filterBy(filter) {
    this._filter = filter;
    this._page = 0;
    if (this._held) this._toggle();
    this._draw();
  }

  _toggle() {
    this._held = this._held ? null : this._chosen();
    this._hold.setAttribute("aria-pressed", String(Boolean(this._held)));
    this._draw();
  }

  _go(step) {
    this._page += step;
    this._draw();
  }

  // Those that are wanted, the newest first.
  _chosen() {
    const { text, state } = this._filter;
    const wanted = text.toLowerCase();
    const fits = (call) =>
      (!state || (state === "silent" ? call.silences > 0 : call.state === state)) &&
      (!wanted || [call.caller, call.called, call.identity, call.trunk, call.target].some((each) => each?.toLowerCase().includes(wanted)));
    return [...this._calls.values(), ...this._ended.values()].filter(fits)
      .sort((a, b) => (a.invited < b.invited ? 1 : a.invited > b.invited ? -1 : 0));
  }

  _paint() {
    if (!this._loaded) return;
    const now = performance.now();
    for (const [id, call] of this._ended) if (now - call.over > FADING) this._ended.delete(id);
    let chosen = this._chosen();
    if (this._held) {
      const known = new Map(chosen.map((call) => [call.id, call]));
      chosen = this._held.map((call) => known.get(call.id) ?? { ...call, over: now });
    }
    const pages = Math.max(1, Math.ceil(chosen.length / SHOWN));
    this._page = Math.max(0, Math.min(this._page, pages - 1));
    const shown = chosen.slice(this._page * SHOWN, (this._page + 1) * SHOWN);
    this._table.show(shown.map((call) => [call.id, call]));
    this._table.element.hidden = !shown.length;
    if (!shown.length) {
      say(this._note, this._calls.size ? "No call fits. Take something out of the search." : "No calls go on. They show up here as they come.");
    } else if (this._held) say(this._note, "Held: no rows come or go until you release it.");
    else say(this._note, "");
    this._before.disabled = this._page === 0;
    this._after.disabled = this._page === pages - 1;
    this._before.hidden = this._after.hidden = pages === 1;
    const all = plural(this._calls.size, "call goes on", "calls go on");
    say(this._count, pages > 1 ? `${all}, page ${this._page + 1} of ${pages}` : all);
  }
}

class Row {
  constructor(call) {
    this._state = make("span");
    this._lamp = make("span", { class: "lamp", "aria-hidden": "true" });
    this._link = make("a", { href: `#/call/${encodeURIComponent(call.id)}` });
    this._to = make("td");
    this._over = make("td", { class: "wide" });
    this._lasts = make("td", { class: "number" });
    this._media = make("td", { class: "wide" });
    this.element = make("tr", {},
      make("td", {}, make("span", { class: "state" }, this._lamp, this._state)),
      make("th", { scope: "row" }, this._link), this._to, this._over,
      make("td", { class: "wide number" }, moment(call.invited)), this._lasts, this._media);
    this.update(call);
  }

  update(call) {
    const over = call.over !== undefined;
    const state = over ? "ended" : call.state;
    if (this.element.className !== state) this.element.className = state;
    say(this._state, over && call.status >= 300 ? `ended, ${call.status}` : state);
    say(this._link, short(call.caller) || "anonymous");
    this._link.title = call.caller;
    say(this._to, short(call.called));
    this._to.title = call.target ?? call.called;
    say(this._over, call.trunk ?? (call.target ? short(call.target) : "–"));
    if (!over) say(this._lasts, lasting(since(call.answered ?? call.invited)));
    say(this._media, call.silences ? `${call.silences} not heard` : call.answered ? "nothing noticed" : "–");
    this._media.classList.toggle("bad", call.silences > 0);
  }
}

