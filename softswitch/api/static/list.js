// Tables: of rows that are kept by key, and lists that come in pages.

import { get } from "./api.js";
import { failure } from "./dialogs.js";
import { make, put, refill } from "./dom.js";

// A table whose rows stay the same elements while what they show changes.
// `columns`: [heading, class]; `row(item)` makes {element, update(item)}.
export class Table {
  constructor(caption, columns, row) {
    this._row = row;
    this._rows = new Map();
    this._body = make("tbody");
    this.element = make(
      "div", { class: "scroller", tabindex: "0", role: "region", "aria-label": caption },
      make("table", {},
        make("caption", { class: "unseen" }, caption),
        make("thead", {}, make("tr", {},
          columns.map(([heading, kind = "", unseen = false]) =>
            make("th", { scope: "col", class: kind }, unseen ? make("span", { class: "unseen" }, heading) : heading)))),
        this._body),
    );
  }

  // Show these, each known by its key, in this order.
  show(items) {
    const keys = new Set(items.map(([key]) => key));
    for (const [key, row] of this._rows) {
      if (keys.has(key)) continue;
      row.element.remove();
      this._rows.delete(key);
    }
    let next = this._body.firstElementChild;
    for (const [key, item] of items) {
      let row = this._rows.get(key);
      if (row) row.update?.(item);
      else this._rows.set(key, row = this._row(item));
      if (row.element === next) next = next.nextElementSibling;
      else this._body.insertBefore(row.element, next);
    }
  }
}

// A list of the API that comes in pages, with its own states: loading, empty, failed.
export class Pages {
  // `where`: path; `key`: of the list in an answer; `name(item)`: what tells one from the others;
  // `empty(query)`: what to say, and do, where there is nothing.
  constructor({ where, key, name, table, empty, counted = () => "", limit = 50 }) {
    Object.assign(this, { _where: where, _key: key, _name: name, _table: table, _empty: empty, _counted: counted, _limit: limit });
    this._query = {};
    this._cursors = [""];
    this._turn = 0;
    this._note = make("p", { class: "note" });
    this._before = make("button", { type: "button", onclick: () => this._go(-1) }, "Earlier page");
    this._after = make("button", { type: "button", onclick: () => this._go(1) }, "Next page");
    this._count = make("span", { class: "count" });
    this.element = make("div", {}, table.element, this._note,
      make("nav", { class: "pager", "aria-label": "Pages" }, this._before, this._count, this._after));
    refill(this._note, "Loading …");
    this._buttons(null);
  }

  // Begin with the first page of what is asked for.
  look(query) {
    this._query = query;
    this._cursors = [""];
    return this.again();
  }

  // Look at the same page anew.
  async again() {
    const turn = ++this._turn;
    try {
      const cursor = this._cursors.at(-1);
      const found = await get(this._where, { ...this._query, cursor, limit: this._limit });
      if (turn !== this._turn) return;
      const items = found[this._key];
      this._table.show(items.map((item) => [this._name(item), item]));
      this._table.element.hidden = !items.length;
      refill(this._note, items.length ? null : this._cursors.length > 1 ? "Nothing more on this page." : this._empty(this._query));
      this._buttons(found);
    } catch (error) {
      if (turn === this._turn) refill(this._note, failure(error, () => this.again()));
    }
  }

  _go(step) {
    if (step > 0) this._cursors.push(this._next);
    else this._cursors.pop();
    this.again();
  }

  _buttons(found) {
    this._next = found?.next ?? null;
    this._before.disabled = this._cursors.length === 1;
    this._after.disabled = !this._next;
    this._before.hidden = this._after.hidden = this._before.disabled && this._after.disabled;
    this._count.textContent = found ? this._counted(found) : "";
  }
}

// A search form: labelled inputs in a row. `changed` is handed what is entered.
export function search(fields, changed, button = "Search") {
  const inputs = fields.map((field) => [field, control(field)]);
  const read = () => Object.fromEntries(inputs.map(([field, input]) => [field.name, input.value.trim()]));
  const form = make("form", { class: "search", role: "search" },
    inputs.map(([field, input]) => make("div", { class: "field" }, make("label", { for: input.id }, field.label), input)),
    make("button", { type: "submit", class: "main" }, button));
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    changed(read());
  });
  return { element: form, read };
}

function control({ name, choices, value = "", placeholder, size }) {
  const id = `search-${name}`;
  if (choices) {
    return make("select", { id },
      choices.map(([each, text]) => make("option", { value: each, selected: each === value }, text)));
  }
  return make("input", { id, value, placeholder, size, autocomplete: "off", spellcheck: "false" });
}

// A row of a definition list, where there is something to say.
export function fact(term, ...value) {
  const said = value.flat().filter((each) => each !== "" && each !== null && each !== undefined);
  return said.length ? [make("dt", {}, term), make("dd", {}, said)] : [];
}

export function facts(...rows) {
  const list = make("dl", { class: "facts" });
  put(list, ...rows);
  return list;
}
