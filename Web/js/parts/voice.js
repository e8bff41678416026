// A sound with its waveform: play, pause, go to a place, faster. Used by voice messages, voicemail, and recordings that are not sent yet.

import { h } from "../dom.js";
import { duration } from "../format.js";
import { icon } from "../icons.js";
import { nextRate, player, seek, toggle } from "../player.js";
import { prefs } from "../prefs.js";
import { strings } from "../strings.js";

const text = strings.recording;
const STEP = 5;

/** `open()` resolves with the URL when it is played first. */
export function voice({ id, name, duration_ms, waveform, open, fresh = false }) {
  const current = player.id === id;
  const total = (duration_ms ?? 0) / 1000;
  const at = current ? Math.min(player.seconds, total || player.seconds) : 0;
  const playing = current && player.playing;
  return h("div", { class: `voice ${fresh ? "fresh" : ""}`, role: "group", "aria-label": name },
    h("button", { type: "button", class: "voice-play", "aria-label": playing ? text.pauseName(name) : text.playName(name), onclick: () => toggle(id, open) }, icon(playing ? "pause" : "play")),
    h("div", { class: "voice-track" },
      bars(waveform, total ? at / total : 0),
      h("input", { type: "range", class: "voice-range", min: "0", max: String(Math.max(1, Math.round(total * 10))), step: String(STEP), value: String(Math.round(at * 10)), "aria-label": text.position, "aria-valuetext": duration(at), disabled: !current, oninput: (event) => seek(id, Number(event.target.value) / 10) })),
    h("span", { class: "voice-time tabular" }, duration(current ? at : total)),
    current && h("button", { type: "button", class: "voice-rate tabular", "aria-label": text.speed(prefs.rate), onclick: nextRate }, `${prefs.rate}×`));
}

/** What of the player a drawn voice message depends on. */
export const voiceFacts = (id) => (player.id === id ? `${player.playing} ${player.seconds} ${prefs.rate}` : "");

const flat = Array(40).fill(12);

/** Bars of 0…100 as one drawing; those up to `share` are in the accent. */
export function bars(waveform, share = 0) {
  const heights = waveform?.length ? waveform : flat;
  const path = (from, to) => heights.map((height, index) => (index >= from && index < to ? bar(index, height) : "")).join("");
  const turn = Math.round(share * heights.length);
  return h("svg", { class: "waveform", viewBox: `0 0 ${heights.length * 4} 32`, preserveAspectRatio: "none", "aria-hidden": "true" },
    h("path", { key: "done", class: "done", d: path(0, turn) || "M0 0" }), h("path", { key: "left", d: path(turn, heights.length) || "M0 0" }));
}

function bar(index, height) {
  const half = 1.5 + (Math.max(0, Math.min(100, height)) / 100) * 13.5;
  return `M${index * 4 + 2} ${(16 - half).toFixed(1)}V${(16 + half).toFixed(1)}`;
}
