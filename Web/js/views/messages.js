// Messages: the list of conversations with its search, and beside it the one that is open.

import { h, memo, update } from "../dom.js";
import { clock, day, shortWhen } from "../format.js";
import { icon } from "../icons.js";
import { lineOf, memberName, partner, titleOf } from "../messages.js";
import { sentenceOf } from "../notices.js";
import { emptyState } from "../parts/fields.js";
import { avatar } from "../parts/peer.js";
import { marked } from "../parts/rich.js";
import { findConversation, isHere } from "../store.js";
import { strings } from "../strings.js";
import { conversationView, typingLine } from "./conversation.js";
import { openNewGroup, openNewMessage } from "./write.js";

const text = strings.messages;
const SEARCH_DELAY = 200;
const SHORTEST_QUERY = 2;
const FOUND = 50;

export function messagesView(app, id, wanted) {
  const conversation = id ? findConversation(id) : null;
  return h("div", { class: `split chat ${id ? "split-detail" : ""}` },
    h("section", { key: "list", class: "split-list", "aria-label": text.list },
      h("header", { key: "header", class: "view-header" }, h("h1", {}, text.title),
        h("div", { class: "actions" },
          h("button", { class: "icon-button", type: "button", "aria-label": text.newGroup, title: text.newGroup, onclick: () => openNewGroup(app) }, icon("group")),
          h("button", { class: "icon-button accent", type: "button", "aria-label": text.newMessage, title: text.newMessage, onclick: () => openNewMessage(app) }, icon("edit")))),
      h("input", { key: "search", type: "search", class: "search", "aria-label": text.search, placeholder: text.search, value: search.query, oninput: (event) => search.set(app, event.target.value), onkeydown: (event) => { if (event.key === "Escape") search.set(app, ""); } }),
      search.query.trim() ? results(app) : list(app, id)),
    conversation
      ? conversationView(app, conversation, wanted)
      : h("section", { key: "none", class: "split-page" }, id ? emptyState("messages", text.gone, "") : app.messages.list.length > 0 && emptyState("messages", text.chooseTitle, text.choose)));
}

function list(app, current) {
  const conversations = app.messages.list;
  if (!conversations.length) return emptyState("messages", text.emptyTitle, text.empty, h("button", { class: "button primary", type: "button", onclick: () => openNewMessage(app) }, icon("edit"), text.newMessage));
  return h("ul", { key: "list", class: "list", role: "list", "aria-label": text.list }, conversations.map((conversation) => memo(conversation, [current === conversation.id, conversation.last && shortWhen(conversation.last.sent_at), app.messages.composer(conversation).text, titleOf(conversation)], () => row(app, conversation, current))));
}

function row(app, conversation, current) {
  const { id, last, unread, muted } = conversation;
  const title = titleOf(conversation);
  const open = current === id;
  return h("li", { key: id, class: `row-group ${open ? "current" : ""}` },
    h("a", { class: "row", href: `#/messages/${encodeURIComponent(id)}`, "aria-label": text.open(title, unread), "aria-describedby": `line-${id}`, "aria-current": open ? "true" : null },
      h("span", { class: "face" }, avatar(conversation.kind === "direct" ? partner(conversation) ?? { name: title } : { did: id, name: title }, "", conversation.kind === "direct" && isHere(partner(conversation))), conversation.kind === "group" && h("span", { class: "face-mark" }, icon("group"))),
      h("span", { class: "row-text" },
        h("span", { class: "row-top" }, h("strong", {}, title), muted && h("span", { class: "muted-mark", title: text.muted }, icon("bellOff")), last && h("time", { class: unread && !muted ? "accent-text" : "muted" }, shortWhen(last.sent_at))),
        h("span", { class: "row-line" }, h("span", { id: `line-${id}`, class: `grow ${unread ? "" : "muted"}` }, preview(app, conversation, open)), unread > 0 && h("span", { class: `badge ${muted ? "badge-muted" : ""}`, "aria-hidden": "true" }, unread)))));
}

function preview(app, conversation, open) {
  const typing = typingLine(conversation);
  if (typing) return h("span", { class: "accent-text" }, typing);
  const draft = app.messages.composer(conversation).text.trim();
  if (draft && !open && !app.messages.composer(conversation).editing) return [h("span", { class: "accent-text" }, `${text.draft} `), draft];
  const { last } = conversation;
  if (!last) return strings.chat.encryption[conversation.encryption];
  const plain = last.kind === "roster" || last.kind === "call";
  return [
    last.mine && !plain && !last.retracted && h("span", { key: "state", class: `row-state ticks-${last.state}` }, icon({ pending: "clockMark", accepted: "tick", failed: "warning" }[last.state] ?? "ticks")),
    !last.mine && !plain && conversation.kind === "group" && text.says(memberName(conversation, last.sender)), lineOf(last),
  ];
}

// MARK: Search

const search = {
  query: "", results: null, error: null, busy: false, turn: 0, timer: null,
  set(app, query) {
    Object.assign(this, { query, error: null, turn: this.turn + 1 });
    clearTimeout(this.timer);
    const wanted = query.trim();
    if (wanted.length < SHORTEST_QUERY) Object.assign(this, { results: null, busy: false });
    else {
      this.busy = true;
      this.timer = setTimeout(() => this.ask(app, wanted, this.turn), SEARCH_DELAY);
    }
    update();
  },
  async ask(app, query, turn) {
    try {
      const { results } = await app.agent.call("messages.search", { query, limit: FOUND });
      if (turn === this.turn) Object.assign(this, { results, busy: false });
    } catch (error) {
      if (turn === this.turn) Object.assign(this, { error: sentenceOf(error), results: null, busy: false });
    }
    update();
  },
};

function results(app) {
  const words = search.query.trim().toLowerCase();
  const named = app.messages.list.filter((conversation) => titleOf(conversation).toLowerCase().includes(words));
  const found = search.results ?? [];
  return [
    h("p", { key: "count", class: "visually-hidden", role: "status" }, search.busy ? text.searching : search.results ? (found.length ? text.found(found.length) : text.noResults) : ""),
    named.length > 0 && h("ul", { key: "named", class: "list", role: "list", "aria-label": text.list }, named.slice(0, 5).map((conversation) => h("li", { key: conversation.id, class: "row-group" },
      h("a", { class: "row", href: `#/messages/${encodeURIComponent(conversation.id)}`, "aria-label": text.open(titleOf(conversation), conversation.unread) }, avatar(partner(conversation)), h("span", { class: "row-text" }, h("strong", {}, titleOf(conversation))))))),
    search.error && h("p", { key: "error", class: "form-error", role: "alert" }, icon("warning"), search.error),
    found.length > 0 && h("ul", { key: "found", class: "list", role: "list", "aria-label": text.results }, found.map(result)),
    search.results && !found.length && !named.length && h("p", { key: "none", class: "muted" }, text.noResults),
  ];
}

function result({ message, snippet }) {
  const conversation = findConversation(message.conversation);
  if (!conversation) return null;
  const name = memberName(conversation, message.sender);
  return h("li", { key: message.id, class: "row-group" },
    h("a", { class: "row", href: `#/messages/${encodeURIComponent(conversation.id)}/${encodeURIComponent(message.id)}`, "aria-label": text.result(name, `${day(message.sent_at)} ${clock(message.sent_at)}`), "aria-describedby": `found-${message.id}` },
      avatar(partner(conversation) ?? { name }),
      h("span", { class: "row-text" }, h("span", { class: "row-top" }, h("strong", {}, titleOf(conversation)), h("time", { class: "muted" }, shortWhen(message.sent_at))),
        h("span", { id: `found-${message.id}`, class: "snippet" }, h("span", { class: "muted" }, text.says(name)), marked(snippet)))));
}
