// The place to write: text that grows, files, a recording, a reply or an edit above it, and names to mention.

import { h, update } from "../dom.js";
import { duration, size } from "../format.js";
import { icon } from "../icons.js";
import { lineOf, memberName, others } from "../messages.js";
import { dialogOpen } from "../parts/dialog.js";
import { bars, voice } from "../parts/voice.js";
import { strings } from "../strings.js";
import { openEnclose } from "./enclose.js";

const text = strings.composer;
const SUGGESTED = 6;
const TALLEST = 168;

export function composerView(app, conversation, title) {
  const composer = app.messages.composer(conversation);
  return h("div", { key: "foot", class: "composer" },
    above(composer, conversation),
    tray(composer),
    composer.recorder || composer.recording ? recording(composer) : row(app, composer, conversation, title));
}

function above(composer, conversation) {
  const { reply, editing } = composer;
  if (!reply && !editing) return null;
  return h("div", { key: "above", class: "above" }, icon(editing ? "edit" : "reply"),
    h("div", { class: "row-text" }, h("strong", {}, editing ? text.editing : text.replyTo(memberName(conversation, reply.sender))), h("span", { class: "muted" }, lineOf(editing ?? reply))),
    h("button", { class: "icon-button small", type: "button", "aria-label": editing ? text.cancelEdit : text.cancelReply, onclick: () => (editing ? composer.stopEditing() : composer.replyTo(null)) }, icon("close")));
}

function tray(composer) {
  if (!composer.files.length) return null;
  return h("ul", { key: "tray", class: "tray", role: "list", "aria-label": text.files }, composer.files.map((file) => h("li", { key: file.id },
    file.url ? h("img", { src: file.url, alt: "" }) : h("span", { class: "tray-mark" }, icon(file.kind === "video" ? "video" : file.kind === "audio" ? "speaker" : "file")),
    h("span", { class: "tray-text" }, h("strong", {}, file.name), h("span", { class: "muted" }, file.progress === null ? size(file.blob.size) : strings.file.uploading(Math.round(file.progress * 100)))),
    h("button", { class: "icon-button small", type: "button", "aria-label": text.removeFile(file.name), onclick: () => composer.removeFile(file) }, icon("close")))));
}

function row(app, composer, conversation, title) {
  const names = suggestions(composer, conversation);
  const send = () => composer.send();
  const field = {
    key: "field", rows: "1", value: composer.text, placeholder: text.placeholder, "aria-label": composer.editing ? text.editing : text.label(title), dir: "auto", enterkeyhint: "send",
    "aria-autocomplete": conversation.kind === "group" ? "list" : null, "aria-controls": names.length ? "names" : null, "aria-activedescendant": names.length ? `name-${state.chosen}` : null,
    created: (element) => setTimeout(() => { grow(element); if (innerWidth > 760 && !dialogOpen()) element.focus({ preventScroll: true }); }),
    oninput: (event) => { state.caret = event.target.selectionStart; state.chosen = 0; state.dismissed = false; composer.write(event.target.value); queueMicrotask(() => grow(event.target)); },
    onkeyup: (event) => { if (state.caret !== event.target.selectionStart && conversation.kind === "group") { state.caret = event.target.selectionStart; update(); } },
    onkeydown: (event) => keys(event, app, composer, conversation, names, send),
    onpaste: (event) => { if (event.clipboardData.files.length) { event.preventDefault(); composer.addFiles(event.clipboardData.files); } },
  };
  return [
    names.length > 0 && h("ul", { key: "names", id: "names", class: "names", role: "listbox", "aria-label": text.mentions }, names.map((member, index) => h("li", {
      key: member.did, id: `name-${index}`, role: "option", "aria-selected": index === state.chosen ? "true" : "false", "aria-label": text.mention(memberName(conversation, member.did)),
      onmousedown: (event) => { event.preventDefault(); insert(composer, conversation, member, event.currentTarget.closest(".composer").querySelector("textarea")); },
    }, memberName(conversation, member.did)))),
    h("form", { key: "row", class: "composer-row", onsubmit: (event) => { event.preventDefault(); send(); } },
      !composer.editing && h("label", { key: "attach", class: "icon-button attach", title: text.attach }, icon("clip"),
        h("input", { type: "file", multiple: true, "aria-label": text.attach, onchange: (event) => { composer.addFiles(event.target.files); event.target.value = ""; } })),
      !composer.editing && h("button", { key: "more", class: "icon-button", type: "button", "aria-label": text.more, title: text.more, onclick: () => openEnclose(app, conversation) }, icon("plus")),
      h("textarea", field),
      composer.empty && !composer.editing && !composer.sending
        ? h("button", { key: "voice", class: "icon-button accent", type: "button", "aria-label": text.voice, onclick: () => composer.record() }, icon("mic"))
        : h("button", { key: "send", class: "icon-button send", type: "submit", "aria-label": composer.editing ? text.saveEdit : text.send, disabled: composer.sending || composer.empty, onmousedown: (event) => event.preventDefault() }, icon(composer.editing ? "check" : "send"))),
  ];
}

// The field is as high as its text, up to a bound; beyond it scrolls.
function grow(element) {
  element.style.setProperty("height", "auto");
  element.style.setProperty("height", `${Math.min(TALLEST, element.scrollHeight + 2)}px`);
}

function keys(event, app, composer, conversation, names, send) {
  if (event.isComposing) return;
  if (names.length) {
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (step) state.chosen = (state.chosen + step + names.length) % names.length;
    else if (event.key === "Enter" || event.key === "Tab") insert(composer, conversation, names[state.chosen], event.target);
    else if (event.key === "Escape") state.dismissed = true;
    else return;
    event.preventDefault();
    return update();
  }
  if (event.key === "Enter" && !event.shiftKey) {
    event.preventDefault();
    send();
    setTimeout(() => grow(event.target), 0);
  } else if (event.key === "Escape" && (composer.editing || composer.reply)) {
    composer.editing ? composer.stopEditing() : composer.replyTo(null);
  } else if (event.key === "ArrowUp" && composer.text === "") {
    const mine = app.messages.timeline(conversation).messages.findLast((message) => message.mine && message.kind === "text" && !message.retracted && message.state !== "pending" && message.state !== "failed");
    if (!mine) return;
    event.preventDefault();
    composer.edit(mine);
  }
}

// MARK: Names

const state = { caret: 0, chosen: 0, dismissed: false };
const PREFIX = /(?:^|\s)@([^@\n]{0,32})$/u;

function suggestions(composer, conversation) {
  if (conversation.kind !== "group" || state.dismissed || composer.editing) return [];
  const found = PREFIX.exec(composer.text.slice(0, state.caret));
  if (!found) return [];
  const wanted = found[1].toLowerCase();
  return others(conversation).filter((member) => memberName(conversation, member.did).toLowerCase().startsWith(wanted) && memberName(conversation, member.did).toLowerCase() !== wanted.trimEnd()).slice(0, SUGGESTED);
}

function insert(composer, conversation, member, element) {
  const name = memberName(conversation, member.did);
  const before = composer.text.slice(0, state.caret).replace(PREFIX, (whole) => `${whole.slice(0, whole.indexOf("@"))}@${name} `);
  composer.mention(member.did, name, before + composer.text.slice(state.caret));
  state.caret = before.length;
  state.chosen = 0;
  queueMicrotask(() => { element.focus(); element.setSelectionRange(state.caret, state.caret); });
}

// MARK: Voice

function recording(composer) {
  const { recorder, recording: done } = composer;
  const words = strings.recording;
  return h("div", { key: "recording", class: "recording", role: "group", "aria-label": words.label },
    h("button", { key: "discard", class: "icon-button", type: "button", "aria-label": words.discard, onclick: () => composer.discardRecording() }, icon("trash")),
    done
      ? h("div", { key: "ready", class: "grow" }, voice({ id: done.id, name: words.ready, duration_ms: done.duration_ms, waveform: done.waveform, open: async () => done.url }))
      : h("div", { key: "live", class: "live" }, h("span", { class: "live-dot", "aria-hidden": "true" }), h("span", { class: "tabular", role: "timer", "aria-label": words.time }, duration(recorder.seconds)), bars(padded(recorder.levels))),
    !done && h("button", { key: "stop", class: "icon-button", type: "button", "aria-label": words.stop, created: (element) => setTimeout(() => element.focus()), onclick: () => composer.stopRecording() }, icon("stopMark")),
    h("button", { key: "send", class: "icon-button send", type: "button", "aria-label": words.send, disabled: composer.sending, onclick: () => composer.sendRecording() }, icon("send")));
}

const padded = (levels) => [...Array(48 - levels.length).fill(0), ...levels.map((level) => level * 100)];

// MARK: Dropping files

/** What makes an element take files; the class `dropping` is on it while they hang over it. */
export function dropTarget(app, conversation) {
  const takes = (event) => event.dataTransfer?.types.includes("Files") && !conversation.request && !conversation.self_removed;
  const mark = (event, on) => event.currentTarget.classList.toggle("dropping", on);
  return {
    "data-drop": text.drop,
    ondragover: (event) => { if (takes(event)) { event.preventDefault(); mark(event, true); } },
    ondragleave: (event) => { if (!event.currentTarget.contains(event.relatedTarget)) mark(event, false); },
    ondrop: (event) => { if (!takes(event)) return; event.preventDefault(); mark(event, false); app.messages.composer(conversation).addFiles(event.dataTransfer.files); },
  };
}
