// Beginning a conversation: with one person, or a group.

import { h, update } from "../dom.js";
import { icon } from "../icons.js";
import { form, formState, openDialog } from "../parts/dialog.js";
import { pasteButton, textField } from "../parts/fields.js";
import { avatar, peerCard } from "../parts/peer.js";
import { putConversation, store } from "../store.js";
import { strings } from "../strings.js";
import { Lookup } from "./dial.js";
import { openScan } from "./scan.js";

const text = strings.chat;
const SHOWN = 8;

const known = (words) => store.state.contacts.filter((contact) => !contact.blocked && (!words || `${contact.name} ${contact.alias ?? ""}`.toLowerCase().includes(words.trim().toLowerCase()))).sort((a, b) => a.name.localeCompare(b.name));

export async function openNewMessage(app, to = "") {
  const state = { ...formState(), to };
  const lookup = new Lookup(app.agent);
  const set = (value) => { state.to = value; lookup.set(value, 0); update(); };
  if (to) set(to);
  const chosen = await openDialog({
    title: text.newTitle,
    view: (close) => {
      const found = known(state.to).slice(0, SHOWN);
      const exact = found.find((contact) => contact.name.toLowerCase() === state.to.trim().toLowerCase()) ?? (found.length === 1 && state.to.trim() ? found[0] : null);
      const address = exact?.id ?? state.to.trim();
      return form(state, { submit: () => app.agent.call("conversations.open", { with: address }), done: close, label: text.go, cancel: () => close(), disabled: !state.to.trim() },
        textField(state, "to", { label: text.to, help: text.hint, autofocus: true, autocapitalize: "none", enterkeyhint: "go", changed: (value) => { lookup.set(value); update(); } }),
        h("div", { class: "actions start" }, pasteButton(strings.dial.paste, set), h("button", { class: "button quiet", type: "button", onclick: async () => { const code = await openScan(); if (code) set(code); } }, icon("scan"), strings.dial.scan)),
        !lookup.peer && found.length > 0 && h("div", { class: "suggestions", role: "group", "aria-label": strings.dial.suggestions }, found.map((contact) => h("button", {
          key: contact.id, type: "button", class: "chip", "aria-label": strings.dial.choose(contact.name), onclick: async () => { close(await app.agent.call("conversations.open", { with: contact.id }).catch((error) => { state.error = error.message; update(); })); },
        }, avatar(contact, "small"), contact.name))),
        h("div", { class: "lookup", "aria-live": "polite" },
          lookup.busy && h("p", { class: "muted" }, strings.dial.lookup),
          lookup.error && h("p", { class: "form-error" }, icon("warning"), lookup.error),
          lookup.peer && peerCard(lookup.peer)));
    },
  });
  show(app, chosen);
}

export async function openNewGroup(app) {
  const state = { ...formState(), title: "" };
  const picker = new Picker(app);
  const made = await openDialog({
    title: text.groupTitle,
    view: (close) => form(state, { submit: () => app.agent.call("conversations.create", { title: state.title.trim(), members: picker.members }), done: close, label: text.groupGo, cancel: () => close(), disabled: !state.title.trim() || !picker.members.length },
      textField(state, "title", { label: text.groupName, autofocus: true, maxlength: "64", changed: update }),
      picker.view(), h("p", { class: "help" }, text.groupText)),
  });
  show(app, made);
}

function show(app, conversation) {
  if (!conversation) return;
  if (!store.state.conversations.some((other) => other.id === conversation.id)) putConversation(conversation);
  app.messages.go(conversation.id);
}

/** Choosing people: contacts by ticking them, others by what `peer.lookup` takes. */
export class Picker {
  #chosen = new Set();
  #other = { text: "" };
  #leftOut;

  constructor(app, leftOut = []) {
    this.#leftOut = new Set(leftOut);
  }

  get members() {
    const other = this.#other.text.trim();
    return [...this.#chosen, ...(other ? [other] : [])];
  }

  view() {
    const contacts = known("").filter((contact) => !this.#leftOut.has(contact.did));
    const turn = (id) => { this.#chosen.has(id) ? this.#chosen.delete(id) : this.#chosen.add(id); update(); };
    return [
      h("fieldset", { key: "people", class: "choices people" }, h("legend", {}, text.groupMembers, h("span", { class: "muted", role: "status" }, this.members.length ? ` · ${text.picked(this.members.length)}` : "")),
        contacts.length ? contacts.map((contact) => h("label", { key: contact.id, class: "choice person" },
          avatar(contact, "small"), h("span", { class: "grow" }, contact.name),
          h("input", { type: "checkbox", checked: this.#chosen.has(contact.id), "aria-label": contact.name, onchange: () => turn(contact.id) }))) : h("p", { class: "muted" }, text.nobody)),
      textField(this.#other, "text", { key: "other", label: text.groupOther, optional: true, autocapitalize: "none", changed: update }),
    ];
  }
}
