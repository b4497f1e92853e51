// The contacts under which users are reached.

import { change, path } from "./api.js";
import { sure, told } from "./dialogs.js";
import { make, paced, put, say } from "./dom.js";
import { Pages, search, Table } from "./list.js";
import { lasting, moment, plural, since } from "./words.js";

export const TITLE = "Registrations";

const PACE = 2000;

export function show(root, frame) {
  return new Registrations(root, frame);
}

class Registrations {
  constructor(root, frame) {
    this._frame = frame;
    const form = search([{ name: "text", label: "User, contact or phone", size: 24 }], (query) => this._pages.look(query));
    const columns = [["User"], ["Phone", "wide"], ["Address", "wide"], ["Until", "number"], ["State"]];
    if (frame.may("operate")) columns.push(["Remove", "act", true]);
    const table = new Table("Contacts, by user", columns, (item) => this._row(item));
    this._pages = new Pages({
      where: "/registrations", key: "registrations", table, name: (each) => `${each.aor} ${each.contact} ${each.reg_id}`,
      empty: (query) => (query.text ? "No contact holds this. Search less of it." : "Nobody is registered. Phones show up here once their REGISTER was accepted."),
      counted: (found) => plural(found.total, "contact"),
    });
    put(root, form.element, this._pages.element);
    this._pages.look({});
    this._refresh = paced(() => this._left || this._pages.again(), PACE);
  }

  leave() {
    this._left = true;
  }

  again() {
    this._pages.again();
  }

  event(name) {
    if (name.startsWith("registration_")) this._refresh();
  }

  _row(item) {
    const until = make("td", { class: "number" });
    const state = make("td");
    const update = (each) => {
      const left = -since(each.expires_at);
      say(until, left < 3600 ? `${lasting(left)} left` : moment(each.expires_at));
      say(state, each.reachable ? "reachable" : "not reachable");
      state.className = each.reachable ? "" : "bad";
    };
    const element = make("tr", {},
      make("th", { scope: "row", title: item.contact }, item.aor.replace(/^sips?:/, "")),
      make("td", { class: "wide" }, item.user_agent || "–"),
      make("td", { class: "wide", title: item.contact }, item.address), until, state,
      this._frame.may("operate") ? make("td", { class: "act" },
        make("button", { type: "button", "aria-label": `Remove ${item.contact} of ${item.aor}`, onclick: () => this._remove(item) }, "Remove")) : null);
    update(item);
    return { element, update };
  }

  async _remove({ aor, contact }) {
    const text = [`${contact} of ${aor} is not called any more.`, "A phone that is still there comes back with its next REGISTER."];
    if (!(await sure("Remove this contact?", text, "Remove"))) return;
    try {
      await change("DELETE", path("registrations", aor), { query: { contact } });
      this._frame.tell("The contact is removed.");
    } catch (problem) {
      this._frame.tell(told(problem));
    }
    this._pages.again();
  }
}
