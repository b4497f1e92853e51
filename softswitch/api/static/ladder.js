// A call as a ladder, drawn from what the flight recorder tells; it grows row by row.

import { draw, make, put } from "./dom.js";

const ROW = 40;
const TOP = 14;
const GAP = 300;

// Pixels that a character of a label takes, about.
const CHARACTER = 6.6;

export class Ladder {
  // `opened(row)` is told whose message somebody wants to read.
  constructor(opened) {
    this._opened = opened;
    this._rows = [];
    this._people = [];
    this._heads = make("div", { class: "heads", "aria-hidden": "true" });
    this._svg = draw("svg", { class: "ladder", role: "group", "aria-label": "Messages, the earliest first" });
    this._lines = draw("g");
    this._marks = draw("g");
    put(this._svg, this._lines, this._marks);
    this.element = make("div", { class: "scroller rungs", tabindex: "0", role: "region", "aria-label": "Ladder" }, this._heads, this._svg);
    this._sized = new ResizeObserver(() => this._layOut());
    this._sized.observe(this.element);
    this._svg.addEventListener("keydown", (event) => this._key(event));
  }

  leave() {
    this._sized.disconnect();
  }

  show(ladder) {
    this._people = ladder.participants;
    this._rows = [...ladder.rows];
    this._layOut(true);
  }

  add(row, participants) {
    const isNew = participants.length !== this._people.length;
    this._people = participants;
    this._rows.push(row);
    if (isNew || this._rows.length === 1) this._layOut(true);
    else {
      put(this._marks, this._drawn(row, this._rows.length - 1));
      this._size();
    }
  }

  get rows() {
    return this._rows;
  }

  // The widths follow from the space that there is; nothing is drawn anew for the same ones.
  _layOut(anew = false) {
    const narrow = this.element.clientWidth < 560;
    const first = narrow ? 52 : 74;
    const count = Math.max(2, this._people.length);
    const room = Math.max(0, this.element.clientWidth - first - 8);
    const column = Math.max(narrow ? 92 : 150, Math.min(GAP, Math.floor(room / count)));
    if (!anew && column === this._column && first === this._first) return;
    this._first = first;
    this._column = column;
    this._narrow = narrow;
    this._heads.replaceChildren(...this._people.map((each, place) => {
      const head = make("div", { class: "head" }, make("b", {}, each.name),
        make("span", {}, [each.leg, each.address].filter(Boolean).join(" · ")));
      head.style.left = `${this._x(place) - column / 2}px`;
      head.style.width = `${column}px`;
      head.title = `${each.name} ${each.address}`;
      return head;
    }));
    this._marks.replaceChildren(...this._rows.flatMap((row, place) => this._drawn(row, place)));
    this._size();
  }

  _size() {
    const width = this._first + this._column * Math.max(1, this._people.length) + 8;
    const height = TOP + ROW * Math.max(1, this._rows.length) + 16;
    this._svg.setAttribute("width", width);
    this._svg.setAttribute("height", height);
    this._heads.style.width = `${width}px`;
    this._lines.replaceChildren(...this._people.map((_, place) =>
      draw("line", { class: "life", x1: this._x(place), x2: this._x(place), y1: 0, y2: height })));
  }

  _x(place) {
    return this._first + this._column * place + this._column / 2;
  }

  _drawn(row, place) {
    const y = TOP + ROW * place + 22;
    const x = this._x(row.source);
    const began = Date.parse(this._rows[0].at);
    const after = (Date.parse(row.at) - began) / 1000;
    const when = draw("text", { class: "when", x: this._first - 8, y: y + 4, "text-anchor": "end" },
      after.toFixed(this._narrow ? 2 : 3));
    if (row.kind !== "message") return [when, this._mark(row, x, y)];
    const end = this._x(row.target);
    const step = end > x ? 1 : -1;
    const room = Math.abs(end - x) - 16;
    const kind = colour(row);
    const shown = cut(this._narrow ? brief(row.label) : row.label, room);
    const said = row.label.includes(shown) ? row.label : `${shown}, ${row.label}`;
    const group = draw("g", {
      class: `arrow ${kind}${row.again ? " again" : ""}`, tabindex: place === this._current() ? "0" : "-1", role: "button",
      "aria-label": `${after.toFixed(3)} seconds: ${said}, from ${this._name(row.source)} to ${this._name(row.target)}${row.again ? ", once more" : ""}`,
      "data-place": place, onclick: () => this._open(row, place),
    },
      draw("rect", { class: "hit", x: Math.min(x, end), y: y - 22, width: Math.abs(end - x), height: ROW - 4, rx: 4 }),
      draw("line", { x1: x, x2: end - 7 * step, y1: y, y2: y }),
      draw("path", { d: `M${end} ${y} l${-9 * step} -4.5 v9 z` }),
      draw("text", { x: (x + end) / 2, y: y - 7, "text-anchor": "middle" }, shown),
    );
    return [when, group];
  }

  _mark(row, x, y) {
    const free = this._first + this._column * this._people.length - x - 16;
    return draw("g", { class: `mark ${row.kind}` },
      draw("title", {}, row.label),
      draw("circle", { cx: x, cy: y, r: 4.5 }),
      draw("text", { x: x + 11, y: y + 4 }, cut(row.label, Math.max(free, 120))));
  }

  _name(place) {
    return this._people[place]?.name ?? "";
  }

  // The arrow that has the keyboard's place: one stop for all of them.
  _current() {
    const chosen = this._chosen ?? this._rows.findIndex((row) => row.kind === "message");
    return chosen;
  }

  _open(row, place) {
    this._choose(place);
    this._opened(row, this._name(row.source), this._name(row.target));
  }

  _choose(place) {
    this._chosen = place;
    for (const each of this._marks.querySelectorAll(".arrow")) {
      const here = Number(each.dataset.place) === place;
      each.setAttribute("tabindex", here ? "0" : "-1");
      each.classList.toggle("chosen", here);
      if (here) each.focus({ preventScroll: false });
    }
  }

  _key(event) {
    const place = Number(event.target.dataset?.place);
    if (Number.isNaN(place)) return;
    if (event.key === "Enter" || event.key === " ") {
      event.preventDefault();
      this._open(this._rows[place], place);
      return;
    }
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (!step) return;
    event.preventDefault();
    let next = place + step;
    while (this._rows[next] && this._rows[next].kind !== "message") next += step;
    if (this._rows[next]) this._choose(next);
  }
}

function colour(row) {
  const first = row.label[0];
  if (!/\d/.test(first)) return "request";
  return { 1: "wait", 2: "good", 3: "wait" }[first] ?? "bad";
}

// A label where there is little room: the method, or the status without the method that it answers.
function brief(label) {
  return /^\d/.test(label) ? label.replace(/ \([^)]*\)$/, "") : label.split(" ")[0];
}

function cut(text, room) {
  const most = Math.max(4, Math.floor(room / CHARACTER));
  return text.length <= most ? text : `${text.slice(0, most - 1)}…`;
}
