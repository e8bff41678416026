// Voicemail (M§13): recorded here after a call nobody took, sent like any message.

import { h, update } from "../dom.js";
import { duration } from "../format.js";
import { icon } from "../icons.js";
import { notify, notifyError, sentenceOf } from "../notices.js";
import { nameOf } from "../parts/peer.js";
import { openDialog } from "../parts/dialog.js";
import { bars, voice } from "../parts/voice.js";
import { facts } from "../files.js";
import { release } from "../player.js";
import { Recorder } from "../recorder.js";
import { addressOf } from "../store.js";
import { strings } from "../strings.js";

const text = strings.voicemail;
const offers = new Map();
const KEPT = 32;

/** What `voicemail.offer` says of a call that has ended; asked once, null until it is known. */
export function voicemailOffer(app, call) {
  if (!offers.has(call.session)) {
    if (offers.size >= KEPT) offers.delete(offers.keys().next().value);
    offers.set(call.session, null);
    app.agent.call("voicemail.offer", { session: call.session }).then((offer) => { offers.set(call.session, offer); update(); }).catch(() => {});
  }
  return offers.get(call.session);
}

/** Resolves with true once it is on its way. */
export async function openVoicemail(app, call, offer) {
  const name = nameOf(call.peer);
  const limit = offer.max_duration_s;
  const state = { recorder: null, recording: null, progress: null, error: null };
  const discard = () => {
    state.recorder?.discard();
    if (state.recording) { release(state.recording.id); URL.revokeObjectURL(state.recording.url); }
    Object.assign(state, { recorder: null, recording: null });
  };
  const stop = async () => {
    const { recorder } = state;
    if (!recorder) return;
    state.recorder = null;
    try {
      const { blob, duration_ms, waveform } = await recorder.stop();
      state.recording = { id: crypto.randomUUID(), blob, url: URL.createObjectURL(blob), kind: "audio", purpose: "voicemail", content_type: blob.type, duration_ms: Math.min(duration_ms, limit * 1000), waveform };
    } catch (error) {
      notifyError(error);
    }
    update();
  };
  const start = async () => {
    discard();
    try {
      state.recorder = await Recorder.start({ limit, full: stop });
    } catch (error) {
      notifyError(error);
    }
    update();
  };
  const send = async (close) => {
    state.progress = 0;
    state.error = null;
    update();
    try {
      const { id } = await app.agent.call("conversations.open", { with: addressOf(call.peer) });
      const upload = await app.agent.upload(state.recording.blob, (progress) => { state.progress = progress; update(); });
      app.messages.put(await app.agent.call("messages.attach", { conversation: id, upload, ...facts(state.recording), session: call.session }));
      close(true);
    } catch (error) {
      state.error = sentenceOf(error);
    }
    state.progress = null;
    update();
  };
  const sent = await openDialog({ title: text.title(name), className: "narrow", closed: discard, view: (close) => content(state, limit, { start, stop, send: () => send(close) }) });
  if (sent) notify("info", text.sent(name));
  return Boolean(sent);
}

function content(state, limit, { start, stop, send }) {
  const { recorder, recording } = state;
  return [
    h("p", { key: "text" }, text.text(duration(limit))),
    recorder && h("div", { key: "live", class: "live" }, h("span", { class: "live-dot", "aria-hidden": "true" }), h("span", { class: "tabular", role: "timer", "aria-label": text.timer }, text.left(duration(Math.max(0, Math.ceil(limit - recorder.seconds))))), bars([...Array(48 - recorder.levels.length).fill(0), ...recorder.levels.map((level) => level * 100)])),
    recording && h("div", { key: "ready" }, voice({ id: recording.id, name: strings.recording.ready, duration_ms: recording.duration_ms, waveform: recording.waveform, open: async () => recording.url })),
    h("div", { key: "error", role: "alert" }, state.error && h("p", { class: "form-error" }, icon("warning"), state.error)),
    h("div", { key: "actions", class: "actions" },
      recording && h("button", { key: "again", class: "button", type: "button", onclick: start }, text.again),
      !recorder && !recording && h("button", { key: "start", class: "button primary", type: "button", autofocus: true, onclick: start }, icon("mic"), text.start),
      recorder && h("button", { key: "stop", class: "button primary", type: "button", onclick: stop }, icon("stopMark"), text.stop),
      recording && h("button", { key: "send", class: "button primary", type: "button", disabled: state.progress !== null, onclick: send }, icon("send"), text.send)),
  ];
}
