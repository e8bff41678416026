// About one conversation: who is in it, what they may read, how long it stays, and the way out.

import { h, update } from "../dom.js";
import { icon } from "../icons.js";
import { memberName, partner, titleOf } from "../messages.js";
import { attempt, notify } from "../notices.js";
import { confirm, form, formState, openDialog } from "../parts/dialog.js";
import { selectField, switchField, textField } from "../parts/fields.js";
import { avatar, basis } from "../parts/peer.js";
import { findConversation, store } from "../store.js";
import { strings } from "../strings.js";
import { deleteHistory, spanOf } from "./conversation.js";
import { openSafety } from "./safety.js";
import { Picker } from "./write.js";

const text = strings.chat;

export function openAbout(app, id) {
  return openDialog({
    title: () => (findConversation(id)?.kind === "group" ? text.aboutGroup : text.aboutChat), className: "about", light: true,
    view: (close) => {
      const conversation = findConversation(id);
      return conversation ? content(app, conversation, close) : null;
    },
  });
}

function content(app, conversation, close) {
  const peer = conversation.kind === "direct" ? partner(conversation) : null;
  const save = (changes) => attempt(() => app.agent.call("conversations.update", { id: conversation.id, ...changes }));
  const spans = Object.keys(text.disappearOptions);
  const current = String(conversation.disappear_after_s ?? 0);
  const open = !conversation.self_removed && !conversation.request;
  return [
    h("div", { key: "who", class: "about-who" }, avatar(peer ?? { did: conversation.id, name: titleOf(conversation) }, "huge"), h("h3", {}, titleOf(conversation)),
      peer && basis(peer), h("p", { class: "help" }, icon("key"), text.encryption[conversation.encryption]),
      h("div", { class: "actions center" },
        !peer && open && h("button", { class: "button small", type: "button", onclick: () => rename(app, conversation) }, icon("edit"), text.rename),
        peer?.contact && h("a", { class: "button small", href: `#/contacts/${encodeURIComponent(peer.contact)}`, onclick: () => close() }, icon("identity"), text.showContact),
        peer && open && h("button", { class: "button small", type: "button", "aria-label": strings.safety.buttonName(titleOf(conversation)), onclick: () => openSafety(app, conversation, peer) }, icon("shield"), strings.safety.button))),
    h("section", { key: "settings", class: "card" },
      switchField({ owner: owners(conversation.id), name: "muted", label: text.mute, help: text.muteHelp, checked: conversation.muted, changed: (muted) => save({ muted }) }),
      open && selectField({ owner: owners(conversation.id), name: "disappear", label: text.disappear, value: current, options: [...new Set([...spans, current])].map((seconds) => [seconds, spanOf(Number(seconds))]), changed: (seconds) => save({ disappear_after_s: Number(seconds) || null }) }),
      open && h("p", { class: "help" }, text.disappearHelp)),
    !peer && members(app, conversation, open),
    !peer && open && conversation.hub && order(app, conversation),
    h("div", { key: "end", class: "actions start" },
      !peer && open && h("button", { class: "button danger-quiet", type: "button", onclick: () => leave(app, conversation, close) }, icon("leave"), text.leave),
      conversation.self_removed && h("button", { class: "button danger-quiet", type: "button", onclick: () => { close(); deleteHistory(app, conversation); } }, icon("trash"), strings.messages.deleteHistory)),
  ];
}

const fieldOwners = new Map();

// Field ids belong to an object that stays, while a conversation is a new one with every change.
function owners(id) {
  if (!fieldOwners.has(id)) {
    if (fieldOwners.size > 64) fieldOwners.clear();
    fieldOwners.set(id, {});
  }
  return fieldOwners.get(id);
}

function members(app, conversation, open) {
  const self = store.state.identity.did;
  return h("section", { key: "members", class: "card" },
    h("div", { class: "view-header" }, h("h3", {}, `${text.members} · ${conversation.members.length}`), open && h("button", { class: "button small", type: "button", onclick: () => add(app, conversation) }, icon("plus"), text.add)),
    h("ul", { class: "list", role: "list", "aria-label": text.members }, conversation.members.map((member) => {
      const name = memberName(conversation, member.did);
      const me = member.did === self;
      return h("li", { key: member.did, class: "row-group" },
        h("div", { class: "row member" }, avatar(member, "small"), h("span", { class: "row-text" }, h("strong", {}, me ? text.you : name), !me && h("span", { class: "muted" }, member.basis?.[0] ?? ""))),
        !me && open && h("button", { class: "icon-button small", type: "button", "aria-label": strings.safety.buttonName(name), onclick: () => openSafety(app, conversation, member) }, icon("shield")),
        !me && open && h("button", { class: "icon-button small", type: "button", "aria-label": text.removeName(name), onclick: () => remove(app, conversation, member, name) }, icon("close")));
    })));
}

// Whose service numbers what is said; anybody in the group may take that over while it answers.
function order(app, conversation) {
  const { name, own } = conversation.hub;
  return h("section", { key: "order", class: "card" },
    h("p", { class: "help" }, own ? text.orderedHere : text.orderedAt(name)),
    !own && h("div", { class: "actions start" }, h("button", { class: "button small", type: "button", onclick: () => move(app, conversation) }, text.move)));
}

async function move(app, conversation) {
  const done = await confirm({ title: text.moveTitle, text: text.moveText, label: text.moveGo, danger: false, run: () => app.agent.call("conversations.move", { id: conversation.id }) });
  if (done) notify("info", text.moved);
}

function rename(app, conversation) {
  const state = { ...formState(), title: conversation.title ?? "" };
  openDialog({
    title: text.renameTitle, className: "narrow",
    view: (close) => form(state, { submit: () => app.agent.call("conversations.update", { id: conversation.id, title: state.title.trim() }), done: close, label: strings.common.save, cancel: () => close(), disabled: !state.title.trim() },
      textField(state, "title", { label: text.groupName, autofocus: true, maxlength: "64", changed: update })),
  });
}

async function add(app, conversation) {
  const state = formState();
  const picker = new Picker(app, conversation.members.map((member) => member.did));
  const added = await openDialog({
    title: text.add,
    view: (close) => form(state, { submit: async () => { await app.agent.call("conversations.add", { id: conversation.id, members: picker.members }); return true; }, done: close, label: text.addGo, cancel: () => close(), disabled: !picker.members.length },
      h("p", {}, text.addText), picker.view()),
  });
  if (added) notify("info", text.added);
}

async function remove(app, conversation, member, name) {
  const done = await confirm({ title: text.removeTitle(name), text: text.removeText(name), label: text.remove, run: () => app.agent.call("conversations.remove", { id: conversation.id, members: [member.did] }) });
  if (done) notify("info", text.removed(name));
}

async function leave(app, conversation, close) {
  const done = await confirm({ title: text.leaveTitle, text: text.leaveText, label: text.leaveGo, run: () => app.agent.call("conversations.leave", { id: conversation.id }) });
  if (!done) return;
  close();
  notify("info", text.left);
}
