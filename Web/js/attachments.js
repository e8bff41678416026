// Attachments of messages as this page has them: fetched from the agent when they are looked at, kept as object URLs within a bound.

import { update } from "./dom.js";
import { sentenceOf } from "./notices.js";

const KEPT = 48;
const KEPT_BYTES = 256 * 1024 * 1024;
const KEPT_THUMBNAILS = 256;

export class Attachments {
  #agent;
  #entries = new Map();
  #thumbnails = new Map();

  constructor(agent) {
    this.#agent = agent;
  }

  /** `{state: "none"|"loading"|"ready"|"failed", url, blob, progress, error}` of a message's attachment. */
  of(message) {
    return this.#entries.get(message.id) ?? nothing;
  }

  /** Fetches it unless it is here; resolves with its entry. */
  load(message) {
    const known = this.#entries.get(message.id);
    if (known && known.state !== "failed") {
      this.#entries.delete(message.id);
      this.#entries.set(message.id, known);
      return known.done;
    }
    const entry = { state: "loading", url: null, blob: null, progress: 0, error: null };
    entry.done = this.#fetch(message, entry);
    this.#entries.set(message.id, entry);
    this.#trim();
    queueMicrotask(update);
    return entry.done;
  }

  async #fetch(message, entry) {
    const put = (facts) => {
      if (this.#entries.get(message.id)?.done === entry.done) this.#entries.set(message.id, Object.assign(entry, facts, { turn: (entry.turn ?? 0) + 1 }));
      update();
    };
    try {
      const blob = await this.#agent.attachment(message.conversation, message.id, (progress) => put({ progress }));
      put({ state: "ready", blob, url: URL.createObjectURL(blob), progress: 1 });
    } catch (error) {
      put({ state: "failed", error: sentenceOf(error) });
    }
    return entry;
  }

  /** The bytes of a file that was just sent need not be fetched back. */
  seed(message, blob) {
    if (this.#entries.has(message.id)) return;
    const entry = { state: "ready", url: URL.createObjectURL(blob), blob, progress: 1, error: null, turn: 1 };
    entry.done = Promise.resolve(entry);
    this.#entries.set(message.id, entry);
    this.#trim();
  }

  forget(id) {
    const entry = this.#entries.get(id);
    if (entry?.url) URL.revokeObjectURL(entry.url);
    this.#entries.delete(id);
  }

  #trim() {
    let bytes = [...this.#entries.values()].reduce((sum, entry) => sum + (entry.blob?.size ?? 0), 0);
    for (const [id, entry] of this.#entries) {
      if (this.#entries.size <= KEPT && bytes <= KEPT_BYTES) return;
      if (entry.state === "loading") continue;
      bytes -= entry.blob?.size ?? 0;
      this.forget(id);
    }
  }

  /** A URL for the small picture that came inside a message; null when there is none or it is none. */
  thumbnail(message) {
    const data = message.attachment?.thumbnail;
    if (!data) return null;
    if (!this.#thumbnails.has(message.id)) {
      this.#thumbnails.set(message.id, pictureURL(data));
      if (this.#thumbnails.size > KEPT_THUMBNAILS) {
        const [oldest, url] = this.#thumbnails.entries().next().value;
        URL.revokeObjectURL(url);
        this.#thumbnails.delete(oldest);
      }
    }
    return this.#thumbnails.get(message.id);
  }
}

const nothing = { state: "none", url: null, blob: null, progress: 0, error: null, turn: 0 };

function pictureURL(data) {
  try {
    const bytes = Uint8Array.from(atob(data.replace(/-/g, "+").replace(/_/g, "/")), (character) => character.charCodeAt(0));
    const type = bytes[0] === 0x89 ? "image/png" : bytes[0] === 0xff ? "image/jpeg" : null;
    return type ? URL.createObjectURL(new Blob([bytes], { type })) : null;
  } catch {
    return null;
  }
}

/** Hands a blob to the person as a file. */
export function saveBlob(blob, name) {
  const url = URL.createObjectURL(blob);
  Object.assign(document.createElement("a"), { href: url, download: name }).click();
  setTimeout(() => URL.revokeObjectURL(url), 10_000);
}
