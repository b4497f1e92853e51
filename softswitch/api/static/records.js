// The records of calls that have ended: looked for, and what they come to per trunk and hour.

import { get } from "./api.js";
import { Chart, grid } from "./charts.js";
import { failure } from "./dialogs.js";
import { make, put, refill } from "./dom.js";
import { Pages, search, Table } from "./list.js";
import { lasting, moment, percent, rounded, short } from "./words.js";

export const TITLE = "Records";

const TIMES = [["1h", "the last hour"], ["24h", "the last day"], ["7d", "the last week"], ["30d", "the last month"], ["", "any time"]];
const WAYS = [["", "any"], ["yes", "answered"], ["no", "not answered"]];
const COLOURS = ["accent", "good", "wait", "bad", "busy", "other"];

export function show(root, frame, { query }) {
  return new Records(root, query);
}

class Records {
  constructor(root, query) {
    const given = (name, usual = "") => (query.has(name) ? query.get(name) : usual);
    const form = search([
      { name: "since", label: "Since", choices: TIMES, value: given("since", "24h") },
      { name: "number", label: "Number", placeholder: "49711*", value: given("number"), size: 12 },
      { name: "trunk", label: "Trunk", value: given("trunk"), size: 9 },
      { name: "status", label: "Status", placeholder: "4xx", value: given("status"), size: 6 },
      { name: "answered", label: "Answer", choices: WAYS, value: given("answered") },
    ], (found) => this._look(found));
    const table = new Table("Records, the latest first", [
      ["Began", "number"], ["From"], ["To"], ["Trunk", "wide"], ["Status"], ["Rang after", "wide number"], ["Talked", "number"], ["MOS", "wide number"], ["Ended by", "wide"],
    ], recordRow);
    this._pages = new Pages({
      where: "/records", key: "records", name: (record) => record.id, table,
      empty: () => "No record fits. Search a longer time, or take something out of the search; numbers are whole unless they end with *.",
    });
    this._charts = make("div");
    this._drawn = [];
    put(root, form.element, make("section", {}, make("h2", { class: "unseen" }, "Charts"), this._charts),
      make("section", {}, make("h2", {}, "Calls"), this._pages.element));
    this._look(form.read(), false);
  }

  leave() {
    this._left = true;
    for (const chart of this._drawn) chart.leave();
  }

  again() {
    this._look(this._query, false);
  }

  _look(query, note = true) {
    this._query = query;
    if (note) {
      const words = new URLSearchParams(query);
      history.replaceState(null, "", `#/records?${words}`);
    }
    this._pages.look(query);
    this._chart(query);
  }

  async _chart(query) {
    const turn = this._turn = (this._turn ?? 0) + 1;
    try {
      const [all, parts] = await Promise.all([
        get("/records/stats", { ...query, by_trunk: false }), get("/records/stats", { ...query, by_trunk: true }),
      ]);
      if (turn !== this._turn || this._left) return;
      this._drawCharts(all.stats, parts.stats);
    } catch (error) {
      if (turn === this._turn) refill(this._charts, failure(error, () => this._chart(query)));
    }
  }

  _drawCharts(all, parts) {
    for (const chart of this._drawn) chart.leave();
    this._drawn = [];
    if (!all.length) {
      refill(this._charts);
      return;
    }
    const groups = new Map([["all", { label: "all calls", stats: all }]]);
    for (const stat of parts) {
      const key = `${stat.trunk} ${stat.way}`;
      if (!groups.has(key)) groups.set(key, { label: `${stat.trunk}, ${stat.way}`, stats: [] });
      groups.get(key).stats.push(stat);
    }
    const chosen = [...groups.values()].sort((a, b) => calls(b.stats) - calls(a.stats)).slice(0, COLOURS.length);
    const first = hour(all[0]);
    const last = hour(all.at(-1));
    const hours = [];
    for (let at = first; at <= last && hours.length < 800; at += 3600) hours.push(at);
    const lines = chosen.map((group, place) => ({ label: group.label, colour: COLOURS[place] }));
    for (const [name, key, written, least] of [
      ["Answer-seizure ratio", "asr", percent, 1 / 1.1], ["Average call duration", "acd", lasting, 10],
      ["Post-dial delay", "pdd", (value) => `${rounded(value, 1)} s`, 1], ["MOS", "mos", (value) => rounded(value, 1), 4.5 / 1.1],
    ]) {
      const chart = new Chart(name, lines.map((line) => ({ ...line })), { written, least, points: true });
      const found = chosen.map(({ stats }) => {
        const at = new Map(stats.map((stat) => [hour(stat), stat[key]]));
        return hours.map((each) => at.get(each) ?? null);
      });
      chart.show([hours, ...found], [first - 1800, last + 1800]);
      this._drawn.push(chart);
    }
    refill(this._charts, grid(...this._drawn), figures(chosen));
  }
}

function calls(stats) {
  return stats.reduce((sum, stat) => sum + stat.calls, 0);
}

function hour(stat) {
  return Date.parse(stat.hour) / 1000;
}

// The charts in words.
function figures(groups) {
  const cells = (stat) => [stat.calls.toLocaleString(), percent(stat.asr), stat.acd === null ? "–" : lasting(stat.acd),
    stat.pdd === null ? "–" : `${rounded(stat.pdd, 2)} s`, rounded(stat.mos, 1)];
  const rows = groups.flatMap(({ label, stats }) => stats.slice(-24).map((stat) =>
    make("tr", {}, make("th", { scope: "row" }, label), make("td", { class: "number" }, moment(stat.hour)),
      cells(stat).map((each) => make("td", { class: "number" }, each)))));
  return make("details", {}, make("summary", {}, "The charts as figures, per trunk and hour"),
    make("div", { class: "scroller", tabindex: "0", role: "region", "aria-label": "Figures per trunk and hour" },
      make("table", {}, make("caption", { class: "unseen" }, "Figures per trunk and hour"),
        make("thead", {}, make("tr", {}, ["Calls of", "Hour", "Calls", "ASR", "ACD", "PDD", "MOS"].map((each, place) =>
          make("th", { scope: "col", class: place ? "number" : "" }, each)))),
        make("tbody", {}, rows))));
}

function recordRow(record) {
  const mos = [record.mos_caller, record.mos_callee].filter((each) => each !== null && each !== undefined);
  const bad = !record.answered && record.status >= 400 && ![486, 487, 600, 603].includes(record.status);
  const element = make("tr", {},
    make("td", { class: "number" }, moment(record.invited)),
    make("th", { scope: "row" }, make("a", { href: `#/call/${encodeURIComponent(record.id)}`, title: record.caller }, record.caller_number || short(record.caller) || "anonymous")),
    make("td", { title: record.called }, record.called_number || short(record.called)),
    make("td", { class: "wide" }, record.trunk_out || record.trunk_in || "–"),
    make("td", { class: bad ? "bad" : "", title: record.reason }, record.answered ? "answered" : `${record.status} ${record.reason}`),
    make("td", { class: "wide number" }, record.pdd_seconds === null ? "–" : `${rounded(record.pdd_seconds, 1)} s`),
    make("td", { class: "number" }, record.talk_seconds === null ? "–" : lasting(record.talk_seconds)),
    make("td", { class: "wide number" }, mos.length ? rounded(Math.min(...mos)) : "–"),
    make("td", { class: "wide" }, record.hung_up));
  return { element };
}
