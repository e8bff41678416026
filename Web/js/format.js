// Times, durations and identifiers as people read them.

import { strings } from "./strings.js";

const locale = navigator.language;
const clockFormat = new Intl.DateTimeFormat(locale, { hour: "numeric", minute: "2-digit" });
const secondsFormat = new Intl.DateTimeFormat(locale, { hour: "numeric", minute: "2-digit", second: "2-digit" });
const dayFormat = new Intl.DateTimeFormat(locale, { weekday: "long" });
const dateFormat = new Intl.DateTimeFormat(locale, { day: "numeric", month: "short", year: "numeric" });

export const now = () => Math.floor(Date.now() / 1000);
export const clock = (seconds) => clockFormat.format(new Date(seconds * 1000));
export const clockWithSeconds = (seconds) => secondsFormat.format(new Date(seconds * 1000));
export const date = (seconds) => dateFormat.format(new Date(seconds * 1000));

/** "Today", "Yesterday", a weekday within the last week, else a date. */
export function day(seconds) {
  const then = new Date(seconds * 1000);
  const midnight = new Date();
  midnight.setHours(0, 0, 0, 0);
  const days = Math.ceil((midnight - then) / 86_400_000);
  if (days <= 0) return strings.time.today;
  if (days === 1) return strings.time.yesterday;
  return days < 7 ? dayFormat.format(then) : dateFormat.format(then);
}

/** The clock today, else the day: for lists. */
export const shortWhen = (seconds) => (day(seconds) === strings.time.today ? clock(seconds) : day(seconds));

/** Bytes as people say them, in steps of 1,000. */
export function size(bytes) {
  let step = 0;
  let value = bytes;
  while (value >= 1000 && step < 3) { value /= 1000; step++; }
  return `${step === 0 || value >= 100 ? Math.round(value) : value.toFixed(1)} ${strings.file.sizes[step]}`;
}

/** Seconds as `m:ss` or `h:mm:ss`. */
export function duration(seconds) {
  const whole = Math.max(0, Math.floor(seconds));
  const [hours, minutes, rest] = [Math.floor(whole / 3600), Math.floor(whole / 60) % 60, whole % 60];
  const two = (n) => String(n).padStart(2, "0");
  return hours ? `${hours}:${two(minutes)}:${two(rest)}` : `${minutes}:${two(rest)}`;
}

/** The method and the two ends of a DID; both ends, because a look-alike usually matches only one. */
export function shortDID(did) {
  if (!did || did.length <= 32) return did ?? "";
  const method = did.split(":").slice(0, 2).join(":");
  const rest = did.slice(method.length + 1);
  return rest.length <= 20 ? did : `${method}:${rest.slice(0, 8)}…${rest.slice(-6)}`;
}

export function initials(name) {
  const words = (name ?? "").trim().split(/\s+/).filter(Boolean);
  if (!words.length || name.startsWith("did:")) return "?";
  const first = [...words[0]][0];
  const last = words.length > 1 ? [...words.at(-1)][0] : "";
  return (first + last).toUpperCase();
}
