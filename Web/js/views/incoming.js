// An incoming call: who, on what basis, and what can be done about it. Modal, so that it is found at once by keyboard and screen reader;
// Escape silences the ring and never declines.

import { h, update } from "../dom.js";
import { icon } from "../icons.js";
import { openDialog } from "../parts/dialog.js";
import { avatar, basis, nameOf } from "../parts/peer.js";
import { prefs } from "../prefs.js";
import { findCall } from "../store.js";
import { strings } from "../strings.js";

const text = strings.incoming;
const open = new Map();

/** Opens and closes the dialogs of incoming calls as the agent's state says. */
export function watchIncoming(app) {
  const sync = () => queueMicrotask(() => {
    const waiting = app.calls.incoming;
    for (const [session, close] of open) if (!waiting.some((call) => call.session === session)) close();
    for (const call of waiting) if (!open.has(call.session)) ringFor(app, call);
  });
  app.agent.on("call", sync);
  app.agent.on("state", sync);
}

function ringFor(app, call) {
  const { session } = call;
  const notification = notifyHidden(call);
  let closeDialog = () => {};
  open.set(session, () => closeDialog());
  openDialog({
    label: text.label, role: "alertdialog", className: "incoming", bare: true,
    onEscape: () => app.calls.silence(session),
    closed: () => { open.delete(session); notification?.close(); },
    view: (close) => {
      closeDialog = close;
      return content(app, findCall(session) ?? call, close);
    },
  });
}

function content(app, call, close) {
  const { session, peer } = call;
  const name = nameOf(peer);
  const other = app.calls.other(session);
  const silent = prefs.muteRing || app.calls.silenced.has(session);
  const answer = (mode) => () => { close(); app.calls.answer(session, mode); };
  return h("div", { key: session, class: "incoming-body" },
    h("button", { class: "icon-button silence", type: "button", "aria-label": silent ? text.silenced : text.silence, disabled: silent, onclick: () => app.calls.silence(session) }, icon(silent ? "bellOff" : "bell")),
    h("div", { class: "pulse" }, avatar(peer, "huge")),
    h("h2", {}, name),
    h("p", { class: "incoming-kind", role: "status" }, call.media.video ? text.videoLine : text.audioLine),
    basis(peer),
    other && h("p", { class: "banner" }, icon("pause"), text.willHold(nameOf(other.peer))),
    h("div", { class: "incoming-actions" },
      round("danger", "hangup", text.decline, text.captions.decline, () => { close(); app.calls.decline(session); }),
      round("", "ear", text.screen, text.captions.screen, answer("screening"), text.screenHelp),
      round(call.media.video ? "" : "answer", "phone", text.answerAudio, text.captions.audio, answer("audio"), null, !call.media.video),
      call.media.video && round("answer", "video", text.answerVideo, text.captions.video, answer("video"), null, true)),
    h("p", { class: "fine" }, text.nothingUsed, " ", text.screenHelp));
}

function round(kind, iconName, name, caption, onclick, title = null, autofocus = false) {
  return h("div", { key: name, class: "round-item" },
    h("button", { class: `round ${kind}`, type: "button", "aria-label": name, title: title ?? name, autofocus, onclick }, icon(iconName)),
    h("span", { "aria-hidden": "true" }, caption));
}

function notifyHidden(call) {
  if (!prefs.notify || !document.hidden || !("Notification" in globalThis) || Notification.permission !== "granted") return null;
  const notification = new Notification(text.title(nameOf(call.peer)), { body: call.media.video ? text.videoLine : text.audioLine, tag: call.session });
  notification.onclick = () => { window.focus(); update(); };
  return notification;
}
