// All conversations of this page: which are open, what is loaded of them, what has been read, who is told that one types. Turns what the person
// does into API calls; what is said and who may read it is the agent's business.

import { Attachments } from "./attachments.js";
import { Composer } from "./composer.js";
import { update } from "./dom.js";
import { now } from "./format.js";
import { attempt } from "./notices.js";
import { findConversation, putConversation, store } from "./store.js";
import { strings } from "./strings.js";
import { follows, Timeline } from "./timeline.js";

const OPEN_TIMELINES = 8;
const READ_DELAY = 400;

export class Messages {
  attachments;
  /** The last message of somebody that came while its conversation was on the screen, for screen readers. */
  arrived = null;
  #agent;
  #timelines = new Map();
  #composers = new Map();
  #read = new Map();
  #readTimer = null;
  /** What was seen and is not told yet. */
  #unsaid = null;

  constructor(agent) {
    this.#agent = agent;
    this.attachments = new Attachments(agent);
    agent.on("state", () => this.#resume());
    agent.on("message", (message) => this.#changed(message));
    agent.on("messages.reset", ({ conversation }) => this.#timelines.get(conversation)?.refresh());
    agent.on("conversation.gone", ({ id }) => this.#forget(id));
  }

  // MARK: What is to be seen

  get enabled() {
    return store.state?.messaging?.enabled === true || store.state?.conversations.length > 0;
  }

  /** Conversations in the order of the list: the one something last happened in is first. */
  get list() {
    const at = ({ last_activity, last }) => last_activity ?? last?.received_at ?? last?.sent_at ?? now();
    return store.state.conversations.filter((conversation) => !conversation.request).sort((a, b) => at(b) - at(a) || (a.id < b.id ? 1 : -1));
  }

  /** What is loaded of a conversation; loads the newest page when it is asked for the first time. */
  timeline(conversation) {
    const known = this.#timelines.get(conversation.id);
    if (known) return known;
    const timeline = new Timeline(this.#agent, conversation.id);
    this.#timelines.set(conversation.id, timeline);
    if (this.#timelines.size > OPEN_TIMELINES) this.#timelines.delete(this.#timelines.keys().next().value);
    queueMicrotask(() => timeline.open(conversation.unread));
    return timeline;
  }

  composer(conversation) {
    if (!this.#composers.has(conversation.id)) this.#composers.set(conversation.id, new Composer(this.#agent, this, conversation));
    return this.#composers.get(conversation.id);
  }

  /** The conversation comes on the screen: what arrived since the last visit is marked as new. */
  entered(conversation) {
    this.timeline(conversation).mark(conversation.unread);
  }

  /** It leaves the screen: the mark of what was unread belongs to one visit. */
  closed(id) {
    const timeline = this.#timelines.get(id);
    if (!timeline) return;
    timeline.divider = null;
    if (this.#timelines.delete(id)) this.#timelines.set(id, timeline);
  }

  // MARK: What the person does

  /** Opens the direct conversation with a contact, DID, alias or link, and goes there. */
  async write(to) {
    const conversation = await attempt(() => this.#agent.call("conversations.open", { with: to }));
    if (!conversation) return;
    if (!findConversation(conversation.id)) putConversation(conversation);
    go(conversation.id);
  }

  go(conversation, message = null) {
    go(conversation, message);
  }

  /** Everything up to `message` has been on the screen of somebody who was looking. */
  seen(conversation, message) {
    if (!conversation.unread || conversation.request || document.hidden || store.status !== "open") return;
    const before = this.#read.get(conversation.id);
    if (before && !follows(message, before)) return;
    this.#read.set(conversation.id, message);
    if (this.#unsaid && this.#unsaid.conversation !== conversation.id) this.#sayRead();
    this.#unsaid = { conversation: conversation.id, through: message.id };
    clearTimeout(this.#readTimer);
    this.#readTimer = setTimeout(() => this.#sayRead(), READ_DELAY);
  }

  #sayRead() {
    const read = this.#unsaid;
    this.#unsaid = null;
    clearTimeout(this.#readTimer);
    if (read) this.#agent.call("messages.read", read).catch(() => this.#read.delete(read.conversation));
  }

  played(message) {
    if (!message.mine && message.kind === "audio") this.#agent.call("messages.played", { id: message.id }).catch(() => {});
  }

  /** Does something to one message; the agent's answer is shown at once. */
  async act(method, params) {
    const message = await attempt(() => this.#agent.call(method, params));
    if (message?.id) this.put(message);
    return message;
  }

  put(message) {
    this.#timelines.get(message.conversation)?.put(message);
    update();
  }

  /** Something of one's own went out: it is shown, wherever one was reading. */
  sent(message) {
    this.put(message);
    this.#timelines.get(message.conversation)?.latest();
  }

  // MARK: Events

  #changed(message) {
    const timeline = this.#timelines.get(message.conversation);
    const fresh = timeline?.put(message);
    if (message.retracted) this.attachments.forget(message.id);
    if (fresh && !message.mine && shown() === message.conversation) this.arrived = message;
    update();
  }

  #resume() {
    this.#read.clear();
    const current = shown();
    for (const [id, timeline] of [...this.#timelines]) {
      if (id === current) timeline.refresh();
      else this.#timelines.delete(id);
    }
  }

  #forget(id) {
    this.#timelines.delete(id);
    this.#composers.get(id)?.close();
    this.#composers.delete(id);
    if (shown() === id) location.hash = "#/messages";
  }
}

function go(conversation, message = null) {
  location.hash = `#/messages/${encodeURIComponent(conversation)}${message ? `/${encodeURIComponent(message)}` : ""}`;
}

/** The id of the conversation on the screen. */
export function shown() {
  const [name, id] = location.hash.replace(/^#\/?/, "").split("/");
  return name === "messages" && id ? decodeURIComponent(id) : null;
}

// MARK: Words about conversations

const self = () => store.state?.identity?.did;
export const others = (conversation) => conversation.members.filter((member) => member.did !== self());

/** Whom a direct conversation is with. */
export const partner = (conversation) => others(conversation)[0] ?? conversation.members[0] ?? null;

export function memberName(conversation, did) {
  if (did === self()) return strings.messages.you;
  const member = conversation.members.find((candidate) => candidate.did === did);
  const contact = store.state.contacts.find((candidate) => candidate.did === did);
  return member?.name || contact?.name || member?.alias || did?.slice(0, 24) || strings.peer.unnamed;
}

export function titleOf(conversation) {
  if (conversation.title) return conversation.title;
  const names = others(conversation).map((member) => memberName(conversation, member.did));
  return names.join(", ") || strings.messages.group;
}

/** One line about a message, for lists, quotations and notifications inside the page. */
export function lineOf(message) {
  const text = strings.messages;
  if (message.retracted) return text.retracted;
  if (message.kind === "roster") return message.roster?.sentence ?? "";
  if (message.kind === "call" && message.call) return callLine(message);
  if (message.kind === "unsupported") return text.unsupported;
  const kind = message.kind === "text" ? null : text.kinds[message.purpose] && message.purpose !== "message" && message.purpose !== "attachment" ? text.kinds[message.purpose] : text.kinds[message.kind];
  const name = message.kind === "file" ? message.attachment?.name : null;
  return [kind && name ? `${kind}: ${name}` : kind, message.text].filter(Boolean).join(" · ") || text.kinds[message.purpose] || "";
}

export function callLine({ call }) {
  const outcomes = strings.messages.call[call.direction === "incoming" || call.direction === "inbound" ? "incoming" : "outgoing"];
  return outcomes[call.outcome] ?? strings.messages.kinds.call;
}
