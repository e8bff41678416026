// A voice recording: microphone in, Ogg/Opus with its length and waveform out. The microphone is open only between `start` and `stop`.

import { update } from "./dom.js";
import { capture, MediaError } from "./media.js";
import { toOgg } from "./ogg.js";
import { strings } from "./strings.js";

const TYPES = ["audio/webm;codecs=opus", "audio/ogg;codecs=opus", "audio/mp4"];
const LEVELS = 48;
const BARS = 64;
const SHORTEST = 0.5;

export class Recorder {
  /** The last levels heard, 0…1, for the eye. */
  levels = [];
  #track;
  #media;
  #context;
  #parts = [];
  #timer;
  #begun = 0;
  #ended = null;

  /** Opens the microphone; `full()` is called once when `limit` seconds are reached. Throws `MediaError`. */
  static async start({ limit = 3600, full = () => {} } = {}) {
    const type = globalThis.MediaRecorder ? TYPES.find((candidate) => MediaRecorder.isTypeSupported(candidate)) : null;
    if (!type) throw new MediaError(strings.recording.unsupported);
    return new Recorder(await capture("microphone"), type, limit, full);
  }

  constructor(track, type, limit, full) {
    this.#track = track;
    const stream = new MediaStream([track]);
    this.#media = new MediaRecorder(stream, { mimeType: type, audioBitsPerSecond: 32_000 });
    this.#media.ondataavailable = ({ data }) => { if (data.size) this.#parts.push(data); };
    this.#media.start(1000);
    this.#begun = performance.now();
    this.#listen(stream, limit, full);
  }

  #listen(stream, limit, full) {
    this.#context = new AudioContext();
    const analyser = this.#context.createAnalyser();
    analyser.fftSize = 1024;
    this.#context.createMediaStreamSource(stream).connect(analyser);
    const samples = new Float32Array(analyser.fftSize);
    this.#timer = setInterval(() => {
      analyser.getFloatTimeDomainData(samples);
      const power = Math.sqrt(samples.reduce((sum, value) => sum + value * value, 0) / samples.length);
      this.levels = [...this.levels, Math.min(1, power * 5)].slice(-LEVELS);
      if (this.seconds >= limit) {
        clearInterval(this.#timer);
        full();
      }
      update();
    }, 100);
  }

  get seconds() {
    return ((this.#ended ?? performance.now()) - this.#begun) / 1000;
  }

  discard() {
    this.#close();
    this.#media.ondataavailable = null;
    if (this.#media.state !== "inactive") this.#media.stop();
  }

  /** `{blob, duration_ms, waveform}`; throws when it was too short to be meant. */
  async stop() {
    const stopped = new Promise((resolve) => { this.#media.onstop = resolve; });
    this.#media.stop();
    this.#close();
    await stopped;
    if (this.seconds < SHORTEST) throw new MediaError(strings.recording.tooShort);
    const blob = await toOgg(new Blob(this.#parts, { type: this.#media.mimeType }));
    return { blob, ...(await measure(blob, this.seconds)) };
  }

  #close() {
    this.#ended ??= performance.now();
    clearInterval(this.#timer);
    this.#track.stop();
    this.#context.close().catch(() => {});
  }
}

/** Length and at most 64 bars, each 0…100, of a sound. */
export async function measure(blob, seconds) {
  try {
    const context = new OfflineAudioContext(1, 1, 16_000);
    const sound = await context.decodeAudioData(await blob.arrayBuffer());
    return { duration_ms: Math.round(sound.duration * 1000), waveform: waveform(sound.getChannelData(0)) };
  } catch {
    return { duration_ms: Math.round(seconds * 1000), waveform: null };
  }
}

function waveform(samples) {
  const width = Math.max(1, Math.floor(samples.length / BARS));
  const peaks = Array.from({ length: Math.min(BARS, samples.length) }, (_, bar) => {
    let sum = 0;
    for (let i = bar * width; i < (bar + 1) * width; i++) sum += samples[i] * samples[i];
    return Math.sqrt(sum / width);
  });
  const loudest = Math.max(...peaks, 0.01);
  return peaks.map((peak) => Math.round((peak / loudest) * 100));
}
