// The frame: which view is shown, whose token it is, whether the switch is there.

import { Stream, Problem, forgetToken, get, greet, hasToken } from "./api.js";
import { failure } from "./dialogs.js";
import { make, put, refill, say } from "./dom.js";
import * as bans from "./bans.js";
import * as call from "./call.js";
import * as calls from "./calls.js";
import * as now from "./now.js";
import * as records from "./records.js";
import * as registrations from "./registrations.js";
import * as trunks from "./trunks.js";

const VIEWS = { now, calls, records, registrations, trunks, bans };
const RANKS = { view: 0, operate: 1, admin: 2 };

const main = document.getElementById("main");

// What a view needs of the frame.
const frame = {
  role: "view",
  // Whether one may do what takes a role.
  may(role) {
    return RANKS[this.role] >= RANKS[role];
  },
  // Say something to whoever cannot see it change, or looks elsewhere.
  tell(text) {
    const said = document.getElementById("said");
    said.textContent = text;
    clearTimeout(this._silence);
    this._silence = setTimeout(() => { said.textContent = ""; }, 6000);
  },
  // The same of what everybody else sees anyway.
  whisper(text) {
    document.getElementById("heard").textContent = text;
  },
};

let shown = null;
let shownName = "";
let connected = false;

function show() {
  const [where, search = ""] = location.hash.replace(/^#\/?/, "").split("?");
  const [name = "", ...rest] = where.split("/");
  const id = rest.map(decoded).join("/");
  if (location.hash === "#main") return;
  const chosen = name === "call" && id ? call : VIEWS[name];
  if (!chosen) {
    history.replaceState(null, "", "#/now");
    show();
    return;
  }
  shown?.leave?.();
  main.replaceChildren();
  const title = make("h1", { tabindex: "-1" }, chosen.TITLE);
  put(main, title);
  document.title = `${chosen.TITLE} · softswitch`;
  for (const link of document.querySelectorAll("#views a")) {
    const here = link.dataset.view === name || (name === "call" && link.dataset.view === "calls");
    if (here) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
  // Whoever goes elsewhere begins at its title; who only opens the page, at its top.
  if (shownName) title.focus();
  shownName = name;
  try {
    shown = chosen.show(main, frame, { id, query: new URLSearchParams(search), title });
  } catch (error) {
    put(main, failure(error, show));
  }
}

function decoded(part) {
  try {
    return decodeURIComponent(part);
  } catch {
    return part;
  }
}

function linked(state) {
  const back = state === "open" && !connected;
  connected = state === "open";
  document.getElementById("link").className = connected ? "link there" : "link gone";
  say(document.getElementById("link-text"), connected ? "live" : "not connected");
  const outage = document.getElementById("outage");
  outage.hidden = connected;
  say(outage, connected ? "" : "The switch does not answer. What is shown is from before; this page goes on by itself when it is back.");
  if (back) {
    introduce();
    shown?.again?.();
  }
}

function happened(name, data) {
  now.notice(name, data);
  if (name === "reset" || name === "dropped") shown?.again?.();
  else if (name !== "hello") shown?.event?.(name, data);
}

// Who are we?
async function introduce() {
  try {
    const me = await get("/me");
    const changed = me.role !== frame.role;
    frame.role = me.role;
    refill(document.getElementById("who"), `${me.name} (${me.role})`,
      hasToken() ? make("button", { type: "button", class: "quiet", onclick: leave }, "Sign off") : null);
    if (changed) show();
  } catch (error) {
    if (!(error instanceof Problem)) throw error;
  }
}

function leave() {
  forgetToken();
  location.reload();
}

for (const [name, view] of Object.entries(VIEWS)) {
  put(document.getElementById("views"),
    make("li", {}, make("a", { href: `#/${name}`, "data-view": name }, view.TITLE)));
}
document.querySelector(".skip").addEventListener("click", (event) => {
  event.preventDefault();
  main.focus();
});
addEventListener("hashchange", show);
await greet();
show();
new Stream("/events", happened, linked);
