// Notices: short sentences that come and go. Information is polite, trouble is assertive, and the host moves into the topmost dialog so that
// it is neither covered by it nor made inert.

import { h, mount, update } from "./dom.js";
import { icon } from "./icons.js";
import { strings } from "./strings.js";

const SHOWN = 4;
const SECONDS = { info: 6, warning: 12, error: 12 };
const host = document.createElement("div");
let notices = [];
let nextID = 1;

/** Shows a sentence; `action` is `{label, run}`. */
export function notify(level, sentence, action = null) {
  if (!sentence) return;
  notices = notices.filter((notice) => notice.sentence !== sentence);
  const notice = { id: nextID++, level: SECONDS[level] ? level : "info", sentence, action };
  notices = [...notices, notice].slice(-SHOWN);
  setTimeout(() => dismiss(notice.id), SECONDS[notice.level] * 1000);
  update();
}

/** Shows what went wrong as a sentence. */
export function notifyError(error) {
  notify("error", sentenceOf(error));
}

export function sentenceOf(error) {
  if (!["AgentError", "Error"].includes(error?.name) || !error.message) console.error(error);
  return error?.name === "AgentError" || error?.name === "Error" ? error.message || strings.errors.unknown : strings.errors.unknown;
}

/** Runs something asynchronous and shows its failure. Resolves with undefined when it failed. */
export async function attempt(action) {
  try {
    return await action();
  } catch (error) {
    notifyError(error);
    return undefined;
  }
}

/** Takes away what was said before; a new call begins with a clear page. */
export function clearNotices() {
  notices = notices.filter((notice) => notice.level !== "info");
  update();
}

export function moveNotices(into) {
  into.append(host);
}

export function startNotices() {
  host.className = "notices";
  document.body.append(host);
  mount(host, () => [
    h("div", { key: "polite", role: "status", "aria-live": "polite", "aria-label": strings.notices.label }, notices.filter((n) => n.level === "info").map(view)),
    h("div", { key: "assertive", "aria-live": "assertive" }, notices.filter((n) => n.level !== "info").map(view)),
  ]);
}

function dismiss(id) {
  notices = notices.filter((notice) => notice.id !== id);
  update();
}

function view(notice) {
  return h("div", { key: notice.id, class: `notice notice-${notice.level}` },
    icon(notice.level === "info" ? "info" : "warning"),
    h("p", {}, notice.sentence),
    notice.action && h("button", { class: "button quiet small", type: "button", onclick: () => { dismiss(notice.id); notice.action.run(); } }, notice.action.label),
    h("button", { class: "icon-button small", type: "button", "aria-label": strings.notices.dismiss, onclick: () => dismiss(notice.id) }, icon("close")));
}
