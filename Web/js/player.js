// One sound at a time: the voice message that plays, wherever it was started. It goes on while the person reads elsewhere.

import { update } from "./dom.js";
import { notifyError } from "./notices.js";
import { prefs, setPref } from "./prefs.js";

const RATES = [1, 1.5, 2];
const sound = new Audio();
sound.preservesPitch = true;

export const player = {
  /** The id of the message or recording that plays or is paused, or null. */
  id: null,
  playing: false,
  seconds: 0,
};

for (const event of ["play", "pause", "timeupdate", "ended", "seeked"]) sound.addEventListener(event, () => {
  player.playing = !sound.paused && !sound.ended;
  player.seconds = sound.ended ? 0 : sound.currentTime;
  update();
});

/** Plays or pauses; `open()` resolves with the sound's URL and is asked only when it begins anew. */
export async function toggle(id, open) {
  try {
    if (player.id === id && player.playing) return sound.pause();
    if (player.id !== id || !sound.src) {
      sound.pause();
      player.id = id;
      player.seconds = 0;
      update();
      const url = await open();
      if (player.id !== id || !url) return;
      sound.src = url;
    }
    sound.playbackRate = prefs.rate;
    await sound.play();
  } catch (error) {
    if (player.id === id) release(id);
    if (error.name !== "AbortError") notifyError(error);
  }
}

export function seek(id, seconds) {
  if (player.id !== id || !sound.src) return;
  sound.currentTime = seconds;
  player.seconds = seconds;
  update();
}

export function nextRate() {
  setPref("rate", RATES[(RATES.indexOf(prefs.rate) + 1) % RATES.length]);
  sound.playbackRate = prefs.rate;
  update();
}

/** Ends it, as when its file goes away. */
export function release(id) {
  if (player.id !== id) return;
  sound.pause();
  sound.removeAttribute("src");
  Object.assign(player, { id: null, playing: false, seconds: 0 });
  update();
}
