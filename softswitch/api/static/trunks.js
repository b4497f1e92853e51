// The trunks: how their members are; taken out, and put back.

import { change, get, path } from "./api.js";
import { failure, form, told } from "./dialogs.js";
import { make, paced, put, refill } from "./dom.js";
import { moment, plural } from "./words.js";

export const TITLE = "Trunks";

const EVERY = 5000;

export function show(root, frame) {
  return new Trunks(root, frame);
}

class Trunks {
  constructor(root, frame) {
    this._frame = frame;
    this._list = make("div", { class: "cards" }, make("p", { class: "note" }, "Loading …"));
    put(root, this._list);
    this._refresh = paced(() => this._left || this.again(), 500);
    this._timer = setInterval(() => document.hidden || this.again(), EVERY);
    this.again();
  }

  leave() {
    this._left = true;
    clearInterval(this._timer);
  }

  event(name) {
    if (name === "trunk_changed" || name.startsWith("call_")) this._refresh();
  }

  async again() {
    try {
      const trunks = [];
      let cursor = "";
      do {
        const page = await get("/trunks", { limit: 200, cursor });
        trunks.push(...page.trunks);
        cursor = page.next;
      } while (cursor);
      if (!this._left) this._show(trunks);
    } catch (error) {
      if (error.status && !this._left) refill(this._list, failure(error, () => this.again()));
    }
  }

  _show(trunks) {
    // Nothing is laid out anew where nothing has changed, nor is the keyboard's place lost.
    const key = JSON.stringify([trunks, this._frame.role], (name, value) => (name === "seconds_left" ? Math.ceil(value) : value));
    if (key === this._key) return;
    this._key = key;
    const place = document.activeElement?.id;
    refill(this._list, trunks.length ? trunks.map((trunk) => this._card(trunk))
      : make("p", { class: "note" }, "No trunk is configured. [trunks.NAME] in the configuration makes one."));
    if (place?.startsWith("trunk-")) document.getElementById(place)?.focus();
  }

  _card(trunk) {
    const out = trunk.members.length && trunk.members.every((each) => each.taken_out);
    const partly = trunk.up && trunk.members.some((each) => !each.up);
    const state = !trunk.up ? "bad" : partly ? "wait" : "good";
    const said = out ? "taken out" : !trunk.up ? "down" : partly ? "partly up" : "up";
    const refused = Object.entries(trunk.refused).filter(([, count]) => count);
    return make("section", { class: "box card", "aria-label": `Trunk ${trunk.name}` },
      make("h2", { class: state }, make("span", { class: "lamp", "aria-hidden": "true" }), trunk.name, make("span", { class: "word" }, said)),
      make("p", {}, `${trunk.calls_out} calls out, ${trunk.calls_in} in; ${trunk.total_out.toLocaleString()} out and ${trunk.total_in.toLocaleString()} in since the start.`),
      refused.length ? make("p", { class: "bad" }, `Turned away: ${refused.map(([limit, count]) => `${count} by ${limit}`).join(", ")}`) : null,
      trunk.members.length ? make("div", { class: "scroller", tabindex: "0", role: "region", "aria-label": `Members of ${trunk.name}` },
        make("table", {},
          make("caption", { class: "unseen" }, `Members of ${trunk.name}`),
          make("thead", {}, make("tr", {}, make("th", { scope: "col" }, "Member"), make("th", { scope: "col" }, "State"),
            make("th", { scope: "col", class: "number" }, "Calls"),
            this._frame.may("operate") ? make("th", { scope: "col" }, make("span", { class: "unseen" }, "Change")) : null)),
          make("tbody", {}, trunk.members.map((member) => this._member(trunk, member))))) : make("p", {}, "It registers to us: it has no members."),
      trunk.registrations.map((each) => make("p", { class: each.state === "registered" ? "" : "bad" },
        `Our registration at ${each.registrar}: ${each.state}${each.status ? `, ${each.status} ${each.reason}` : ""}${each.expires_at ? `, until ${moment(each.expires_at)}` : ""}`)),
      this._frame.may("operate") && trunk.members.length > 1 ? make("div", { class: "buttons" }, this._button(trunk, null, out)) : null);
  }

  _member(trunk, member) {
    const ill = member.gateways.filter((each) => each.state !== "up");
    const said = member.taken_out ? "taken out" : !member.up ? "out" : ill.length ? "up for a try" : "up";
    return make("tr", {},
      make("th", { scope: "row" }, member.address),
      make("td", { class: member.up ? "" : "bad" }, said,
        ill.map((each) => make("small", {}, `${each.address}: ${each.state}${each.why ? `, ${each.why}` : ""}${each.seconds_left ? `, again in ${Math.ceil(each.seconds_left)} s` : ""}`))),
      make("td", { class: "number" }, member.calls),
      this._frame.may("operate") ? make("td", { class: "act" }, this._button(trunk, member, member.taken_out)) : null);
  }

  _button(trunk, member, isOut) {
    const what = member?.address ?? trunk.name;
    const text = `${isOut ? "Put back" : "Take out"}${member ? "" : " all of it"}`;
    return make("button", {
      type: "button", id: `trunk-${trunk.name}-${member?.address ?? "all"}`, "aria-label": `${text}: ${what}`,
      onclick: () => (isOut ? this._putBack(trunk, member) : this._takeOut(trunk, member)),
    }, text);
  }

  async _takeOut(trunk, member) {
    const calls = member ? member.calls : trunk.calls_out;
    const wish = await form({
      title: `Take ${member?.address ?? trunk.name} out?`,
      text: "No new calls go there until it is put back, or the switch starts anew. Emergency calls go there where nobody else is.",
      fields: calls ? [{ name: "now", label: `Hang up its ${plural(calls, "call")}, too. This cannot be undone.`, kind: "checkbox" }] : [],
      button: "Take out", danger: true,
    });
    if (wish) await this._change(trunk, "out", { member: member?.address ?? null, graceful: !wish.now }, "Taken out.");
  }

  _putBack(trunk, member) {
    return this._change(trunk, "back", { member: member?.address ?? null }, "Put back.");
  }

  async _change(trunk, way, body, done) {
    try {
      await change("POST", path("trunks", trunk.name, way), { body });
      this._frame.tell(done);
    } catch (problem) {
      this._frame.tell(told(problem));
    }
    this.again();
  }
}
