// A call that fills the page: before the answer its progress, then full-bleed picture with the controls, at the end why it ended.

import { h, update } from "../dom.js";
import { duration, now } from "../format.js";
import { icon } from "../icons.js";
import { canShareScreen } from "../media.js";
import { attempt } from "../notices.js";
import { dialogOpen } from "../parts/dialog.js";
import { addressOf } from "../store.js";
import { avatar, basis, nameOf } from "../parts/peer.js";
import { progressList } from "../parts/progress.js";
import { prefs } from "../prefs.js";
import { strings } from "../strings.js";
import { openOptions } from "./options.js";
import { openSendRequest } from "./requests.js";
import { openVoicemail, voicemailOffer } from "./voicemail.js";

const text = strings.call;
const POOR_LOSS = 0.08;
// The keyboard moves with the page when a call takes it over.
const focused = { tabindex: "-1", created: (element) => element.focus({ preventScroll: true }) };
/** Streams whose picture is shown whole, by id. */
const whole = new Set();

export function callScreen(app, call) {
  if (!call) return placingScreen(app, app.calls.placing);
  const name = nameOf(call.peer);
  const media = app.calls.media(call.session);
  if (call.state === "ended") return endedScreen(app, call, name);
  const talking = call.state === "active";
  return h("main", { key: "call", ...focused, class: `call ${talking ? "call-active" : "call-before"}`, "aria-label": text.region(name) },
    stage(call, media, name, talking),
    h("header", { key: "top", class: "call-top" },
      h("button", { class: "icon-button", type: "button", "aria-label": text.minimise, onclick: () => app.calls.minimise() }, icon("back")),
      h("div", { class: "call-who" }, h("h1", {}, name),
        h("p", { class: "call-state" },
          call.answered_at && h("span", { class: "tabular", role: "timer", "aria-label": text.timer }, duration(now() - call.answered_at)),
          h("span", { role: "status", "aria-live": "polite" }, statusLine(app, call, media, name))))),
    notes(call, media, name),
    others(app, call),
    !talking && h("div", { key: "before", class: "call-panel" }, h("div", { class: "call-person" }, avatar(call.peer, "huge"), basis(call.peer)), progressList(call)),
    controls(app, call, media, name));
}

function stage(call, media, name, talking) {
  const hidden = call.remote_held || media?.held;
  const screen = talking && !hidden ? media?.remoteScreen : null;
  const camera = talking && !hidden ? media?.remoteCamera : null;
  const local = media?.localCamera && !media.held ? media.localCamera : null;
  const main = screen ?? camera;
  return h("div", { key: "stage", class: "stage" },
    main && whole.has(main.id) && video("backdrop", main, null, "backdrop"),
    main ? video(screen ? "screen" : "camera", main, screen ? text.remoteScreen(name) : text.remoteVideo(name), screen ? "contain" : "cover")
      : talking && h("div", { key: "none", class: "stage-none" }, avatar(call.peer, "giant"), h("p", {}, hidden || call.screening || media?.connection !== "connected" ? "" : text.noVideo(name))),
    h("div", { key: "tiles", class: "tiles" },
      screen && camera && video("tile-camera", camera, text.remoteVideo(name), "tile"),
      media?.localScreen && video("tile-screen", media.localScreen, text.selfScreen, "tile contain"),
      local && video("tile-self", local, text.selfView, "tile mirrored")));
}

// Key and stream together: a new stream gets a fresh element, the same one keeps playing.
function video(key, stream, label, className) {
  return h("video", {
    key: `${key}-${stream.id}`, class: `video ${className} ${className === "cover" && whole.has(stream.id) ? "whole" : ""}`, "aria-label": label, "aria-hidden": label ? null : "true", srcObject: stream, muted: true, autoplay: true, playsinline: true,
    created: (element) => { element.play().catch(() => {}); if (className === "cover" || className === "contain") fitWhenOdd(element, stream, className === "contain"); },
    removed: (element) => element.stopFitting?.(),
  });
}

// A picture whose shape is far from the window's is shown whole over a blurred copy of itself, rather than cut to a strip.
function fitWhenOdd(element, stream, always) {
  const fit = () => {
    const ratio = (element.videoWidth / element.videoHeight) / (innerWidth / innerHeight);
    if (!(ratio > 0)) return;
    const odd = always ? Math.abs(Math.log(ratio)) > 0.02 : ratio > 2.2 || ratio < 0.45;
    if (odd === whole.has(stream.id)) return;
    odd ? whole.add(stream.id) : whole.delete(stream.id);
    update();
  };
  element.onresize = fit;
  element.onloadedmetadata = fit;
  const watcher = new ResizeObserver(fit);
  watcher.observe(element);
  element.stopFitting = () => { watcher.disconnect(); whole.delete(stream.id); };
}

function statusLine(app, call, media, name) {
  const states = text.states;
  if (app.calls.answering(call.session)) return text.placing.answering;
  if (call.state !== "active") return states[call.state];
  if (!media) return states.elsewhere;
  if (media.connection === "reconnecting") return states.reconnecting;
  if (media.connection !== "connected") return states.mediaConnecting;
  if (media.held) return states.held;
  if (call.remote_held) return states.remoteHeld(name);
  if (media.statistics.loss > POOR_LOSS) return states.poor;
  return "";
}

// What has to be known and stays true for a while.
function notes(call, media, name) {
  const states = text.states;
  const list = [];
  if (call.state === "active") {
    if (call.screening) list.push(["ear", call.direction === "incoming" ? states.screening(name) : states.screened(name)]);
    else if (call.answered_by === "service") list.push(["service", states.service]);
    else if (call.answered_by === "gateway") list.push(["forward", states.gateway]);
    if (media?.muted && !media.held) list.push(["micOff", text.micOff]);
    if (media?.sendsScreen) list.push(["screen", text.sharing]);
    if (media?.remoteScreen) list.push(["screen", text.theyShare(name)]);
  }
  return h("ul", { key: "notes", class: "call-notes", role: "list" }, list.map(([iconName, sentence]) => h("li", { key: sentence }, icon(iconName), sentence)));
}

function others(app, call) {
  const list = app.calls.live.filter((other) => other.session !== call.session);
  return list.length > 0 && h("ul", { key: "others", class: "call-notes others", role: "list" }, list.map((other) => h("li", { key: other.session }, icon("pause"), text.otherHeld(nameOf(other.peer)),
    h("button", { class: "button small", type: "button", "aria-label": text.switchTo(nameOf(other.peer)), onclick: () => app.calls.switchTo(other.session) }, text.switch))));
}

function controls(app, call, media, name) {
  const { session } = call;
  const change = (action) => () => app.calls.change(session, action);
  const ready = call.state === "active" && media;
  const blocked = !ready || media.busy || media.held;
  const screened = call.screening && call.direction === "incoming";
  const buttons = [];
  if (screened && ready) {
    buttons.push(control("answer", "phone", text.talk, text.talk, () => app.calls.talk(session, false), { disabled: media.busy }));
    if (call.media.video) buttons.push(control("answer", "video", text.talkVideo, strings.incoming.captions.video, () => app.calls.talk(session, true), { disabled: media.busy }));
  } else if (media) {
    buttons.push(media.muted ? control("off", "micOff", text.unmute, text.captions.unmute, change((m) => m.setMuted(false))) : control("", "mic", text.mute, text.captions.mute, change((m) => m.setMuted(true))));
    buttons.push(media.sendsCamera ? control("", "video", text.cameraOff, text.captions.camera, change((m) => m.setCamera(false)), { disabled: blocked })
      : control("off", "videoOff", text.cameraOn, text.captions.camera, change((m) => m.setCamera(true)), { disabled: blocked }));
    if (canShareScreen()) {
      buttons.push(media.sendsScreen ? control("on", "screenOff", text.unshare, text.captions.unshare, change((m) => m.setScreen(false)), { disabled: blocked })
        : control("", "screen", text.share, text.captions.share, change((m) => m.setScreen(true)), { disabled: blocked }));
    }
    buttons.push(media.held ? control("on", "play", text.resume, text.captions.resume, change((m) => m.setHeld(false)), { disabled: !ready || media.busy })
      : control("", "pause", text.hold, text.captions.hold, change((m) => m.setHeld(true)), { disabled: !ready || media.busy }));
    buttons.push(control("", "more", text.options, text.captions.options, () => openOptions(app, session)));
  }
  const end = call.state === "active" ? text.hangup : text.cancel;
  buttons.push(control("danger", "hangup", end, call.state === "active" ? text.captions.hangup : strings.common.cancel, () => app.calls.hangup(session)));
  return h("div", { key: "controls", class: "controls", role: "toolbar", "aria-label": text.region(name) }, buttons);
}

function control(kind, iconName, name, caption, onclick, { disabled = false } = {}) {
  return h("div", { key: iconName.replace("Off", ""), class: "round-item" },
    h("button", { class: `round ${kind}`, type: "button", "aria-label": name, title: name, disabled, onclick }, icon(iconName)), h("span", { "aria-hidden": "true" }, caption));
}

function placingScreen(app, placing) {
  return h("main", { key: "call", ...focused, class: "call call-before", "aria-label": text.region(placing.name) },
    h("header", { key: "top", class: "call-top" }, h("div", { class: "call-who" }, h("h1", {}, placing.name), h("p", { class: "call-state", role: "status" }, placing.error ? "" : text.placing[placing.step]))),
    h("div", { key: "before", class: "call-panel" }, h("div", { class: "call-person" }, avatar({ name: placing.name }, "huge")),
      h("div", { role: "alert" }, placing.error && h("p", { class: "end-sentence" }, placing.error))),
    h("div", { key: "controls", class: "controls" }, placing.error
      ? [h("button", { key: "again", class: "button primary", type: "button", onclick: () => app.calls.place(placing.to, placing) }, text.again), h("button", { key: "close", class: "button", type: "button", onclick: () => app.calls.dismissPlacing() }, text.close)]
      : control("danger", "hangup", text.cancel, strings.common.cancel, () => app.calls.cancelPlacing())));
}

function endedScreen(app, call, name) {
  const sentence = call.ended?.sentence || text.ended(name);
  const introduce = call.direction === "outgoing" && call.ended?.reason === "policy.first-contact-required";
  const unanswered = call.direction === "outgoing" && !call.answered_at && app.messages.enabled;
  const offer = unanswered && !introduce ? voicemailOffer(app, call) : null;
  const again = () => { app.calls.dismiss(call.session); app.calls.place(addressOf(call.peer), { video: call.media.video, name }); };
  return h("main", { key: "ended", ...focused, class: "call call-before", "aria-label": text.region(name) },
    h("header", { key: "top", class: "call-top" }, h("div", { class: "call-who" }, h("h1", {}, name), h("p", { class: "call-state" }, text.states.ended))),
    h("div", { key: "before", class: "call-panel" },
      h("div", { class: "call-person" }, avatar(call.peer, "huge"), h("p", { class: "end-sentence", role: "alert" }, sentence), basis(call.peer)),
      progressList(call)),
    h("div", { key: "controls", class: "controls ended" },
      introduce && h("button", { key: "introduce", class: "button primary", type: "button", onclick: () => { app.calls.dismiss(call.session); openSendRequest(app, addressOf(call.peer)); } }, text.introduce),
      unanswered && !introduce && h("button", { key: "message", class: "button", type: "button", onclick: () => { app.calls.dismiss(call.session); app.messages.write(addressOf(call.peer)); } }, icon("messages"), text.message),
      offer?.offered && h("button", { key: "voicemail", class: "button", type: "button", onclick: async () => { if (await openVoicemail(app, call, offer)) app.calls.dismiss(call.session); } }, icon("mic"), text.voicemail),
      h("button", { key: "again", class: `button ${introduce ? "" : "primary"}`, type: "button", onclick: again }, icon("phone"), text.again),
      h("button", { key: "close", class: "button", type: "button", onclick: () => app.calls.dismiss(call.session) }, text.close)));
}

/** Single-key shortcuts of a call; off while a dialog or a field has the keyboard, and when the person turned them off. */
export function callShortcut(app, event) {
  const call = app.calls.shownCall;
  const media = call && app.calls.media(call.session);
  if (!media || !prefs.shortcuts || dialogOpen() || event.ctrlKey || event.metaKey || event.altKey || event.repeat) return;
  if (event.target.closest?.("input, textarea, select, [contenteditable]")) return;
  const ready = call.state === "active" && !media.busy;
  const change = (action) => app.calls.change(call.session, action);
  const key = event.key.toLowerCase();
  const actions = {
    m: () => change((m) => m.setMuted(!m.muted)),
    v: () => ready && !media.held && change((m) => m.setCamera(!m.sendsCamera)),
    s: () => ready && !media.held && change((m) => m.setScreen(!m.sendsScreen)),
    h: () => ready && change((m) => m.setHeld(!m.held)),
    o: () => openOptions(app, call.session),
    b: () => app.calls.minimise(),
    e: () => event.shiftKey && app.calls.hangup(call.session),
  };
  if (!actions[key] || (event.shiftKey && key !== "e")) return;
  event.preventDefault();
  attempt(async () => actions[key]());
}
