// Contacts: a list, and the page of one contact.

import { h, update } from "../dom.js";
import { date, shortDID } from "../format.js";
import { icon } from "../icons.js";
import { attempt, notify } from "../notices.js";
import { confirm, form, formState, openDialog } from "../parts/dialog.js";
import { actionButton, copyButton, emptyState, facts, switchField, textField } from "../parts/fields.js";
import { avatar, peerCard } from "../parts/peer.js";
import { contactOf, isHere, store } from "../store.js";
import { strings } from "../strings.js";
import { Lookup } from "./dial.js";
import { openScan } from "./scan.js";

const text = strings.contacts;
const SEARCH_FROM = 6;
const ui = { search: "" };

export function contactsView(app, id) {
  const contact = id ? contactOf(id) : null;
  return h("div", { class: `split ${id ? "split-detail" : ""}` },
    h("section", { key: "list", class: "split-list", "aria-label": text.title },
      h("header", { class: "view-header" }, h("h1", {}, text.title), h("button", { class: "button", type: "button", onclick: () => openAddContact(app) }, icon("plus"), text.add)),
      list(app, id)),
    h("section", { key: "detail", class: "split-page", "aria-label": text.details },
      !id && store.state.contacts.length > 0 && emptyState("identity", text.detailEmptyTitle, text.detailEmpty),
      id && !contact && emptyState("contacts", text.unknownContact, ""),
      contact && page(app, contact)));
}

function list(app, current) {
  const { contacts } = store.state;
  if (!contacts.length) {
    return emptyState("contacts", text.emptyTitle, text.empty, h("button", { class: "button primary", type: "button", onclick: () => openAddContact(app) }, icon("plus"), text.add));
  }
  const words = ui.search.trim().toLowerCase();
  const found = contacts.filter((c) => !words || `${c.name} ${c.alias ?? ""} ${c.did}`.toLowerCase().includes(words)).sort((a, b) => a.name.localeCompare(b.name));
  return [
    contacts.length >= SEARCH_FROM && h("input", { key: "search", type: "search", class: "search", "aria-label": text.search, placeholder: text.search, value: ui.search, oninput: (event) => { ui.search = event.target.value; update(); } }),
    h("ul", { key: "list", class: "list", role: "list", "aria-label": text.list }, found.map((contact) => row(app, contact, current))),
    !found.length && h("p", { key: "none", class: "muted", role: "status" }, text.none),
  ];
}

function row(app, contact, current) {
  const call = (video) => app.calls.place(contact.did, { video, name: contact.name });
  return h("li", { key: contact.id, class: `row-group ${current === contact.id ? "current" : ""}` },
    h("a", { class: "row", href: `#/contacts/${encodeURIComponent(contact.id)}`, "aria-label": isHere(contact) ? text.openHere(contact.name) : text.open(contact.name), "aria-current": current === contact.id ? "true" : null },
      avatar(contact, "", isHere(contact)),
      h("span", { class: "row-text" }, h("strong", {}, contact.name),
        h("span", { class: contact.key_changed ? "warn" : "muted" }, contact.key_changed ? text.keyBadge : contact.blocked ? text.blocked : contact.alias ?? shortDID(contact.did)))),
    !contact.blocked && h("button", { class: "icon-button", type: "button", "aria-label": text.callAudio(contact.name), onclick: () => call(false) }, icon("phone")),
    !contact.blocked && h("button", { class: "icon-button accent", type: "button", "aria-label": text.callVideo(contact.name), onclick: () => call(true) }, icon("video")));
}

function page(app, contact) {
  const save = (changes) => attempt(() => app.agent.call("contacts.update", { id: contact.id, ...changes }));
  const call = (video) => app.calls.place(contact.did, { video, name: contact.name });
  return h("article", { key: contact.id, class: "contact-page", "aria-label": contact.name },
    h("a", { class: "back narrow-only", href: "#/contacts" }, icon("back"), strings.common.back),
    h("header", { class: "contact-header" }, avatar(contact, "huge"), h("h2", {}, contact.name), contact.alias && h("p", { class: "muted" }, contact.alias),
      isHere(contact) && h("p", { class: "accent-text", title: strings.peer.hereBasis }, strings.peer.here),
      h("div", { class: "actions center" },
        app.messages.enabled && h("button", { class: "button", type: "button", disabled: contact.blocked, "aria-label": text.messageName(contact.name), onclick: () => app.messages.write(contact.id) }, icon("messages"), text.message),
        h("button", { class: "button", type: "button", disabled: contact.blocked, "aria-label": text.callAudio(contact.name), onclick: () => call(false) }, icon("phone"), strings.incoming.captions.audio),
        h("button", { class: "button primary", type: "button", disabled: contact.blocked, "aria-label": text.callVideo(contact.name), onclick: () => call(true) }, icon("video"), strings.incoming.captions.video))),
    contact.key_changed && keyWarning(app, contact),
    contact.move && moveOffer(app, contact),
    contact.key_history?.length > 0 && keyHistory(contact),
    contact.pairwise && h("p", { class: "banner" }, icon("mask"), text.pairwise),
    h("section", { class: "card" }, h("h3", {}, text.permissions),
      switchField({ owner: contact, name: "allowed", label: text.allowed, help: text.allowedHelp, checked: contact.allowed, disabled: contact.blocked, changed: (allowed) => save({ allowed }) }),
      switchField({ owner: contact, name: "blocked", label: text.block, help: text.blockHelp, checked: contact.blocked, changed: (blocked) => save({ blocked }) })),
    h("section", { class: "card" }, h("h3", {}, text.details),
      facts([[text.did, h("span", { class: "did wrap" }, contact.did)], [text.relay, contact.relay], [text.since, date(contact.added_at)]])),
    h("div", { class: "actions start" },
      copyButton(text.copyDID, contact.did),
      h("button", { class: "button", type: "button", onclick: () => rename(app, contact) }, icon("edit"), text.rename),
      !contact.pairwise && h("button", { class: "button", type: "button", onclick: () => pairwise(app, contact) }, icon("mask"), text.makePairwise),
      h("button", { class: "button danger-quiet", type: "button", onclick: () => removeContact(app, contact) }, icon("trash"), text.remove)));
}

function keyWarning(app, contact) {
  const change = contact.key_changed;
  return h("section", { class: "card warning", role: "alert" }, h("h3", {}, icon("warning"), text.keyTitle), h("p", {}, text.keyText(contact.name)),
    facts([[text.keyOld, h("span", { class: "did wrap" }, change.old)], [text.keyNew, h("span", { class: "did wrap" }, change.new)], [text.keySeen, date(change.seen_at)]]),
    actionButton(text.keyAccept, () => app.agent.call("contacts.accept_key", { id: contact.id })));
}

function moveOffer(app, contact) {
  const follow = async () => {
    const followed = await app.agent.call("contacts.accept_move", { id: contact.id });
    location.hash = `#/contacts/${encodeURIComponent(followed.id)}`;
    notify("info", text.moveFollowed(followed.name));
  };
  return h("section", { class: "card warning", "aria-label": text.moveTitle(contact.name) }, h("h3", {}, text.moveTitle(contact.name)), h("p", {}, text.moveText(contact.name)),
    facts([[text.moveNew, h("span", { class: "did wrap" }, contact.move.did)], [text.keySeen, date(contact.move.at)]]),
    h("div", { class: "actions start" }, actionButton(text.moveFollow, follow),
      actionButton(text.moveIgnore, () => app.agent.call("contacts.ignore_move", { id: contact.id }), { className: "button quiet" })));
}

function keyHistory(contact) {
  return h("section", { class: "card" }, h("h3", {}, icon("key"), text.keyHistory), h("p", {}, text.keyHistoryText(contact.name)),
    h("ul", { "aria-label": text.keyHistory }, contact.key_history.map((step) => h("li", { key: step.key },
      step.reason ? text.keyVouched(date(step.at), text.keyReasons[step.reason] ?? step.reason) : text.keyTaken(date(step.at))))));
}

function rename(app, contact) {
  const state = { ...formState(), name: contact.name };
  openDialog({
    title: text.renameTitle(contact.name), className: "narrow",
    view: (close) => form(state, { submit: () => app.agent.call("contacts.update", { id: contact.id, name: state.name.trim() }), done: close, label: strings.common.save, cancel: () => close(), disabled: !state.name.trim() },
      textField(state, "name", { label: text.name, autofocus: true, maxlength: "64", changed: update })),
  });
}

function pairwise(app, contact) {
  confirm({
    title: text.makePairwiseTitle(contact.name), text: text.makePairwiseText(contact.name), label: text.makePairwiseGo, danger: false,
    run: () => app.agent.call("identity.create", { name: store.state.identity.name, throwaway_for: contact.id }),
  });
}

async function removeContact(app, contact) {
  const gone = await confirm({ title: text.removeTitle(contact.name), text: text.removeText, label: text.remove, run: () => app.agent.call("contacts.remove", { id: contact.id }) });
  if (!gone) return;
  location.hash = "#/contacts";
  notify("info", text.removed(contact.name));
}

export async function openAddContact(app, input = "") {
  const state = { ...formState(), input, name: "", allowed: true, named: false };
  const lookup = new Lookup(app.agent);
  const set = (value, delay) => { state.input = value; lookup.set(value, delay); update(); };
  if (input) set(input, 0);
  const added = await openDialog({
    title: text.addTitle,
    view: (close) => {
      if (lookup.peer?.name && !state.named && !state.name) state.name = lookup.peer.name;
      const submit = () => app.agent.call("contacts.add", { input: state.input.trim(), name: state.name.trim(), allowed: state.allowed });
      return form(state, { submit, done: close, label: text.addGo, cancel: () => close(), disabled: !state.input.trim() || !state.name.trim() },
        textField(state, "input", { label: text.addInput, help: text.addHint, autofocus: true, autocapitalize: "none", changed: (value) => set(value) }),
        h("div", { class: "actions start" }, h("button", { class: "button quiet", type: "button", onclick: async () => { const found = await openScan(); if (found) set(found, 0); } }, icon("scan"), strings.dial.scan)),
        h("div", { class: "lookup", "aria-live": "polite" },
          lookup.busy && h("p", { class: "muted" }, strings.dial.lookup),
          lookup.error && h("p", { class: "form-error" }, icon("warning"), lookup.error),
          lookup.peer && peerCard(lookup.peer)),
        textField(state, "name", { label: text.addName, maxlength: "64", changed: () => { state.named = true; update(); } }),
        switchField({ owner: state, name: "allowed", label: text.addAllowed, help: text.allowedHelp, checked: state.allowed, changed: (on) => { state.allowed = on; update(); } }));
    },
  });
  if (added) notify("info", text.added(added.name));
  return added;
}
