// New call: somebody from the contacts, an alias, a DID, a `dsip:` link, pasted or scanned. Shows who it is, and on what basis, before
// anything is sent.

import { h, update } from "../dom.js";
import { icon } from "../icons.js";
import { sentenceOf } from "../notices.js";
import { openDialog } from "../parts/dialog.js";
import { pasteButton, textField } from "../parts/fields.js";
import { avatar, nameOf, peerCard } from "../parts/peer.js";
import { addressOf, store } from "../store.js";
import { strings } from "../strings.js";
import { openSendRequest } from "./requests.js";
import { openScan } from "./scan.js";

const text = strings.dial;
const LOOKUP_DELAY = 400;

/** Finds out who `input` is while it is typed, and whether they say that they are there; keeps `{peer, steps, presence, error, busy}` up to date. */
export class Lookup {
  peer = null;
  steps = [];
  presence = null;
  error = null;
  busy = false;
  #agent;
  #timer = null;
  #turn = 0;

  constructor(agent) {
    this.#agent = agent;
  }

  set(input, delay = LOOKUP_DELAY) {
    clearTimeout(this.#timer);
    const turn = ++this.#turn;
    Object.assign(this, { peer: null, steps: [], presence: null, error: null, busy: false });
    const wanted = input.trim();
    if (!/^(did:|dsip:|[^\s@]+@[^\s@]+)/i.test(wanted)) return;
    this.#timer = setTimeout(async () => {
      this.busy = true;
      update();
      try {
        const { peer, steps } = await this.#agent.call("peer.lookup", { input: wanted });
        if (turn === this.#turn) Object.assign(this, { peer, steps: steps ?? [], busy: false });
        this.#lookForPresence(peer, turn);
      } catch (error) {
        if (turn === this.#turn) Object.assign(this, { error: sentenceOf(error), busy: false });
      }
      update();
    }, delay);
  }

  /** Behind, since nobody waits for it with a call. */
  async #lookForPresence(peer, turn) {
    try {
      const { presence } = await this.#agent.call("peer.presence", { did: peer.did });
      if (turn === this.#turn) this.presence = presence;
    } catch {
      return; // What cannot be asked is not known.
    }
    update();
  }
}

export function openDial(app, input = "") {
  const state = { input, contact: null };
  const lookup = new Lookup(app.agent);
  const set = (value) => { state.input = value; state.contact = null; lookup.set(value, 0); update(); };
  if (input) set(input);
  return openDialog({ title: text.title, view: (close) => content(app, state, lookup, set, close) });
}

function content(app, state, lookup, set, close) {
  const wanted = state.input.trim();
  const place = (video) => {
    const contact = state.contact ?? matching(wanted)[0];
    const exact = state.contact ?? (contact && nameIs(contact, wanted) ? contact : null);
    close();
    app.calls.place(exact ? exact.did : wanted, { video, name: exact?.name ?? (lookup.peer ? nameOf(lookup.peer) : wanted) });
  };
  const submit = (event) => { event.preventDefault(); if (wanted) place(true); };
  const peer = lookup.peer;
  return h("form", { class: "form", onsubmit: submit },
    textField(state, "input", {
      label: text.input, help: text.hint, autofocus: true, enterkeyhint: "go", autocapitalize: "none",
      changed: (value) => { state.contact = null; lookup.set(value); update(); },
    }),
    h("div", { class: "actions start" },
      pasteButton(text.paste, set),
      h("button", { class: "button quiet", type: "button", onclick: async () => { const found = await openScan(); if (found) set(found); } }, icon("scan"), text.scan)),
    suggestions(state, lookup),
    h("div", { "aria-live": "polite", class: "lookup" },
      lookup.busy && h("p", { class: "muted" }, text.lookup),
      lookup.error && h("p", { class: "form-error" }, icon("warning"), lookup.error),
      peer && peerCard(peer, !peer.contact && h("p", { class: "muted" }, strings.peer.unknown)),
      lookup.presence && h("p", { class: "muted" }, text.presence(lookup.presence)),
      peer && lookup.steps.length > 0 && h("details", { class: "evidence" }, h("summary", {}, text.steps, icon("chevron")), h("ol", {}, lookup.steps.map((step, i) => h("li", { key: i }, step))))),
    h("div", { class: "actions" },
      peer && !peer.contact && h("button", { class: "button quiet", type: "button", onclick: () => { close(); openSendRequest(app, addressOf(peer)); } }, text.introduce),
      h("button", { class: "button", type: "button", disabled: !wanted, onclick: () => place(false) }, icon("phone"), text.audio),
      h("button", { class: "button primary", type: "submit", disabled: !wanted }, icon("video"), text.video)));
}

const nameIs = (contact, wanted) => contact.name.toLowerCase() === wanted.toLowerCase();

function matching(wanted) {
  const words = wanted.toLowerCase();
  return store.state.contacts.filter((contact) => !contact.blocked && (!words || contact.name.toLowerCase().includes(words) || contact.alias?.toLowerCase().includes(words))).slice(0, 4);
}

function suggestions(state, lookup) {
  const found = state.contact ? [state.contact] : matching(state.input.trim());
  if (!found.length || lookup.peer) return null;
  return h("div", { class: "suggestions", role: "group", "aria-label": text.suggestions },
    found.map((contact) => h("button", {
      key: contact.id, type: "button", class: "chip", "aria-pressed": state.contact === contact ? "true" : "false", "aria-label": text.choose(contact.name),
      onclick: () => { state.contact = contact; state.input = contact.name; update(); },
    }, avatar(contact, "small"), contact.name)));
}
