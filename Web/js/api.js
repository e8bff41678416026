// The agent's local API over one WebSocket: requests with answers, events, reconnection with full-jitter backoff.
// A request made while there is no connection, or cut off by the loss of one, fails at once with a sentence; nothing is sent twice.

import { strings } from "./strings.js";

const REQUEST_SECONDS = 60;
const LONGEST_WAIT = 10_000;

export class AgentError extends Error {
  constructor(code, message) {
    super(message);
    this.name = "AgentError";
    this.code = code;
  }
}

// A blob's address belongs to this page, so nothing that a browser would run as a document keeps its type.
function safeType(type) {
  return /^(image\/(png|jpeg|gif|webp|avif|bmp)|audio\/[\w.+-]+|video\/[\w.+-]+)(;|$)/i.test(type ?? "") ? type : "application/octet-stream";
}

export class AgentClient {
  /** "connecting", "open", "waiting" (will try again) or "refused" (the token is not valid; trying again cannot help). */
  status = "connecting";
  #token;
  #socket = null;
  #pending = new Map();
  #nextID = 1;
  #attempt = 0;
  #timer = null;
  #listeners = new Map();

  constructor(token) {
    this.#token = token;
  }

  /** Calls `handler(data)` for each event of that name; `status` is raised by the client itself. */
  on(event, handler) {
    this.#listeners.set(event, [...(this.#listeners.get(event) ?? []), handler]);
  }

  start() {
    this.#connect();
    addEventListener("online", () => this.#hurry());
    document.addEventListener("visibilitychange", () => { if (!document.hidden) this.#hurry(); });
  }

  /** Sends one request; resolves with its result, rejects with an `AgentError`. */
  call(method, params = {}) {
    if (this.status !== "open") return Promise.reject(new AgentError("offline", strings.errors.agentGone));
    const id = this.#nextID++;
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => {
        this.#pending.delete(id);
        reject(new AgentError("timeout", strings.errors.agentSlow));
      }, REQUEST_SECONDS * 1000);
      this.#pending.set(id, { resolve, reject, timer });
      this.#socket.send(JSON.stringify({ id, method, params }));
    });
  }

  /** Bytes of a message's attachment, decrypted by the agent; `progress(0…1)` while they come. Rejects with an `AgentError`. */
  async attachment(conversation, message, progress = () => {}, signal = undefined) {
    const path = `/api/v1/attachments/${encodeURIComponent(conversation)}/${encodeURIComponent(message)}`;
    let reply;
    try {
      reply = await fetch(path, { headers: { authorization: `Bearer ${this.#token}` }, signal });
    } catch (error) {
      throw error.name === "AbortError" ? error : new AgentError("offline", strings.errors.agentGone);
    }
    if (!reply.ok) {
      const { error } = await reply.json().catch(() => ({}));
      throw new AgentError(error?.code ?? "internal", error?.message ?? strings.file.failed);
    }
    const total = Number(reply.headers.get("content-length")) || 0;
    const parts = [];
    let received = 0;
    for (const reader = reply.body.getReader(); ;) {
      const { done, value } = await reader.read();
      if (done) break;
      parts.push(value);
      received += value.length;
      if (total) progress(received / total);
    }
    return new Blob(parts, { type: safeType(reply.headers.get("content-type")) });
  }

  /** Hands a file to the agent; resolves with the id that `messages.attach` takes. */
  upload(blob, progress = () => {}, signal = undefined) {
    return new Promise((resolve, reject) => {
      const request = new XMLHttpRequest();
      request.open("POST", "/api/v1/uploads");
      request.setRequestHeader("authorization", `Bearer ${this.#token}`);
      request.setRequestHeader("content-type", blob.type || "application/octet-stream");
      request.responseType = "json";
      request.upload.onprogress = ({ loaded, total }) => total && progress(loaded / total);
      request.onload = () => {
        const { upload, error } = request.response ?? {};
        upload ? resolve(upload) : reject(new AgentError(error?.code ?? "internal", error?.message ?? strings.errors.unknown));
      };
      request.onerror = () => reject(new AgentError("offline", strings.errors.agentGone));
      request.onabort = () => reject(new DOMException("", "AbortError"));
      signal?.addEventListener("abort", () => request.abort());
      request.send(blob);
    });
  }

  #connect() {
    clearTimeout(this.#timer);
    this.#setStatus("connecting");
    const scheme = location.protocol === "https:" ? "wss:" : "ws:";
    const socket = new WebSocket(`${scheme}//${location.host}/api/v1/events`, ["dsip.agent.v1", `bearer.${this.#token}`]);
    this.#socket = socket;
    socket.onopen = () => {
      this.#attempt = 0;
      this.#setStatus("open");
    };
    socket.onmessage = (message) => this.#receive(message.data);
    socket.onclose = () => this.#closed(socket);
  }

  #receive(text) {
    let frame;
    try {
      frame = JSON.parse(text);
    } catch {
      return;
    }
    if (typeof frame.event === "string") return this.#emit(frame.event, frame.data);
    const waiting = this.#pending.get(frame.id);
    if (!waiting) return;
    this.#pending.delete(frame.id);
    clearTimeout(waiting.timer);
    if (frame.error) waiting.reject(new AgentError(frame.error.code, frame.error.message));
    else waiting.resolve(frame.result ?? {});
  }

  async #closed(socket) {
    if (socket !== this.#socket) return;
    this.#socket = null;
    for (const { reject, timer } of this.#pending.values()) {
      clearTimeout(timer);
      reject(new AgentError("offline", strings.errors.agentGone));
    }
    this.#pending.clear();
    this.#setStatus("waiting");
    if (await this.#isRefused()) return this.#setStatus("refused");
    const ceiling = Math.min(LONGEST_WAIT, 250 * 2 ** Math.min(this.#attempt++, 10));
    this.#timer = setTimeout(() => this.#connect(), 100 + Math.random() * ceiling);
  }

  // A failed WebSocket handshake does not tell its status, so one plain request asks whether the token is the reason.
  async #isRefused() {
    try {
      const headers = { authorization: `Bearer ${this.#token}`, "content-type": "application/json" };
      const reply = await fetch("/api/v1/state.get", { method: "POST", headers, body: "{}" });
      return reply.status === 401 || reply.status === 403;
    } catch {
      return false;
    }
  }

  #hurry() {
    if (this.status !== "waiting") return;
    this.#attempt = 0;
    this.#connect();
  }

  #setStatus(status) {
    if (this.status === status) return;
    this.status = status;
    this.#emit("status", status);
  }

  #emit(event, data) {
    for (const handler of this.#listeners.get(event) ?? []) {
      try {
        handler(data);
      } catch (error) {
        console.error(error);
      }
    }
  }
}
