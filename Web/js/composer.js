// What is being written in one conversation: text kept as a draft, a reply or an edit, files, a recording, mentions. The view is views/composer.js.

import { update } from "./dom.js";
import { facts, MOST, prepare } from "./files.js";
import { notify, notifyError } from "./notices.js";
import { release } from "./player.js";
import { Recorder } from "./recorder.js";
import { findConversation, store } from "./store.js";
import { strings } from "./strings.js";

const DRAFT_DELAY = 600;
const TYPING_EVERY = 4000;
const TYPING_QUIET = 5000;
const LONGEST_TEXT = 16_384;

export class Composer {
  text = "";
  /** The message that is answered, or changed. */
  reply = null;
  editing = null;
  /** Files of `prepare`, waiting to be sent. */
  files = [];
  /** A `Recorder` while it records, and what came of it. */
  recorder = null;
  recording = null;
  sending = false;
  #agent;
  #messages;
  #id;
  #mentions = [];
  #draftTimer = null;
  #typingTimer = null;
  #typed = 0;
  #number = 1;

  constructor(agent, messages, conversation) {
    this.#agent = agent;
    this.#messages = messages;
    this.#id = conversation.id;
    this.text = conversation.draft ?? "";
  }

  get empty() {
    return !this.text.trim() && !this.files.length;
  }

  close() {
    this.recorder?.discard();
    this.discardRecording();
    for (const file of this.files) this.#drop(file);
    clearTimeout(this.#draftTimer);
  }

  // MARK: Text

  write(text) {
    this.text = text;
    if (!this.editing) {
      this.#saveDraft();
      text.trim() ? this.#active("typing") : this.#quiet();
    }
    update();
  }

  /** Somebody chosen from the list of names; `text` already has the name in it. */
  mention(did, name, text) {
    if (!this.#mentions.some((known) => known.did === did)) this.#mentions.push({ did, name });
    this.write(text);
  }

  replyTo(message) {
    this.stopEditing();
    this.reply = message;
    update();
  }

  edit(message) {
    this.reply = null;
    this.editing = message;
    this.text = message.text;
    this.#mentions = [];
    update();
  }

  stopEditing() {
    if (!this.editing) return;
    this.editing = null;
    this.text = findConversation(this.#id)?.draft ?? "";
    update();
  }

  // MARK: Sending

  async send() {
    const text = this.text.trim();
    if (this.sending || this.empty) return;
    const isLong = new TextEncoder().encode(text).length > LONGEST_TEXT;
    if (this.editing) return isLong ? notify("warning", strings.composer.tooLong) : this.#saveEdit(text);
    const before = { text: this.text, reply: this.reply, files: this.files };
    const reply_to = this.reply?.id;
    this.sending = true;
    this.text = "";
    this.reply = null;
    this.#quiet();
    this.#saveDraft(0);
    update();
    try {
      // One file takes the text as its caption; beside several the text is a message of its own.
      const caption = before.files.length === 1 && !isLong ? text : "";
      for (const file of [...before.files]) {
        await this.#attach(file, { ...(caption ? { text: caption } : {}), ...(reply_to && file === before.files[0] ? { reply_to } : {}) });
      }
      if (text && !caption) await (isLong ? this.#sendLongText(text, before.files.length ? undefined : reply_to) : this.#sendText(text, before.files.length ? undefined : reply_to));
      this.#mentions = [];
    } catch (error) {
      if (!this.text) this.text = before.text;
      this.reply ??= before.reply;
      this.#saveDraft(0);
      if (error.name !== "AbortError") notifyError(error);
    } finally {
      this.sending = false;
      update();
    }
  }

  async #sendText(text, reply_to) {
    const mentions = placed(text, this.#mentions);
    this.#messages.sent(await this.#agent.call("messages.send", { conversation: this.#id, text, ...(reply_to ? { reply_to } : {}), ...(mentions.length ? { mentions } : {}) }));
  }

  /** More than a message takes: a file of text, which is shown as text. */
  async #sendLongText(text, reply_to) {
    const file = await prepare(new File([text], strings.file.textName, { type: "text/plain" }), 0);
    await this.#attach(file, reply_to ? { reply_to } : {});
  }

  /** A place or a person: `facts` are those of `messages.send`. */
  async sendFacts(facts) {
    const reply_to = this.reply?.id;
    this.#messages.sent(await this.#agent.call("messages.send", { conversation: this.#id, ...facts, ...(reply_to ? { reply_to } : {}) }));
    this.reply = null;
    update();
  }

  async #saveEdit(text) {
    const message = this.editing;
    if (text === message.text || !text) return this.stopEditing();
    this.sending = true;
    const changed = await this.#messages.act("messages.edit", { id: message.id, text });
    this.sending = false;
    if (changed) this.stopEditing();
    update();
  }

  async #attach(file, more) {
    file.progress = 0;
    this.#active("uploading");
    file.abort = new AbortController();
    try {
      const upload = await this.#agent.upload(file.blob, (progress) => { file.progress = progress; update(); }, file.abort.signal);
      const message = await this.#agent.call("messages.attach", { conversation: this.#id, upload, ...facts(file), ...more });
      this.#drop(file);
      this.#messages.attachments.seed(message, file.blob);
      this.#messages.sent(message);
    } finally {
      file.progress = null;
      this.#quiet();
      update();
    }
  }

  // MARK: Files

  async addFiles(list) {
    const room = MOST - this.files.length;
    const files = [...list];
    if (files.length > room) notify("warning", strings.composer.tooMany(MOST));
    for (const file of files.slice(0, Math.max(0, room))) {
      try {
        this.files = [...this.files, await prepare(file, this.#number++)];
      } catch (error) {
        notifyError(error);
      }
      update();
    }
  }

  removeFile(file) {
    file.abort?.abort();
    this.#drop(file);
    update();
  }

  #drop(file) {
    this.files = this.files.filter((other) => other !== file);
    if (file.url) URL.revokeObjectURL(file.url);
    file.url = null;
  }

  // MARK: Voice

  async record() {
    if (this.recorder || this.recording) return;
    try {
      this.recorder = await Recorder.start({ full: () => this.stopRecording() });
      this.#active("recording-audio");
    } catch (error) {
      notifyError(error);
    }
    update();
  }

  async stopRecording() {
    const { recorder } = this;
    if (!recorder) return null;
    this.recorder = null;
    this.#quiet();
    try {
      const { blob, duration_ms, waveform } = await recorder.stop();
      this.recording = { id: crypto.randomUUID(), blob, url: URL.createObjectURL(blob), kind: "audio", purpose: "voice-message", content_type: blob.type, duration_ms, waveform, progress: null };
    } catch (error) {
      notifyError(error);
    }
    update();
    return this.recording;
  }

  async sendRecording() {
    const recording = this.recording ?? (await this.stopRecording());
    if (!recording || this.sending) return;
    this.sending = true;
    update();
    try {
      const reply_to = this.reply?.id;
      await this.#attach(recording, reply_to ? { reply_to } : {});
      this.reply = null;
      release(recording.id);
      this.recording = null;
    } catch (error) {
      notifyError(error);
    } finally {
      this.sending = false;
      update();
    }
  }

  discardRecording() {
    this.recorder?.discard();
    this.recorder = null;
    if (this.recording) {
      release(this.recording.id);
      URL.revokeObjectURL(this.recording.url);
    }
    this.recording = null;
    this.#quiet();
    update();
  }

  // MARK: What the agent is told meanwhile

  #saveDraft(delay = DRAFT_DELAY) {
    clearTimeout(this.#draftTimer);
    this.#draftTimer = setTimeout(() => {
      const known = findConversation(this.#id);
      if (known && (known.draft ?? "") !== this.text) this.#agent.call("conversations.update", { id: this.#id, draft: this.text }).catch(() => {});
    }, delay);
  }

  #active(activity) {
    if (!store.state?.messaging?.typing) return;
    clearTimeout(this.#typingTimer);
    this.#typingTimer = activity === "typing" ? setTimeout(() => this.#quiet(), TYPING_QUIET) : setInterval(() => this.#tell(activity, "active"), TYPING_EVERY);
    if (Date.now() - this.#typed < TYPING_EVERY && activity === "typing") return;
    this.#tell(activity, "active");
  }

  #quiet() {
    clearTimeout(this.#typingTimer);
    clearInterval(this.#typingTimer);
    if (this.#typed) this.#tell(this.activity, "stopped");
    this.#typed = 0;
  }

  #tell(activity, state) {
    this.#typed = Date.now();
    this.activity = activity;
    this.#agent.call("messages.typing", { conversation: this.#id, activity, state }).catch(() => {});
  }
}

/** Where each chosen name stands in `text`, in Unicode scalars, as `mentions` of `messages.send` has it. */
export function placed(text, chosen) {
  const found = [];
  for (const { did, name } of [...chosen].sort((a, b) => b.name.length - a.name.length)) {
    const word = `@${name}`;
    for (let at = text.indexOf(word); at >= 0; at = text.indexOf(word, at + word.length)) {
      const start = [...text.slice(0, at)].length;
      const length = [...word].length;
      if (!found.some((other) => start < other.start + other.length && other.start < start + length)) found.push({ did, start, length });
    }
  }
  return found.sort((a, b) => a.start - b.start).slice(0, 64);
}
