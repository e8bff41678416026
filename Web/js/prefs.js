// What this browser remembers for itself: ring, devices, appearance. Nothing personal; everything else lives in the agent.

const KEY = "dsip.prefs";
const defaults = { muteRing: false, notify: false, previews: false, notifyAsked: false, rate: 1, shortcuts: true, theme: "auto", microphone: "", camera: "", speaker: "" };

function load() {
  try {
    return { ...defaults, ...JSON.parse(localStorage.getItem(KEY) ?? "{}") };
  } catch {
    return { ...defaults };
  }
}

export const prefs = load();

export function setPref(name, value) {
  prefs[name] = value;
  try {
    localStorage.setItem(KEY, JSON.stringify(prefs));
  } catch {
    // A browser that keeps nothing still works for this visit.
  }
  if (name === "theme") applyTheme();
}

export function applyTheme() {
  document.documentElement.dataset.theme = prefs.theme;
}
