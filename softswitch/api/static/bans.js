// The networks from which nothing is taken.

import { change, path } from "./api.js";
import { form, sure, told } from "./dialogs.js";
import { make, paced, put, say } from "./dom.js";
import { Pages, search, Table } from "./list.js";
import { moment, plural } from "./words.js";

export const TITLE = "Bans";

const TIMES = [["600", "ten minutes"], ["3600", "an hour"], ["86400", "a day"], ["604800", "a week"], ["", "for ever"]];
const MAKERS = [["", "anybody"], ["score", "the score"], ["command", "a command"], ["configuration", "the configuration"]];

export function show(root, frame) {
  return new Bans(root, frame);
}

class Bans {
  constructor(root, frame) {
    this._frame = frame;
    const filter = search([{ name: "by", label: "Made by", choices: MAKERS }], (query) => this._pages.look(query), "Show");
    if (frame.may("operate")) put(filter.element, make("button", { type: "button", onclick: () => this._add() }, "Ban a network"));
    const columns = [["Network"], ["Why"], ["Made by", "wide"], ["Since", "wide number"], ["Until", "number"]];
    if (frame.may("operate")) columns.push(["Lift", "act", true]);
    const table = new Table("Bans, by network", columns, (ban) => this._row(ban));
    this._pages = new Pages({
      where: "/bans", key: "bans", table, name: (ban) => `${ban.network} ${ban.by}`,
      empty: (query) => (query.by ? "No such ban stands." : "Nobody is banned."),
      counted: (found) => plural(found.total, "ban"),
    });
    put(root, filter.element, this._pages.element);
    this._pages.look({});
    this._refresh = paced(() => this._left || this._pages.again(), 1000);
  }

  leave() {
    this._left = true;
  }

  again() {
    this._pages.again();
  }

  event(name) {
    if (name.startsWith("ban_")) this._refresh();
  }

  _row(ban) {
    const until = make("td", { class: "number" });
    const why = make("td");
    const update = (each) => {
      say(until, each.until ? moment(each.until) : "for ever");
      say(why, each.why);
    };
    // What the configuration bans, it alone lifts.
    const lift = ban.by === "configuration" ? "in the configuration"
      : make("button", { type: "button", "aria-label": `Lift the ban of ${ban.network}`, onclick: () => this._lift(ban) }, "Lift");
    const element = make("tr", {}, make("th", { scope: "row" }, ban.network), why,
      make("td", { class: "wide" }, ban.by), make("td", { class: "wide number" }, moment(ban.at)), until,
      this._frame.may("operate") ? make("td", { class: "act" }, lift) : null);
    update(ban);
    return { element, update };
  }

  async _add() {
    const wish = await form({
      title: "Ban a network",
      text: "Nothing is taken from it; calls that go on there lose their signalling. Trunks and trusted networks cannot be banned.",
      fields: [
        { name: "network", label: "Address or network", placeholder: "192.0.2.0/24", required: true },
        { name: "seconds", label: "For", choices: TIMES, value: "3600" },
        { name: "why", label: "Why", value: "by hand", maxlength: 200, required: true },
      ],
      button: "Ban", danger: true,
    });
    if (!wish) return;
    const body = { network: wish.network, why: wish.why, seconds: wish.seconds ? Number(wish.seconds) : null };
    await this._change(() => change("POST", "/bans", { body }), `${wish.network} is banned.`);
  }

  async _lift(ban) {
    if (await sure("Lift this ban?", `What comes from ${ban.network} is taken again at once.`, "Lift")) {
      await this._change(() => change("DELETE", path("bans", ban.network)), `The ban of ${ban.network} is lifted.`);
    }
  }

  async _change(work, done) {
    try {
      await work();
      this._frame.tell(done);
    } catch (problem) {
      this._frame.tell(told(problem));
    }
    this._pages.again();
  }
}
