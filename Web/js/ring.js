// Ring and ringback, generated: no sound files. Browsers let a page make sound only after the person has touched it once, so the first
// touch anywhere wakes the audio context.

let context = null;
let playing = null;

function wake() {
  context ??= new AudioContext();
  if (context.state === "suspended") context.resume().catch(() => {});
  return context;
}

for (const event of ["pointerdown", "keydown"]) addEventListener(event, () => { if (!context || context.state === "suspended") wake(); }, { capture: true });

function tone(frequency, start, length, level) {
  const oscillator = context.createOscillator();
  const gain = context.createGain();
  oscillator.frequency.value = frequency;
  gain.gain.setValueAtTime(0, start);
  gain.gain.linearRampToValueAtTime(level, start + 0.02);
  gain.gain.setValueAtTime(level, start + length - 0.08);
  gain.gain.linearRampToValueAtTime(0, start + length);
  oscillator.connect(gain).connect(playing.output);
  oscillator.start(start);
  oscillator.stop(start + length);
}

const patterns = {
  // A short rising figure, twice, then rest.
  ring: { every: 3000, play: (at) => [659, 784, 988, 784].forEach((f, i) => { tone(f, at + i * 0.16, 0.22, 0.18); tone(f, at + 0.9 + i * 0.16, 0.22, 0.18); }) },
  ringback: { every: 4000, play: (at) => { tone(440, at, 1.2, 0.05); tone(480, at, 1.2, 0.05); } },
  ended: { every: 0, play: (at) => { tone(440, at, 0.16, 0.08); tone(330, at + 0.17, 0.22, 0.08); } },
};

/** Plays "ring", "ringback" or "ended"; replaces what plays now. */
export function play(name) {
  if (playing?.name === name) return;
  stop();
  wake();
  const output = context.createGain();
  output.connect(context.destination);
  playing = { name, output, timer: null };
  const pattern = patterns[name];
  const once = () => pattern.play(context.currentTime + 0.03);
  once();
  if (pattern.every) playing.timer = setInterval(once, pattern.every);
  else playing.timer = setTimeout(stop, 700);
}

/** Ends a ring or ringback, but lets a closing tone finish. */
export function quiet() {
  if (playing && patterns[playing.name].every) stop();
}

export function stop() {
  if (!playing) return;
  clearInterval(playing.timer);
  playing.output.disconnect();
  playing = null;
}
