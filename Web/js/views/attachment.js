// What hangs on a message: pictures, films, sounds and files. Pictures come when they are looked at, the rest when it is asked for.

import { saveBlob } from "../attachments.js";
import { h, update } from "../dom.js";
import { duration, size } from "../format.js";
import { icon } from "../icons.js";
import { memberName } from "../messages.js";
import { notify } from "../notices.js";
import { voice } from "../parts/voice.js";
import { store } from "../store.js";
import { strings } from "../strings.js";
import { openViewer } from "./viewer.js";

const text = strings.file;
const LOADED_UNASKED = 12 * 1024 * 1024;
const WIDEST = 320;
const TALLEST = 360;

export function attachmentView(app, conversation, message) {
  const name = memberName(conversation, message.sender);
  switch (message.kind) {
    case "image": return picture(app, conversation, message, name);
    case "video": return film(app, message, name);
    case "audio": return sound(app, message, name);
    default: return file(app, message);
  }
}

export const attachmentName = ({ attachment, kind }) => attachment.name || text.unnamed[kind] || text.unnamed.file;

/** Fetches an attachment and hands it over as a file. */
export async function saveAttachment(app, message) {
  const entry = await app.messages.attachments.load(message);
  if (entry.state === "failed") notify("error", entry.error);
  else if (entry.blob) saveBlob(entry.blob, withEnding(attachmentName(message), message));
}

const endings = { "image/jpeg": ".jpg", "image/png": ".png", "image/webp": ".webp", "image/gif": ".gif", "audio/ogg": ".ogg", "video/webm": ".webm", "video/mp4": ".mp4" };
const withEnding = (name, { attachment }) => (/\.\w{1,5}$/.test(name) ? name : name + (endings[attachment.content_type.split(";")[0]] ?? ""));

/** The size a picture is drawn in, in pixels; known before it is there, so that nothing jumps. */
function box({ width, height }) {
  if (!width || !height) return { width: "240px", "aspect-ratio": "4 / 3" };
  const scale = Math.min(1, WIDEST / width, TALLEST / height);
  return { width: `${Math.max(96, Math.round(width * scale))}px`, "aspect-ratio": `${Math.max(width, 1)} / ${Math.min(Math.max(height, 1), width * 4)}` };
}

const unasked = ({ attachment }) => attachment.size <= LOADED_UNASKED && attachment.state !== "uploading";

function picture(app, conversation, message, name) {
  const { attachments } = app.messages;
  const entry = attachments.of(message);
  const thumbnail = attachments.thumbnail(message);
  const load = () => attachments.load(message);
  if (looked.has(message.id) && unasked(message) && entry.state === "none") queueMicrotask(load);
  return h("div", { key: "picture", class: "picture", style: box(message.attachment), "data-picture": message.id, created: (element) => watcher.observe(element), removed: (element) => { watcher.unobserve(element); looked.delete(message.id); } },
    thumbnail && !entry.url && h("img", { key: "thumbnail", class: "thumbnail", src: thumbnail, alt: "" }),
    entry.url
      ? h("button", { key: "open", type: "button", class: "picture-open", "aria-label": text.view(text.picture(name)), onclick: () => openViewer(app, conversation, message) }, h("img", { src: entry.url, alt: text.picture(name) }))
      : cover(message, entry, text.picture(name), load));
}

function film(app, message, name) {
  const { attachments } = app.messages;
  const entry = attachments.of(message);
  const thumbnail = attachments.thumbnail(message);
  return h("div", { key: "film", class: "picture film", style: box(message.attachment) },
    thumbnail && !entry.url && h("img", { key: "thumbnail", class: "thumbnail", src: thumbnail, alt: "" }),
    entry.url
      ? h("video", { key: "video", src: entry.url, controls: true, playsinline: true, "aria-label": text.video(name), created: (element) => element.play().catch(() => {}) })
      : cover(message, entry, text.video(name), () => attachments.load(message), "play"),
    !entry.url && message.attachment.duration_ms && h("span", { key: "length", class: "film-length tabular" }, duration(message.attachment.duration_ms / 1000)));
}

// What stands over a picture that is not here: how far it is, or the button that fetches it.
function cover(message, entry, name, load, iconName = "download") {
  const moving = progressOf(message, entry);
  if (moving !== null) return h("span", { key: "moving", class: "cover", role: "status", "aria-label": message.mine && entry.state !== "loading" ? text.uploading(moving) : text.loading(name, moving) }, h("span", { class: "ring tabular" }, `${moving} %`));
  const failed = entry.state === "failed" || message.attachment.state === "failed";
  if (!failed && unasked(message) && message.kind === "image") return null;
  return h("button", { key: "load", type: "button", class: "cover", "aria-label": failed ? text.again(name) : message.kind === "video" ? strings.recording.playName(name) : text.load(name), onclick: load },
    h("span", { class: "ring" }, icon(failed ? "warning" : iconName)), failed ? h("span", { class: "cover-text" }, entry.error ?? text.failed) : iconName === "download" && h("span", { class: "cover-text" }, size(message.attachment.size)));
}

/** Percent of what is under way, or null. */
function progressOf({ attachment }, entry) {
  if (entry.state === "loading") return Math.round(100 * Math.max(entry.progress, attachment.state === "downloading" ? attachment.progress ?? 0 : 0));
  if (attachment.state === "uploading" || attachment.state === "downloading") return Math.round(100 * (attachment.progress ?? 0));
  return null;
}

function sound(app, message, name) {
  const { attachment } = message;
  const spoken = message.purpose === "voice-message" || message.purpose === "voicemail";
  const title = message.purpose === "voicemail" ? strings.messages.kinds.voicemail : spoken ? null : attachmentName(message);
  const open = async () => {
    const entry = await app.messages.attachments.load(message);
    if (entry.state === "failed") throw new Error(entry.error);
    app.messages.played(message);
    return entry.url;
  };
  const moving = progressOf(message, app.messages.attachments.of(message));
  return h("div", { key: "sound", class: "sound" },
    title && h("p", { class: "sound-title" }, icon(message.purpose === "voicemail" ? "recents" : "speaker"), title),
    voice({ id: message.id, name: title ?? text.voice(name), duration_ms: attachment.duration_ms, waveform: attachment.waveform, open, fresh: !message.mine && spoken && !message.receipts?.some(({ did, played_at: at }) => at && did === store.state.identity.did) }),
    moving !== null && attachment.state === "uploading" && h("p", { class: "help" }, text.uploading(moving)));
}

const READ_UNASKED = 256 * 1024;
const SHOWN_AT_FIRST = 1200;
/** Ids of messages whose text is shown to its end. */
const opened = new Set();

const isText = ({ attachment }) => attachment.content_type.split(";")[0].trim().toLowerCase() === "text/plain" && attachment.size <= READ_UNASKED;

// The words of a file of text, as far as they are here; fetched when the message is drawn.
function words(app, message) {
  const entry = app.messages.attachments.of(message);
  if (entry.state === "none" && message.attachment.state !== "uploading" && message.attachment.state !== "failed") queueMicrotask(() => app.messages.attachments.load(message));
  if (entry.state !== "ready") return null;
  if (entry.words === undefined) {
    entry.words = null;
    entry.blob.text().then((all) => { entry.words = all; entry.turn = (entry.turn ?? 0) + 1; update(); });
  }
  return entry.words;
}

function file(app, message) {
  const all = isText(message) ? words(app, message) : null;
  if (all === null) return fileLine(app, message);
  const whole = all.length <= SHOWN_AT_FIRST || opened.has(message.id);
  const turn = () => { opened.has(message.id) ? opened.delete(message.id) : opened.add(message.id); const entry = app.messages.attachments.of(message); entry.turn = (entry.turn ?? 0) + 1; update(); };
  return h("div", { key: "file" },
    h("p", { key: "words", class: "words-text", dir: "auto" }, whole ? all : `${all.slice(0, SHOWN_AT_FIRST)}…`),
    all.length > SHOWN_AT_FIRST && h("button", { key: "whole", class: "button small quiet", type: "button", "aria-expanded": whole ? "true" : "false", onclick: turn }, whole ? text.lessText : text.wholeText),
    fileLine(app, message));
}

function fileLine(app, message) {
  const { attachment } = message;
  const name = attachmentName(message);
  const entry = app.messages.attachments.of(message);
  const moving = progressOf(message, entry);
  const failed = entry.state === "failed" ? entry.error : attachment.state === "failed" ? text.failed : null;
  return h("div", { key: "line", class: "file" },
    h("button", { type: "button", class: "file-open", "aria-label": text.save(name), disabled: moving !== null, onclick: () => saveAttachment(app, message) }, icon(moving !== null ? "clockMark" : "file")),
    h("div", { class: "file-text" }, h("strong", {}, name),
      h("span", { class: failed ? "danger" : "", role: moving !== null ? "status" : null }, moving !== null ? (message.mine && entry.state !== "loading" ? text.uploading(moving) : text.loading(name, moving)) : failed ?? size(attachment.size)),
      moving !== null && h("progress", { max: "100", value: moving, "aria-label": name })));
}

/** Ids of messages whose pictures are on the screen or near it. */
const looked = new Set();
const watcher = new IntersectionObserver((entries) => {
  for (const { isIntersecting, target } of entries) isIntersecting ? looked.add(target.dataset.picture) : looked.delete(target.dataset.picture);
  update();
}, { rootMargin: "400px" });

export const isLookedAt = (id) => looked.has(id);
