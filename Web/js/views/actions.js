// What can be done with one message.

import { h, update } from "../dom.js";
import { attempt } from "../notices.js";
import { confirm, openDialog } from "../parts/dialog.js";
import { copyText } from "../parts/fields.js";
import { openMenu } from "../parts/menu.js";
import { strings } from "../strings.js";
import { saveAttachment } from "./attachment.js";
import { openDelivery } from "./delivery.js";

const text = strings.menu;
const QUICK = ["👍", "❤️", "😂", "😮", "😢", "🙏"];
const LONGEST_REACTION = 32;

export function openMessageMenu(app, conversation, message, anchor) {
  if (message.retracted) return;
  const composer = app.messages.composer(conversation);
  const own = message.reactions?.find((reaction) => reaction.mine)?.emoji;
  const react = (emoji) => app.messages.act("messages.react", { id: message.id, emoji: emoji === own ? "" : emoji });
  const closed = conversation.self_removed || conversation.request;
  const sent = message.state !== "pending" && message.state !== "failed";
  openMenu(anchor, text.title, [
    !closed && { name: text.reply, iconName: "reply", run: () => { composer.replyTo(message); focusComposer(); } },
    message.text && { name: text.copy, iconName: "copy", run: () => copyText(message.text) },
    message.attachment && { name: text.save, iconName: "download", run: () => attempt(() => saveAttachment(app, message)) },
    !closed && message.mine && sent && message.kind === "text" && { name: text.edit, iconName: "edit", run: () => { composer.edit(message); focusComposer(); } },
    { name: text.details, iconName: "info", run: () => openDelivery(conversation, message) },
    !closed && message.mine && { name: text.retract, iconName: "trash", danger: true, run: () => confirm({ title: text.retractTitle, text: text.retractText, label: text.retractGo, run: async () => app.messages.put(await app.agent.call("messages.retract", { id: message.id })) }) },
  ], (close) => !closed && sent && h("div", { class: "quick" },
    QUICK.map((emoji) => h("button", { key: emoji, type: "button", class: "quick-emoji", "aria-label": text.react(emoji), "aria-pressed": emoji === own ? "true" : "false", onclick: () => { close(); react(emoji); } }, emoji)),
    h("button", { key: "more", type: "button", class: "quick-emoji", "aria-label": text.moreReactions, onclick: () => { close(); openReaction(react); } }, "+")));
}

// Any emoji there is: the system has a better keyboard for them than a page could draw.
function openReaction(react) {
  const state = { emoji: "" };
  const one = () => firstGrapheme(state.emoji.trim());
  openDialog({
    title: text.moreReactions, className: "narrow",
    view: (close) => h("form", { class: "form", onsubmit: (event) => { event.preventDefault(); if (one()) { close(); react(one()); } } },
      h("div", { class: "field" }, h("label", { for: "reaction" }, text.reactionField), h("input", { id: "reaction", value: state.emoji, autofocus: true, autocomplete: "off", oninput: (event) => { state.emoji = event.target.value; update(); } })),
      h("div", { class: "actions" }, h("button", { class: "button primary", type: "submit", disabled: !one() }, text.reactionGo))),
  });
}

function firstGrapheme(value) {
  const first = value && (Intl.Segmenter ? [...new Intl.Segmenter().segment(value)][0].segment : [...value][0]);
  return first && new TextEncoder().encode(first).length <= LONGEST_REACTION ? first : "";
}

export function focusComposer() {
  setTimeout(() => document.querySelector(".composer textarea")?.focus(), 0);
}
