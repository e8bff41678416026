// One conversation: who it is with, what was said, and the place to write.

import { h, update } from "../dom.js";
import { day } from "../format.js";
import { icon } from "../icons.js";
import { lineOf, memberName, others, partner, titleOf } from "../messages.js";
import { attempt } from "../notices.js";
import { confirm } from "../parts/dialog.js";
import { actionButton } from "../parts/fields.js";
import { avatar, basis } from "../parts/peer.js";
import { ScrollKeeper } from "../scroll.js";
import { isHere, store } from "../store.js";
import { strings } from "../strings.js";
import { openAbout } from "./about.js";
import { bubble } from "./bubble.js";
import { composerView, dropTarget } from "./composer.js";
import { openSafety } from "./safety.js";

const text = strings.messages;
const TOGETHER = 300;

export function conversationView(app, conversation, wanted) {
  const timeline = app.messages.timeline(conversation);
  follow(app, conversation, timeline, wanted);
  const title = titleOf(conversation);
  return h("section", { key: conversation.id, class: "conversation", "aria-label": text.conversation(title), ...dropTarget(app, conversation), removed: () => left(app, conversation) },
    header(app, conversation, title),
    conversation.notice && h("p", { key: "notice", class: "banner warn chat-banner", role: "status" }, icon("info"), conversation.notice.sentence),
    h("div", { key: "frame", class: "timeline-frame" }, scroller(app, conversation, timeline, title), jumpButton(timeline, conversation)),
    h("p", { key: "arrived", class: "visually-hidden", role: "status", "aria-live": "polite" }, arrived(app, conversation)),
    foot(app, conversation, title));
}

// MARK: Above

function header(app, conversation, title) {
  const peer = conversation.kind === "direct" ? partner(conversation) : null;
  const call = (video) => app.calls.place(peer.did, { video, name: title });
  return h("header", { key: "header", class: "chat-header" },
    h("h2", { class: "visually-hidden" }, title),
    h("a", { class: "icon-button narrow-only chat-back", href: "#/messages", "aria-label": strings.common.back }, icon("back")),
    h("button", { type: "button", class: "chat-who", "aria-label": text.info(title), onclick: () => openAbout(app, conversation.id) },
      avatar(peer ?? { did: conversation.id, name: title }, "", isHere(peer)), h("span", { class: "row-text" }, h("strong", {}, title), h("span", { class: "muted" }, statusLine(conversation)))),
    peer && !conversation.request && [
      h("button", { key: "audio", class: "icon-button", type: "button", "aria-label": strings.contacts.callAudio(title), onclick: () => call(false) }, icon("phone")),
      h("button", { key: "video", class: "icon-button accent", type: "button", "aria-label": strings.contacts.callVideo(title), onclick: () => call(true) }, icon("video")),
    ]);
}

export function typingLine(conversation) {
  const busy = (conversation.typing ?? []).filter(({ did }) => did !== store.state.identity.did);
  if (busy.length > 1) return text.typing.several(busy.length);
  return busy.length ? (text.typing[busy[0].activity] ?? text.typing.typing)(memberName(conversation, busy[0].did)) : null;
}

function statusLine(conversation) {
  const typing = typingLine(conversation);
  if (typing) return h("span", { class: "accent-text" }, typing);
  if (conversation.kind === "group") return conversation.self_removed ? text.group : others(conversation).map((member) => memberName(conversation, member.did)).join(", ") || text.members(1);
  if (isHere(partner(conversation))) return h("span", { class: "accent-text", title: strings.peer.hereBasis }, strings.peer.here);
  return partner(conversation)?.alias ?? strings.chat.encryption[conversation.encryption] ?? "";
}

// MARK: What was said

const keepers = new WeakMap();
let visited = null;

// A link to one message jumps to it once; another visit begins with what is unread.
function follow(app, conversation, timeline, wanted) {
  const visit = `${conversation.id}/${wanted ?? ""}`;
  if (visited === visit) return;
  visited = visit;
  app.messages.entered(conversation);
  if (wanted) queueMicrotask(() => timeline.jump(wanted));
}

function left(app, conversation) {
  if (visited?.startsWith(`${conversation.id}/`)) visited = null;
  app.messages.closed(conversation.id);
}

function scroller(app, conversation, timeline, title) {
  const created = (element) => {
    const keeper = new ScrollKeeper(element, element.firstElementChild, {
      place: () => timeline.place,
      nearTop: () => { if (!timeline.error) timeline.before(); },
      nearEnd: () => { if (!timeline.error) timeline.after(); },
      moved: () => moved(app, conversation.id, timeline, keepers.get(element)),
    });
    keepers.set(element, keeper);
    element.refocus = () => { if (!document.hidden) moved(app, conversation.id, timeline, keeper); };
    for (const event of ["focus", "visibilitychange"]) addEventListener(event, element.refocus);
    document.addEventListener("visibilitychange", element.refocus);
  };
  const removed = (element) => {
    keepers.get(element)?.close();
    for (const event of ["focus", "visibilitychange"]) removeEventListener(event, element.refocus);
    document.removeEventListener("visibilitychange", element.refocus);
  };
  return h("div", { key: "scroller", class: "timeline", tabindex: "0", role: "region", "aria-label": text.withName(title), created, removed, onkeydown: arrows, "data-place": placeMark(timeline) },
    h("div", { class: "timeline-content" },
      edge(app, conversation, timeline, title),
      h("ol", { key: "list", class: "message-list", role: "list" }, messages(app, conversation, timeline)),
      typingLine(conversation) && h("p", { key: "typing", class: "typing", "aria-hidden": "true" }, h("span", {}), h("span", {}), h("span", {}))));
}

// A place set by the page, not by scrolling, is a new object; the list is put there once it is drawn.
const marksOfPlaces = new WeakMap();
let places = 0;

function placeMark(timeline) {
  if (!marksOfPlaces.has(timeline.place)) {
    marksOfPlaces.set(timeline.place, ++places);
    queueMicrotask(() => keepers.get(document.querySelector(".timeline"))?.settle());
  }
  return marksOfPlaces.get(timeline.place);
}

function moved(app, id, timeline, keeper) {
  const conversation = store.state?.conversations.find((known) => known.id === id);
  if (!keeper || !conversation || !timeline.loaded) return;
  const end = timeline.place.atEnd && !timeline.moreAfter;
  if (timeline.shownEnd !== end) {
    timeline.shownEnd = end;
    update();
  }
  if (!conversation.unread || document.hidden || !document.hasFocus()) return;
  const last = end ? timeline.last : timeline.find(keeper.lastSeen());
  if (last) app.messages.seen(conversation, last);
}

function edge(app, conversation, timeline, title) {
  if (timeline.error) return h("p", { key: "edge", class: "edge", role: "alert" }, timeline.error, " ", h("button", { class: "button small", type: "button", onclick: () => (timeline.loaded ? timeline.before() : timeline.open(conversation.unread)) }, text.retryLoad));
  if (!timeline.loaded || timeline.moreBefore) return h("p", { key: "edge", class: "edge muted" }, text.loading);
  return h("div", { key: "edge", class: "beginning" }, avatar(conversation.kind === "direct" ? partner(conversation) : { did: conversation.id, name: title }, "huge"),
    h("p", {}, h("strong", {}, text.beginning(title))), h("p", { class: "muted" }, text.beginningText),
    conversation.disappear_after_s ? h("p", { class: "muted" }, strings.chat.disappearNotice(spanOf(conversation.disappear_after_s))) : null,
    conversation.kind === "direct" && !conversation.request && h("button", { class: "button small", type: "button", onclick: () => openSafety(app, conversation, partner(conversation)) }, icon("shield"), strings.safety.button));
}

export const spanOf = (seconds) => strings.chat.disappearOptions[seconds] ?? strings.chat.otherSpan(seconds);

function messages(app, conversation, timeline) {
  const names = conversation.members.map((member) => `${member.did} ${memberName(conversation, member.did)}`).join("\n");
  const list = timeline.messages;
  const nodes = [];
  let today = null;
  list.forEach((message, index) => {
    const title = day(message.sent_at);
    const broken = title !== today;
    if (broken) nodes.push(h("li", { key: `day-${title}-${message.id}`, class: "day-break" }, h("h3", {}, title)));
    today = title;
    if (timeline.divider === message.id) nodes.push(h("li", { key: "divider", class: "divider" }, h("h3", {}, text.unreadDivider)));
    const before = broken || timeline.divider === message.id ? null : list[index - 1];
    const after = list[index + 1];
    const ends = !together(message, after) || day(after.sent_at) !== title || timeline.divider === after.id;
    nodes.push(bubble(app, conversation, message, { first: !together(before, message), last: ends, names, pointed: timeline.pointed === message.id }));
  });
  return nodes;
}

const spoken = ({ kind }) => kind !== "roster" && kind !== "call";
const together = (a, b) => Boolean(a && b && spoken(a) && spoken(b) && a.sender === b.sender && Math.abs(b.sent_at - a.sent_at) <= TOGETHER);

// Up and down go from message to message; Enter opens what can be done with one.
function arrows(event) {
  const item = event.target.closest(".message, .event");
  const step = { ArrowUp: "previousElementSibling", ArrowDown: "nextElementSibling" }[event.key];
  if (event.target.matches("input, textarea, video")) return;
  if (step) {
    let next = item ? item[step] : event.key === "ArrowUp" ? event.currentTarget.querySelector(".message-list").lastElementChild : null;
    while (next && !next.dataset.id) next = next[step];
    if (!next) return;
    event.preventDefault();
    next.focus({ preventScroll: true });
    next.scrollIntoView({ block: "nearest" });
  } else if (event.key === "Enter" && event.target === item) {
    event.preventDefault();
    item.querySelector(".message-tools button")?.click();
  }
}

function jumpButton(timeline, conversation) {
  if (!timeline.loaded || (timeline.place.atEnd && !timeline.moreAfter)) return null;
  const { unread } = conversation;
  return h("button", { key: "jump", type: "button", class: "jump", "aria-label": unread ? text.latestNew(unread) : text.latest, onclick: () => timeline.latest() }, icon("down"), unread ? h("span", { class: "badge" }, unread) : null);
}

function arrived({ messages: { arrived: message } }, conversation) {
  return message?.conversation === conversation.id ? text.arrived(memberName(conversation, message.sender), lineOf(message)) : "";
}

// MARK: Below

function foot(app, conversation, title) {
  if (conversation.request) return request(app, conversation, title);
  if (conversation.self_removed) return h("div", { key: "foot", class: "chat-foot" }, h("p", {}, text.removedSelf), h("button", { class: "button danger-quiet", type: "button", onclick: () => deleteHistory(app, conversation) }, icon("trash"), text.deleteHistory));
  if (conversation.notice?.code === "closed") return null;
  return composerView(app, conversation, title);
}

function request(app, conversation, title) {
  const peer = partner(conversation);
  return h("div", { key: "foot", class: "chat-foot request-foot" }, h("p", {}, h("strong", {}, text.requestText(title))), peer && basis(peer),
    conversation.purpose && h("figure", { class: "words" }, h("figcaption", {}, strings.requests.theySay), h("blockquote", {}, conversation.purpose)),
    h("p", { class: "help" }, text.requestBasis),
    h("div", { class: "actions" },
      actionButton(text.refuse, async () => { await app.agent.call("conversations.leave", { id: conversation.id }); await app.agent.call("conversations.delete", { id: conversation.id }).catch(() => {}); location.hash = "#/requests"; }, { name: text.refuseName(title), className: "button danger-quiet" }),
      actionButton(text.accept, () => app.agent.call("conversations.accept", { id: conversation.id }), { name: text.acceptName(title), className: "button primary" })));
}

export async function deleteHistory(app, conversation) {
  const gone = await confirm({ title: text.deleteTitle, text: text.deleteText, label: text.deleteHistory, run: () => app.agent.call("conversations.delete", { id: conversation.id }) });
  if (gone) location.hash = "#/messages";
}

/** Opens the direct conversation with somebody from anywhere in the page. */
export const writeTo = (app, to) => attempt(() => app.messages.write(to));
