// The call log: what happened to each call, in words, and the way to call again.

import { h } from "../dom.js";
import { clock, day, duration } from "../format.js";
import { icon } from "../icons.js";
import { confirm } from "../parts/dialog.js";
import { emptyState } from "../parts/fields.js";
import { nameOf } from "../parts/peer.js";
import { addressOf, store } from "../store.js";
import { strings } from "../strings.js";
import { openDial } from "./dial.js";

const text = strings.recents;

export function recentsView(app) {
  const { log, missed } = store.state;
  markSeen(app, missed);
  return h("div", { class: "page" },
    h("header", { class: "view-header" }, h("h1", {}, text.title),
      log.length > 0 && h("button", { class: "button quiet", type: "button", onclick: () => confirm({ title: text.clearTitle, text: text.clearText, label: text.clear, run: () => app.agent.call("log.clear") }) }, icon("trash"), text.clear)),
    log.length ? days(app, log) : emptyState("recents", text.emptyTitle, text.empty, h("button", { class: "button primary", type: "button", onclick: () => openDial(app) }, icon("phone"), strings.nav.newCall)));
}

let marking = false;

// Looking at the list is what makes a missed call seen.
function markSeen(app, missed) {
  if (!missed || marking || document.hidden || store.status !== "open") return;
  marking = true;
  app.agent.call("log.seen").catch(() => {}).finally(() => { setTimeout(() => { marking = false; }, 1000); });
}

function days(app, log) {
  const groups = new Map();
  for (const entry of [...log].sort((a, b) => b.at - a.at)) groups.set(day(entry.at), [...(groups.get(day(entry.at)) ?? []), entry]);
  return [...groups].map(([title, entries]) => h("section", { key: title, class: "day" }, h("h2", {}, title), h("ul", { class: "list", role: "list", "aria-label": `${text.list}, ${title}` }, entries.map((entry) => row(app, entry)))));
}

function row(app, entry) {
  const name = nameOf(entry.peer);
  const missed = entry.outcome === "missed";
  const kind = missed ? "missed" : entry.direction === "incoming" ? "incoming" : "outgoing";
  return h("li", { key: entry.session, class: "row-group" },
    h("div", { class: "row" },
      h("span", { class: `row-mark ${missed ? "danger" : ""}` }, icon(kind)),
      h("span", { class: "row-text" },
        h("strong", { class: missed ? "danger" : "" }, name),
        h("span", { class: "muted" }, h("span", { class: "visually-hidden" }, `${text.direction[entry.direction]}: `), entry.sentence || text.outcome[entry.outcome])),
      h("span", { class: "row-end" }, h("time", {}, clock(entry.at)), entry.duration ? h("span", { class: "muted tabular" }, duration(entry.duration)) : null)),
    h("button", { class: "icon-button accent", type: "button", "aria-label": text.again(name), onclick: () => app.calls.place(addressOf(entry.peer), { video: entry.video, name }) }, icon(entry.video ? "video" : "phone")));
}
