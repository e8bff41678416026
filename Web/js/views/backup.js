// Backup: the 24 words, shown only when asked for and then checked; the encrypted file; and the way back from both.

import { h, update } from "../dom.js";
import { icon } from "../icons.js";
import { notify } from "../notices.js";
import { form, formState, openDialog, stay } from "../parts/dialog.js";
import { textField } from "../parts/fields.js";
import { store } from "../store.js";
import { strings } from "../strings.js";

const text = strings.backup;
const WORDS = 24;
const LARGEST_FILE = 180 * 1024;
const SHORTEST_PASSPHRASE = 8;

export function backupView(app) {
  const { identity } = store.state;
  return h("div", { class: "page" },
    h("header", { class: "view-header" }, h("h1", {}, text.title)),
    h("p", { class: "lead" }, text.text),
    section("key", text.phraseTitle, text.phraseText,
      h("p", { class: identity.phrase_confirmed ? "state ok" : "state warn" }, icon(identity.phrase_confirmed ? "check" : "warning"), identity.phrase_confirmed ? text.confirmedState : text.unconfirmedState),
      h("button", { class: "button primary", type: "button", onclick: () => openPhrase(app) }, text.phraseShow)),
    section("download", text.exportTitle, text.exportText, h("button", { class: "button", type: "button", onclick: () => openExport(app) }, text.exportGo)),
    section("upload", text.restoreTitle, text.restoreText,
      h("button", { class: "button", type: "button", onclick: () => openRestoreWords(app) }, text.restoreWords),
      h("button", { class: "button", type: "button", onclick: () => openRestoreFile(app) }, text.restoreFile)));
}

function section(iconName, title, words, ...actions) {
  return h("section", { class: "card" }, h("h2", {}, icon(iconName), title), h("p", {}, words), h("div", { class: "actions start" }, actions));
}

async function openPhrase(app) {
  const state = { ...formState(), step: "ask", passphrase: "", needsPassphrase: false, words: [], wanted: [] };
  const show = async () => {
    try {
      state.words = (await app.agent.call("identity.phrase", state.passphrase ? { passphrase: state.passphrase } : {})).words;
    } catch (error) {
      if (error.code === "wrong-passphrase" && !state.needsPassphrase) {
        state.needsPassphrase = true;
        return stay;
      }
      throw error;
    }
    state.passphrase = "";
    state.step = "words";
    return stay;
  };
  const check = async () => {
    const words = Object.fromEntries(state.wanted.map((index) => [index + 1, state[`word${index}`].trim().toLowerCase()]));
    if (state.wanted.some((index) => words[index + 1] !== state.words[index])) throw new Error(text.wrongWords);
    await app.agent.call("identity.phrase.confirm", { words });
    return true;
  };
  const steps = {
    ask: (close) => form(state, { submit: show, done: close, label: text.phraseShow, cancel: () => close() },
      h("p", { class: "banner warn" }, icon("warning"), text.phraseWarn),
      state.needsPassphrase && textField(state, "passphrase", { label: text.passphrase, help: text.passphraseAsk, type: "password", autocomplete: "current-password" })),
    words: (close) => form(state, { submit: async () => { state.wanted = threeOf(WORDS); state.step = "check"; return stay; }, label: text.phraseHave, extra: h("button", { class: "button", type: "button", onclick: () => close() }, text.phraseHide) },
      h("ol", { class: "phrase", "aria-label": text.phraseList }, state.words.map((word, index) => h("li", { key: index }, word)))),
    check: (close) => form(state, { submit: check, done: close, label: text.confirmGo, extra: h("button", { class: "button", type: "button", onclick: () => { state.step = "words"; state.error = null; update(); } }, strings.common.back) },
      h("p", {}, text.confirmText),
      state.wanted.map((index) => textField(state, `word${index}`, { key: index, label: text.word(index + 1), autocapitalize: "none" }))),
  };
  const confirmed = await openDialog({ title: () => (state.step === "check" ? text.confirmTitle : text.phraseTitle), view: (close) => h("div", { key: state.step }, steps[state.step](close)), closed: () => { state.words = []; } });
  if (confirmed) notify("info", text.confirmed);
}

function threeOf(count) {
  const chosen = new Set();
  while (chosen.size < 3) chosen.add(crypto.getRandomValues(new Uint32Array(1))[0] % count);
  return [...chosen].sort((a, b) => a - b);
}

async function openExport(app) {
  const state = { ...formState(), passphrase: "", repeat: "" };
  const save = async () => {
    if (state.passphrase.length < SHORTEST_PASSPHRASE) throw new Error(text.tooShort);
    if (state.passphrase !== state.repeat) throw new Error(text.mismatch);
    const { backup, filename } = await app.agent.call("identity.export", { passphrase: state.passphrase });
    download(Uint8Array.from(atob(backup), (character) => character.charCodeAt(0)), filename);
    return filename;
  };
  const filename = await openDialog({
    title: text.exportDialog, className: "narrow",
    view: (close) => form(state, { submit: save, done: close, label: text.exportGo, cancel: () => close(), disabled: !state.passphrase },
      h("p", {}, text.exportText),
      textField(state, "passphrase", { label: text.newPassphrase, type: "password", autocomplete: "new-password", autofocus: true, changed: update }),
      textField(state, "repeat", { label: text.repeat, type: "password", autocomplete: "new-password" })),
  });
  if (filename) notify("info", text.exported(filename));
}

function download(bytes, filename) {
  const url = URL.createObjectURL(new Blob([bytes], { type: "application/octet-stream" }));
  const anchor = Object.assign(document.createElement("a"), { href: url, download: filename });
  anchor.click();
  setTimeout(() => URL.revokeObjectURL(url), 10_000);
}

export async function openRestoreWords(app) {
  const state = { ...formState(), words: "", name: "" };
  const identity = await openDialog({
    title: text.restoreWordsTitle,
    view: (close) => {
      const words = state.words.trim().toLowerCase().split(/\s+/).filter(Boolean);
      return form(state, { submit: () => app.agent.call("identity.restore", { words, name: state.name.trim() }), done: close, label: text.restoreGo, cancel: () => close(), disabled: words.length !== WORDS || !state.name.trim() },
        textField(state, "words", { label: text.wordsField, help: text.wordsCount(words.length), multiline: true, rows: "4", autofocus: true, autocapitalize: "none", changed: update }),
        textField(state, "name", { label: text.nameField, maxlength: "64", changed: update }));
    },
  });
  if (identity) notify("info", text.restored(identity.name));
}

export async function openRestoreFile(app) {
  const state = { ...formState(), file: null, passphrase: "" };
  const restore = async () => {
    if (state.file.size > LARGEST_FILE) throw new Error(text.fileTooLarge);
    let binary = "";
    for (const byte of new Uint8Array(await state.file.arrayBuffer())) binary += String.fromCharCode(byte);
    return app.agent.call("identity.import", { backup: btoa(binary), passphrase: state.passphrase });
  };
  const identity = await openDialog({
    title: text.fileTitle, className: "narrow",
    view: (close) => form(state, { submit: restore, done: close, label: text.restoreGo, cancel: () => close(), disabled: !state.file || !state.passphrase },
      h("div", { class: "field" }, h("label", { for: "backup-file" }, text.fileField), h("input", { id: "backup-file", type: "file", onchange: (event) => { state.file = event.target.files[0] ?? null; update(); } })),
      textField(state, "passphrase", { label: text.filePassphrase, type: "password", autocomplete: "off", changed: update })),
  });
  if (identity) notify("info", text.restored(identity.name));
}
