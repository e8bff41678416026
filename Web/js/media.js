// Microphone, camera, screen and the choice among devices. Nothing here keeps a track: whoever asks for one must stop it.

import { prefs } from "./prefs.js";
import { strings } from "./strings.js";

export class MediaError extends Error {}

const video = { width: { ideal: 1280 }, height: { ideal: 720 }, frameRate: { ideal: 30 } };
const wanted = (id) => (id ? { deviceId: { ideal: id } } : {});

const constraints = {
  microphone: () => ({ audio: { echoCancellation: true, noiseSuppression: true, autoGainControl: true, ...wanted(prefs.microphone) } }),
  camera: () => ({ video: { ...video, ...wanted(prefs.camera) } }),
};

/** One track of "microphone" or "camera"; throws `MediaError` with a sentence. */
export async function capture(kind) {
  if (!navigator.mediaDevices) throw new MediaError(strings.media.insecure);
  try {
    const stream = await navigator.mediaDevices.getUserMedia(constraints[kind]());
    return stream.getTracks()[0];
  } catch (error) {
    throw new MediaError(sentence(kind, error));
  }
}

/** A track of the screen, window or tab the person picks; null when they change their mind. */
export async function captureScreen() {
  if (!navigator.mediaDevices?.getDisplayMedia) throw new MediaError(strings.media.noScreen);
  try {
    const stream = await navigator.mediaDevices.getDisplayMedia({ video: { frameRate: { ideal: 15, max: 30 } }, audio: false });
    const track = stream.getVideoTracks()[0];
    track.contentHint = "detail";
    return track;
  } catch (error) {
    if (error.name === "NotAllowedError" || error.name === "AbortError") return null;
    throw new MediaError(strings.media.screenFailed);
  }
}

function sentence(kind, error) {
  const words = strings.media[kind];
  switch (error.name) {
    case "NotAllowedError": return words.denied;
    case "NotFoundError":
    case "OverconstrainedError": return words.missing;
    case "NotReadableError": return words.busy;
    default: return words.failed;
  }
}

/** `{microphone, camera, speaker}`, each a list of `{id, label}`; labels are known once the person has allowed a device. */
export async function listDevices() {
  const kinds = { audioinput: "microphone", videoinput: "camera", audiooutput: "speaker" };
  const lists = { microphone: [], camera: [], speaker: [] };
  const devices = (await navigator.mediaDevices?.enumerateDevices?.()) ?? [];
  for (const device of devices) {
    const kind = kinds[device.kind];
    if (!kind || !device.deviceId) continue;
    lists[kind].push({ id: device.deviceId, label: device.label || strings.media.unnamed(kind, lists[kind].length + 1) });
  }
  return lists;
}

export const canShareScreen = () => Boolean(navigator.mediaDevices?.getDisplayMedia);
export const canChooseSpeaker = () => "setSinkId" in HTMLMediaElement.prototype;
