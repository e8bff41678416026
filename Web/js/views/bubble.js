// One message: what was said, what hangs on it, who reacted, and how far it has come.

import { h, memo } from "../dom.js";
import { clock } from "../format.js";
import { icon } from "../icons.js";
import { callLine, memberName, partner } from "../messages.js";
import { avatar } from "../parts/peer.js";
import { isJumbo, richText } from "../parts/rich.js";
import { voiceFacts } from "../parts/voice.js";
import { strings } from "../strings.js";
import { attachmentView, isLookedAt } from "./attachment.js";
import { openDelivery } from "./delivery.js";
import { openMessageMenu } from "./actions.js";

const text = strings.messages;
const marks = { pending: "clockMark", accepted: "tick", delivered: "ticks", read: "ticks", played: "ticks", failed: "warning" };

/** `place` is `{first, last, names}`: where it stands among messages of one sender, and what everybody is called. */
export function bubble(app, conversation, message, { first, last, names, pointed }) {
  const entry = app.messages.attachments.of(message);
  return memo(message, [first, last, names, pointed, conversation.self_removed, conversation.request, entry.turn, entry.state, isLookedAt(message.id), voiceFacts(message.id)], () => draw(app, conversation, message, { first, last, pointed }));
}

function draw(app, conversation, message, { first, last, pointed }) {
  if (message.kind === "roster" && !message.retracted) return line(message, message.roster?.sentence ?? "", "group");
  if (message.kind === "call" && message.call) return callEvent(app, conversation, message);
  const name = memberName(conversation, message.sender);
  const group = conversation.kind === "group";
  const bare = !message.retracted && isJumbo(message.text ?? "") && !message.attachment && !message.reply_to;
  const side = message.mine ? "mine" : "theirs";
  const open = (event) => { event.preventDefault(); openMessageMenu(app, conversation, message, event.currentTarget); };
  return h("li", { key: message.id, "data-id": message.id, class: `message ${side} ${first ? "first" : ""} ${last ? "last" : ""} ${group ? "in-group" : ""} ${pointed ? "pointed" : ""}`, tabindex: "-1" },
    group && !message.mine && h("span", { class: "message-face" }, last && avatar(conversation.members.find((member) => member.did === message.sender) ?? { did: message.sender, name }, "small")),
    h("div", { class: "message-column" },
      group && !message.mine && first ? h("p", { class: "sender" }, name) : h("span", { class: "visually-hidden" }, text.says(name)),
      h("div", { class: "message-row" },
        h("div", { class: `bubble ${bare ? "jumbo" : ""} ${message.retracted ? "retracted" : ""} ${pictured(message) ? "pictured" : ""}`, oncontextmenu: open },
          message.reply_to && !message.retracted && quote(app, conversation, message.reply_to),
          body(app, conversation, message),
          meta(app, conversation, message, last)),
        !message.retracted && h("div", { class: "message-tools" },
          h("button", { class: "icon-button small", type: "button", "aria-label": text.actions(name, clock(message.sent_at)), onclick: open }, icon("more")))),
      message.reactions?.length > 0 && reactions(app, conversation, message),
      message.state === "failed" && h("p", { class: "failed", role: "alert" }, icon("warning"), h("span", {}, message.state_sentence || text.states.failed),
        h("button", { class: "button small", type: "button", onclick: () => app.messages.act("messages.retry", { id: message.id }) }, text.retry))));
}

const pictured = ({ kind, attachment, retracted, text: words }) => attachment && !retracted && (kind === "image" || kind === "video") && !words;

function body(app, conversation, message) {
  if (message.retracted) return h("p", { key: "text", class: "words-text" }, icon("block"), text.retracted);
  if (message.kind === "unsupported") return h("p", { key: "text", class: "words-text unsupported" }, icon("info"), text.unsupported);
  const back = message.purpose === "callback-request";
  return [
    message.attachment && attachmentView(app, conversation, message),
    back && h("p", { key: "callback", class: "sound-title" }, icon("phone"), text.kinds["callback-request"]),
    message.kind === "location" && h("p", { key: "place", class: "sound-title" }, icon("pin"), text.kinds.location),
    message.kind === "contact" && h("p", { key: "contact", class: "sound-title" }, icon("identity"), text.kinds.contact),
    message.kind === "contact" && message.contact && h("p", { key: "did", class: "did" }, message.contact),
    message.kind === "location" && message.location && h("p", { key: "map", class: "words-text" }, h("a", { href: mapAddress(message.location), target: "_blank", rel: "noopener noreferrer" }, message.text || text.showMap), " "),
    message.kind === "contact" && message.contact && !message.mine && h("button", { key: "write", type: "button", class: "button small", onclick: () => app.messages.write(message.contact) }, icon("messages"), strings.contacts.message),
    message.text && message.kind !== "location" && h("p", { key: "text", class: "words-text", dir: "auto" }, richText(message.text, message.mentions, (did) => memberName(conversation, did))),
  ];
}

// A map is opened only by following the link: the place is told to nobody before.
function mapAddress({ lat_e7: latitude, lon_e7: longitude }) {
  const [lat, lon] = [latitude / 1e7, longitude / 1e7];
  return `https://www.openstreetmap.org/?mlat=${lat}&mlon=${lon}#map=16/${lat}/${lon}`;
}

function quote(app, conversation, reply) {
  const name = memberName(conversation, reply.sender);
  const jump = () => app.messages.timeline(conversation).jump(reply.id);
  return h("button", { key: "quote", type: "button", class: "quote", "aria-label": text.jumpReply(name), onclick: jump }, h("strong", {}, name), h("span", {}, reply.preview ?? text.replyGone));
}

function meta(app, conversation, message, last) {
  const quiet = !last && !message.edited && message.state !== "pending" && message.state !== "failed";
  if (quiet && !message.expires_at) return h("time", { key: "meta", class: "visually-hidden" }, clock(message.sent_at));
  return h("span", { key: "meta", class: "meta" },
    message.expires_at && h("span", { title: text.expiresAt(clock(message.expires_at)) }, icon("timer"), h("span", { class: "visually-hidden" }, text.expires)),
    message.edited && !message.retracted && h("span", {}, text.edited),
    h("time", {}, clock(message.sent_at)),
    message.mine && !message.retracted && ticks(app, conversation, message));
}

function ticks(app, conversation, message) {
  const state = message.state_sentence || text.states[message.state];
  return h("button", { type: "button", class: `ticks ticks-${message.state}`, "aria-label": strings.delivery.shown(state.replace(/\.$/, "")), title: state, onclick: () => openDelivery(conversation, message) },
    icon(marks[message.state] ?? "clockMark"));
}

function reactions(app, conversation, message) {
  return h("ul", { class: "reactions", role: "list" }, message.reactions.map(({ emoji, by, mine }) => h("li", { key: emoji },
    h("button", { type: "button", class: "reaction", "aria-pressed": mine ? "true" : "false", "aria-label": text.reactionBy(emoji, by.map((did) => memberName(conversation, did)).join(", "), mine), onclick: () => app.messages.act("messages.react", { id: message.id, emoji: mine ? "" : emoji }) },
      emoji, by.length > 1 && h("span", { class: "tabular" }, by.length)))));
}

function line(message, sentence, iconName, ...extra) {
  return h("li", { key: message.id, "data-id": message.id, class: "event", tabindex: "-1" }, h("p", {}, icon(iconName), h("span", {}, sentence), h("time", {}, clock(message.sent_at))), extra);
}

function callEvent(app, conversation, message) {
  const missed = message.call.outcome === "missed";
  const peer = conversation.kind === "direct" ? partner(conversation) : null;
  return line(message, callLine(message), missed ? "missed" : "phone",
    missed && peer && h("button", { key: "back", class: "button small quiet", type: "button", onclick: () => app.calls.place(peer.did, { video: false, name: memberName(conversation, peer.did) }) }, text.call.back));
}

