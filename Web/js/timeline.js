// The loaded part of one conversation: a window of messages in the agent's order, which grows by pages at both ends and stays bounded.

import { update } from "./dom.js";
import { sentenceOf } from "./notices.js";

const PAGE = 50;
const KEPT = 400;

export class Timeline {
  /** Ascending by `order`, then by `id`. */
  messages = [];
  moreBefore = true;
  moreAfter = false;
  /** "first", "before", "after" or null. */
  loading = null;
  loaded = false;
  error = null;
  /** The first message that was unread when the conversation was opened. */
  divider = null;
  /** A message that was jumped to and is pointed out for a moment. */
  pointed = null;
  /** Where the reader is: at the end, or at a message and so many pixels below the top. */
  place = { atEnd: true, id: null, offset: 0 };
  #agent;
  #turn = 0;

  constructor(agent, conversation) {
    this.#agent = agent;
    this.conversation = conversation;
  }

  find(id) {
    return this.messages.find((message) => message.id === id) ?? null;
  }

  get last() {
    return this.messages.at(-1) ?? null;
  }

  /** The newest page, with at least `unread` messages of others in it, and the mark where they begin. */
  async open(unread = 0) {
    await this.#fetch("first", { limit: Math.min(200, PAGE + unread) }, (page) => {
      this.#replace(page);
      this.place = { atEnd: true, id: null, offset: 0 };
      this.mark(unread);
    });
  }

  /** Marks where what is unread begins, and puts a reader who was at the end there. */
  mark(unread) {
    if (!this.loaded) return;
    this.divider = unread > 0 ? firstUnread(this.messages, unread) : null;
    if (this.divider && this.place.atEnd) this.place = { atEnd: false, id: this.divider, offset: 120 };
  }

  async before() {
    if (!this.loaded || !this.moreBefore || this.loading || !this.messages.length) return;
    await this.#fetch("before", { before: this.messages[0].order }, (page) => {
      this.moreBefore = page.more_before;
      for (const message of page.messages) this.#insert(message);
      if (this.messages.length > KEPT) {
        this.messages = this.messages.slice(0, KEPT);
        this.moreAfter = true;
      }
    });
  }

  async after() {
    if (!this.loaded || !this.moreAfter || this.loading || !this.messages.length) return;
    await this.#fetch("after", { after: this.last.order }, (page) => {
      this.moreAfter = page.more_after;
      for (const message of page.messages) this.#insert(message);
      if (this.messages.length > KEPT) {
        this.messages = this.messages.slice(-KEPT);
        this.moreBefore = true;
      }
    });
  }

  /** Brings one message into view, loading what is around it when need be. Resolves with whether it is there. */
  async jump(id) {
    if (!this.find(id)) await this.#fetch("first", { around: id }, (page) => { if (page.messages.some((message) => message.id === id)) this.#replace(page); });
    if (!this.find(id)) return false;
    this.place = { atEnd: false, id, offset: 160 };
    this.pointed = id;
    setTimeout(() => { if (this.pointed === id) this.pointed = null; update(); }, 1600);
    update();
    return true;
  }

  async latest() {
    if (this.moreAfter) await this.#fetch("first", {}, (page) => this.#replace(page));
    this.place = { atEnd: true, id: null, offset: 0 };
    update();
  }

  /** After events were missed, or history changed in bulk: what is shown is read again, around the place where the reader is. */
  async refresh() {
    if (!this.loaded) return;
    const around = this.place.atEnd ? null : this.place.id;
    await this.#fetch("first", around ? { around, limit: 200 } : { limit: 100 }, (page) => {
      if (around && !page.messages.some((message) => message.id === around)) this.place = { atEnd: true, id: null, offset: 0 };
      this.#replace(page);
    });
  }

  /** A message as the agent has it now. One outside the window waits there until it is scrolled to. */
  put(message) {
    if (!this.loaded) return false;
    const known = this.messages.findIndex((other) => other.id === message.id);
    if (known < 0 && this.messages.length) {
      if (this.moreAfter && message.order > this.last.order) return false;
      if (this.moreBefore && message.order < this.messages[0].order) return false;
    }
    this.#insert(message);
    return known < 0;
  }

  #insert(message) {
    const others = this.messages.filter((other) => other.id !== message.id);
    let at = others.length;
    while (at > 0 && follows(others[at - 1], message)) at--;
    others.splice(at, 0, message);
    this.messages = others;
  }

  #replace(page) {
    this.messages = [];
    for (const message of page.messages) this.#insert(message);
    this.moreBefore = page.more_before;
    this.moreAfter = page.more_after;
    this.loaded = true;
  }

  // A later fetch of the whole makes an earlier one void.
  async #fetch(kind, wanted, apply) {
    const turn = kind === "first" ? ++this.#turn : this.#turn;
    this.loading = kind;
    this.error = null;
    update();
    try {
      const page = await this.#agent.call("messages.list", { conversation: this.conversation, limit: PAGE, ...wanted });
      if (turn === this.#turn) apply(page);
    } catch (error) {
      if (turn === this.#turn) this.error = sentenceOf(error);
    } finally {
      if (turn === this.#turn) this.loading = null;
      update();
    }
  }
}

/** Whether `a` stands after `b`. */
export const follows = (a, b) => a.order > b.order || (a.order === b.order && a.id > b.id);

function firstUnread(messages, unread) {
  let left = unread;
  for (let index = messages.length - 1; index >= 0; index--) {
    const message = messages[index];
    if (message.mine || message.kind === "roster" || message.kind === "call") continue;
    if (--left === 0) return message.id;
  }
  return null;
}
