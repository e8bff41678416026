// Labelled controls. Each label is visible text tied to its control, help is tied by aria-describedby.

import { h } from "../dom.js";
import { icon } from "../icons.js";
import { attempt, notify } from "../notices.js";
import { strings } from "../strings.js";

let counter = 0;
const ids = new WeakMap();

/** Ids that stay the same for one form's state object and name. */
function idFor(owner, name) {
  if (!ids.has(owner)) ids.set(owner, ++counter);
  return `f${ids.get(owner)}-${name}`;
}

/** A text field bound to `owner[name]`. */
export function textField(owner, name, { label, help = null, type = "text", optional = false, changed = null, multiline = false, after = null, ...props }) {
  const id = idFor(owner, name);
  return h("div", { class: "field" },
    h("label", { for: id }, label, optional && h("span", { class: "muted" }, ` (${strings.common.optional})`)),
    h("div", { class: "field-row" },
      h(multiline ? "textarea" : "input", {
        id, ...(multiline ? {} : { type }), value: owner[name] ?? "", spellcheck: "false", autocomplete: "off",
        "aria-describedby": help ? `${id}-help` : null, ...props,
        oninput: (event) => { owner[name] = event.target.value; changed?.(owner[name]); },
      }),
      after),
    help && h("p", { class: "help", id: `${id}-help` }, help));
}

export function switchField({ label, help = null, checked, changed, disabled = false, owner, name }) {
  const id = idFor(owner, name);
  return h("div", { class: "switch-row" },
    h("div", {}, h("label", { for: id }, label), help && h("p", { class: "help", id: `${id}-help` }, help)),
    h("input", { id, type: "checkbox", role: "switch", class: "switch", checked, disabled, "aria-describedby": help ? `${id}-help` : null, onchange: (event) => changed(event.target.checked) }));
}

export function selectField({ label, options, value, changed, owner, name }) {
  const id = idFor(owner, name);
  return h("div", { class: "field" },
    h("label", { for: id }, label),
    h("div", { class: "select" },
      h("select", { id, value, onchange: (event) => changed(event.target.value) },
        options.map(([key, text]) => h("option", { key, value: key, selected: key === value }, text))),
      icon("chevron")));
}

export function radioGroup({ label, options, value, changed, owner, name }) {
  const id = idFor(owner, name);
  return h("fieldset", { class: "choices" }, h("legend", {}, label),
    options.map(([key, text, help]) => h("label", { key, class: "choice" },
      h("input", { type: "radio", name: id, value: key, checked: key === value, onchange: () => changed(key) }),
      h("span", {}, text, help && h("span", { class: "help" }, help)))));
}

export async function copyText(text) {
  try {
    await navigator.clipboard.writeText(text);
    notify("info", strings.common.copied);
  } catch {
    notify("warning", strings.common.copyFailed);
  }
}

export function copyButton(label, text, className = "button") {
  return h("button", { class: className, type: "button", onclick: () => copyText(text) }, icon("copy"), label);
}

/** A button that puts the clipboard's text, at most `limit` characters of it, where `set` puts it. */
export function pasteButton(label, set, limit = 2048) {
  const paste = async () => {
    try {
      set((await navigator.clipboard.readText()).trim().slice(0, limit));
    } catch {
      notify("warning", strings.common.pasteFailed);
    }
  };
  return h("button", { class: "button quiet", type: "button", onclick: paste }, icon("copy"), label);
}

/** A button for something asynchronous whose failure becomes a notice. */
export function actionButton(label, run, { className = "button", iconName = null, name = null, disabled = false } = {}) {
  return h("button", { class: className, type: "button", disabled, "aria-label": name, onclick: () => attempt(run) }, iconName && icon(iconName), h("span", {}, label));
}

export function emptyState(iconName, title, text, ...actions) {
  return h("div", { class: "empty" }, h("span", { class: "empty-mark" }, icon(iconName)), h("h2", {}, title), h("p", {}, text), actions.length > 0 && h("div", { class: "actions" }, actions));
}

export function facts(list) {
  return h("dl", { class: "facts" }, list.filter(([, value]) => value !== null && value !== undefined && value !== "").map(([term, value, extra]) =>
    h("div", { key: term }, h("dt", {}, term), h("dd", {}, value, extra))));
}
