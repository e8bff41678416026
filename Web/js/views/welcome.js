// The first run: make an identity, or bring one along.

import { h, update } from "../dom.js";
import { icon } from "../icons.js";
import { form, formState } from "../parts/dialog.js";
import { textField } from "../parts/fields.js";
import { strings } from "../strings.js";
import { openRestoreFile, openRestoreWords } from "./backup.js";
import { openPair } from "./devices.js";

const text = strings.welcome;
const state = { ...formState(), name: "" };

export function welcome(app) {
  return h("main", { key: "welcome", class: "welcome" },
    h("span", { class: "empty-mark" }, icon("relay")),
    h("h1", {}, text.title),
    h("p", { class: "lead" }, text.text),
    h("section", { class: "card" },
      form(state, { submit: () => app.agent.call("identity.create", { name: state.name.trim() }), label: text.create, disabled: !state.name.trim() },
        textField(state, "name", { label: text.nameField, help: text.createHelp, autocomplete: "name", maxlength: "64", changed: update }))),
    h("section", { "aria-label": text.have }, h("p", { class: "muted" }, text.have),
      h("div", { class: "actions center" },
        h("button", { class: "button quiet", type: "button", onclick: () => openPair(app) }, icon("devices"), text.pair),
        h("button", { class: "button quiet", type: "button", onclick: () => openRestoreWords(app) }, icon("key"), text.words),
        h("button", { class: "button quiet", type: "button", onclick: () => openRestoreFile(app) }, icon("upload"), text.file))));
}
