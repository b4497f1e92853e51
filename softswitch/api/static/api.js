// The API: requests with the token of whoever looks, and the events that it tells.

import { tokenWanted } from "./dialogs.js";

const BASE = "/api/v1";
const KEY = "softswitch-token";

// Milliseconds without a sign of life after which a stream is held for dead; it sends one every 15 s.
const SILENT = 40000;

let asking = null;

// What the API has refused, or the switch that cannot be reached (status 0).
export class Problem extends Error {
  constructor(status, detail, field = "") {
    super(detail);
    this.status = status;
    this.field = field;
  }
}

export function forgetToken() {
  sessionStorage.removeItem(KEY);
}

export function hasToken() {
  return sessionStorage.getItem(KEY) !== null;
}

function headers(more = {}) {
  const token = sessionStorage.getItem(KEY);
  return token ? { ...more, Authorization: `Bearer ${token}` } : more;
}

// Ask for a token, once however many requests want one.
function wantToken(why) {
  asking ??= tokenWanted(why).then((token) => {
    asking = null;
    sessionStorage.setItem(KEY, token);
  });
  return asking;
}

// Ask for a token before anything else, where one is wanted and none is there.
export async function greet() {
  for (;;) {
    try {
      const response = await fetch(`${BASE}/greeting`);
      if (response.ok) {
        if ((await response.json()).token_wanted && !hasToken()) await wantToken("");
        return;
      }
    } catch {
      // It is not there; the frame says so once it has tried to listen.
      return;
    }
    await new Promise((resolve) => setTimeout(resolve, 1000));
  }
}

// A path of parts, each as it is.
export function path(...parts) {
  return "/" + parts.map(encodeURIComponent).join("/");
}

// Send a request; the response, whatever comes of a token that is asked for meanwhile.
async function send(method, where, { query = {}, body, signal, accept = "application/json" } = {}, more = {}) {
  const given = Object.entries(query).filter(([, value]) => value !== "" && value !== null && value !== undefined);
  const search = given.length ? `?${new URLSearchParams(given)}` : "";
  for (;;) {
    const sent = headers({ Accept: accept, ...more });
    if (body !== undefined) sent["Content-Type"] = "application/json";
    let response;
    try {
      response = await fetch(BASE + where + search, {
        method, signal, headers: sent, body: body === undefined ? undefined : JSON.stringify(body),
      });
    } catch (error) {
      if (signal?.aborted) throw error;
      throw new Problem(0, "The switch cannot be reached.");
    }
    if (response.ok) return response;
    const problem = await response.json().catch(() => ({}));
    if (response.status !== 401) {
      throw new Problem(response.status, problem.detail ?? response.statusText, problem.field ?? "");
    }
    // Somebody may have given one while this request was under way.
    if (sent.Authorization === headers().Authorization) {
      await wantToken(sent.Authorization ? problem.detail : "");
    }
  }
}

export async function get(where, query = {}, signal = undefined) {
  return (await send("GET", where, { query, signal })).json();
}

export async function change(method, where, { query, body } = {}) {
  const response = await send(method, where, { query, body });
  return response.status === 204 ? null : response.json();
}

// Have the browser keep what the API gives as a file.
export async function download(where, accept, name) {
  const blob = await (await send("GET", where, { accept })).blob();
  keep(blob, name);
}

export function keep(blob, name) {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(blob);
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10000);
}

// Server-sent events, again and again after each failure, until `stop` is called. `told` is handed
// name and data of each; `state` "open", "lost", or "refused" and why.
export class Stream {
  constructor(where, told, state = () => {}) {
    this._where = where;
    this._told = told;
    this._state = state;
    this._last = "";
    this._stopped = false;
    this._run();
  }

  stop() {
    this._stopped = true;
    this._abort?.abort();
  }

  async _run() {
    let wait = 500;
    while (!this._stopped) {
      try {
        await this._read(() => { wait = 500; });
      } catch (error) {
        if (error instanceof Problem && error.status && !this._stopped) this._state("refused", error);
      }
      if (this._stopped) return;
      this._state("lost");
      await new Promise((resolve) => setTimeout(resolve, wait));
      wait = Math.min(wait * 1.6, 5000);
    }
  }

  async _read(opened) {
    this._abort = new AbortController();
    const more = this._last ? { "Last-Event-ID": this._last } : {};
    const options = { accept: "text/event-stream", signal: this._abort.signal };
    const response = await send("GET", this._where, options, more);
    opened();
    this._state("open");
    const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
    let text = "";
    for (;;) {
      const timer = setTimeout(() => this._abort.abort(), SILENT);
      const { done, value } = await reader.read().finally(() => clearTimeout(timer));
      if (done) return;
      const events = (text + value).split("\n\n");
      text = events.pop();
      for (const event of events) this._take(event);
    }
  }

  _take(event) {
    let name = "message";
    let data = "";
    for (const line of event.split("\n")) {
      const [, field, value] = /^(\w*): ?(.*)$/s.exec(line) ?? [];
      if (field === "event") name = value;
      else if (field === "data") data += value;
      else if (field === "id") this._last = value;
    }
    if (data && !this._stopped) this._told(name, JSON.parse(data));
  }
}
