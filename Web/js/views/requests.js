// Requests (DSIP §19.4): people who ask to be in contact, and those one has asked. Kept apart from calls; they never ring.

import { h, update } from "../dom.js";
import { clock, date, day } from "../format.js";
import { icon } from "../icons.js";
import { notify } from "../notices.js";
import { form, formState, openDialog } from "../parts/dialog.js";
import { actionButton, emptyState, textField } from "../parts/fields.js";
import { avatar, basis, nameOf } from "../parts/peer.js";
import { titleOf, lineOf, partner } from "../messages.js";
import { messageRequests, store } from "../store.js";
import { strings } from "../strings.js";

const text = strings.requests;
const PURPOSE_LENGTH = 280;

export function requestsView(app) {
  const { requests } = store.state;
  const waiting = requests.filter((r) => r.direction === "incoming" && r.state === "pending");
  const sent = requests.filter((r) => r.direction === "outgoing" && r.state === "pending");
  const messages = messageRequests();
  const earlier = requests.filter((r) => r.state !== "pending");
  return h("div", { class: "page" },
    h("header", { class: "view-header" }, h("h1", {}, text.title), h("button", { class: "button", type: "button", onclick: () => openSendRequest(app) }, icon("plus"), text.send)),
    requests.length + messages.length > 0 && h("p", { class: "lead" }, text.intro),
    requests.length + messages.length === 0 && emptyState("requests", text.emptyTitle, text.empty),
    messages.length > 0 && h("section", { key: "messages", class: "day" }, h("h2", {}, strings.messages.requests), h("ul", { class: "cards", role: "list", "aria-label": strings.messages.requests }, messages.map(messageCard))),
    section(app, text.incoming, waiting), section(app, text.outgoing, sent), section(app, text.earlier, earlier));
}

function section(app, title, requests) {
  if (!requests.length) return null;
  return h("section", { key: title, class: "day" }, h("h2", {}, title), h("ul", { class: "cards", role: "list", "aria-label": title }, requests.map((request) => card(app, request))));
}

function messageCard(conversation) {
  const name = titleOf(conversation);
  const { last } = conversation;
  return h("li", { key: conversation.id, class: "card request" },
    h("div", { class: "request-head" }, avatar(partner(conversation) ?? { name }), h("div", { class: "row-text" }, h("strong", {}, name), last && h("span", { class: "muted" }, `${day(last.sent_at)} ${clock(last.sent_at)}`))),
    partner(conversation) && basis(partner(conversation)),
    (conversation.purpose || last) && h("figure", { class: "words" }, h("figcaption", {}, text.theySay), h("blockquote", {}, conversation.purpose || lineOf(last))),
    h("div", { class: "actions" }, h("a", { class: "button primary", href: `#/messages/${encodeURIComponent(conversation.id)}`, "aria-label": strings.messages.openRequest(name) }, strings.messages.read)));
}

function card(app, request) {
  const name = nameOf(request.peer);
  const incoming = request.direction === "incoming";
  const pending = request.state === "pending";
  return h("li", { key: request.id, class: "card request" },
    h("div", { class: "request-head" }, avatar(request.peer), h("div", { class: "row-text" }, h("strong", {}, name), h("span", { class: "muted" }, `${day(request.received_at)} ${clock(request.received_at)}`)),
      !(incoming && pending) && h("span", { class: "tag" }, text.states[request.state])),
    incoming && basis(request.peer),
    request.purpose && h("figure", { class: "words" }, h("figcaption", {}, incoming ? text.theySay : text.youSaid), h("blockquote", {}, request.purpose)),
    pending && h("div", { class: "actions" },
      h("span", { class: "muted grow" }, text.until(date(request.expires_at))),
      incoming && actionButton(text.decline, async () => { await app.agent.call("requests.decline", { id: request.id }); notify("info", text.declined(name)); }, { name: text.declineName(name) }),
      incoming && h("button", { class: "button primary", type: "button", "aria-label": text.acceptName(name), onclick: () => openAccept(app, request) }, text.accept)));
}

async function openAccept(app, request) {
  const name = nameOf(request.peer);
  const state = { ...formState(), name: request.peer.name ?? "" };
  const accepted = await openDialog({
    title: text.acceptTitle(name), className: "narrow",
    view: (close) => form(state, { submit: async () => { await app.agent.call("requests.accept", { id: request.id, name: state.name.trim() || undefined }); return state.name.trim() || name; }, done: close, label: text.acceptGo, cancel: () => close() },
      h("p", {}, text.acceptText), basis(request.peer), textField(state, "name", { label: text.saveAs, maxlength: "64", changed: update })),
  });
  if (accepted) notify("info", text.accepted(accepted));
}

export async function openSendRequest(app, to = "") {
  const state = { ...formState(), to, purpose: "", token: "" };
  const sent = await openDialog({
    title: text.sendTitle,
    view: (close) => {
      const left = PURPOSE_LENGTH - [...state.purpose].length;
      const submit = () => app.agent.call("requests.send", { to: state.to.trim(), purpose: state.purpose.trim(), ...(state.token.trim() ? { token: state.token.trim() } : {}) });
      return form(state, { submit, done: close, label: text.sendGo, cancel: () => close(), disabled: !state.to.trim() || !state.purpose.trim() || left < 0 },
        textField(state, "to", { label: text.to, autofocus: !to, autocapitalize: "none", changed: update }),
        textField(state, "purpose", { label: text.purpose, help: `${text.purposeHelp} ${text.left(left)}.`, multiline: true, rows: "3", maxlength: String(PURPOSE_LENGTH), autofocus: Boolean(to), changed: update }),
        textField(state, "token", { label: text.token, help: text.tokenHelp, optional: true, changed: update }));
    },
  });
  if (sent) notify("info", text.sent);
}
