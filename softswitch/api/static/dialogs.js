// Dialogues: for a token, before what cannot be undone, for a few words.

import { make, put } from "./dom.js";

let number = 0;

// Show a dialogue; what was entered, name -> value, or null where somebody thought better of it.
// `check` may say what is wrong with it.
function asked({ title, text, fields = [], button, danger = false, cancel = "Cancel", check }) {
  const id = `dialogue-${++number}`;
  const wrong = make("p", { class: "wrong", role: "alert" });
  const inputs = fields.map((field) => input(field, `${id}-${field.name}`));
  const cancelling = cancel ? make("button", { type: "button" }, cancel) : null;
  const form = make(
    "form", {},
    make("h2", { id: `${id}-title` }, title),
    text ? [text].flat().map((each) => make("p", {}, each)) : null,
    inputs.map((each) => each.row),
    wrong,
    make("div", { class: "buttons" }, cancelling,
      make("button", { class: danger ? "danger" : "main", type: "submit" }, button)),
  );
  const dialogue = make("dialog", { "aria-labelledby": `${id}-title` }, form);
  document.body.append(dialogue);
  return new Promise((resolve) => {
    let found = null;
    cancelling?.addEventListener("click", () => dialogue.close());
    if (!cancel) dialogue.addEventListener("cancel", (event) => event.preventDefault());
    dialogue.addEventListener("close", () => {
      dialogue.remove();
      resolve(found);
    });
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      const given = Object.fromEntries(inputs.map((each) => [each.name, each.read()]));
      const problem = check?.(given);
      if (problem) {
        wrong.textContent = problem;
        return;
      }
      found = given;
      dialogue.close();
    });
    dialogue.showModal();
    // What cannot be undone is not to be done by a key that was pressed too often.
    if (danger && !fields.length) cancelling?.focus();
  });
}

function input({ name, label, kind = "text", value = "", choices, hint, ...more }, id) {
  const about = hint ? make("small", { id: `${id}-hint` }, hint) : null;
  const common = { id, name, "aria-describedby": hint ? `${id}-hint` : null };
  let control;
  if (choices) {
    control = make("select", common,
      choices.map(([each, text]) => make("option", { value: each, selected: each === value }, text)));
  } else if (kind === "checkbox") {
    control = make("input", { ...common, type: kind, checked: Boolean(value) });
    const row = make("p", { class: "tick" }, control, make("label", { for: id }, label), about);
    return { name, row, read: () => control.checked };
  } else {
    control = make("input", { ...common, type: kind, value, autocomplete: "off", spellcheck: "false", ...more });
  }
  const row = make("p", { class: "field" }, make("label", { for: id }, label), control, about);
  return { name, row, read: () => control.value.trim() };
}

// A token; comes back only with one.
export async function tokenWanted(why) {
  const found = await asked({
    title: "A token, please",
    text: [
      why ? `The switch says: ${why}.` : "The switch asks who you are.",
      "`softswitch token NAME` makes one on the machine of the switch. It is forgotten when this tab is closed.",
    ],
    fields: [{ name: "token", label: "Token", kind: "password", required: true }],
    button: "Go on",
    cancel: "",
  });
  return found.token;
}

// Whether somebody means it.
export async function sure(title, text, button) {
  return (await asked({ title, text, button, danger: true })) !== null;
}

// What somebody enters; null for nothing.
export const form = asked;

// Something that could not be done, beside what it was about.
export function failure(problem, again = null) {
  const box = make("p", { class: "failure", role: "alert" }, told(problem));
  if (again) put(box, " ", make("button", { type: "button", onclick: again }, "Try again"));
  return box;
}

// A problem in words that say what to do.
export function told(problem) {
  if (problem.status === 0) return "The switch cannot be reached. This page tries again by itself.";
  if (problem.status === 403) return `Your token does not allow this: ${problem.message}.`;
  if (problem.status === 503) return `Not now: ${problem.message}. Try again in a moment.`;
  const field = problem.field ? `${problem.field}: ` : "";
  return `${field}${problem.message}.`;
}
