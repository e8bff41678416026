// The frame around every view: navigation at the side or at the foot, the relay's state, and the bar of a call that goes on meanwhile.

import { h } from "../dom.js";
import { clock, duration, now } from "../format.js";
import { icon } from "../icons.js";
import { avatar, nameOf } from "../parts/peer.js";
import { messageRequests, pendingRequests, store, unreadMessages } from "../store.js";
import { strings } from "../strings.js";
import { backupView } from "./backup.js";
import { broadcastsView } from "./broadcasts.js";
import { contactsView } from "./contacts.js";
import { devicesView } from "./devices.js";
import { openDial } from "./dial.js";
import { messagesView } from "./messages.js";
import { identityView } from "./identity.js";
import { recentsView } from "./recents.js";
import { requestsView } from "./requests.js";
import { settingsView } from "./settings.js";
import { youView } from "./you.js";

const views = {
  messages: messagesView, contacts: contactsView, recents: recentsView, requests: requestsView, you: youView, identity: identityView, devices: devicesView,
  broadcasts: broadcastsView, backup: backupView, settings: settingsView,
};
const personal = ["broadcasts", "identity", "devices", "backup", "settings"];

/** The view's name and its arguments, from `#/name/argument/detail`. */
export function route() {
  const [name, argument, detail] = location.hash.replace(/^#\/?/, "").split("/");
  return { name: name in views ? name : "contacts", argument: decoded(argument), detail: decoded(detail) };
}

function decoded(part) {
  try {
    return part ? decodeURIComponent(part) : null;
  } catch {
    return null;
  }
}

export function shell(app) {
  const { name, argument, detail } = route();
  return h("div", { key: "shell", class: `shell ${argument || !["contacts", "recents"].includes(name) ? "shell-inner" : ""} ${name === "messages" && argument ? "shell-chat" : ""}` },
    h("a", { key: "skip", class: "skip", href: "#content", onclick: skip }, strings.app.skip),
    sidebar(app, name),
    h("main", { key: "main", id: "content", class: "content", tabindex: "-1", created: focus }, callBar(app), agentBar(), h("div", { key: name, class: `view view-${name}` }, views[name](app, argument, detail))));
}

// Coming back from a call, the keyboard starts at the content again.
function focus(element) {
  if (document.activeElement === document.body) element.focus({ preventScroll: true });
}

function skip(event) {
  event.preventDefault();
  document.getElementById("content").focus();
}

function sidebar(app, current) {
  const identity = store.state.identity;
  return h("div", { key: "side", class: "side" },
    h("a", { class: "me", href: "#/identity", "aria-label": `${strings.nav.identity}: ${identity.name}` }, avatar(identity),
      h("span", { class: "me-text" }, h("strong", {}, identity.name), h("span", { class: "muted" }, identity.alias ?? strings.identity.ownedTitle))),
    h("button", { class: "button primary new-call", type: "button", onclick: () => openDial(app) }, icon("phone"), h("span", {}, strings.nav.newCall)),
    h("nav", { "aria-label": strings.nav.label },
      app.messages.enabled && link("messages", current, unreadMessages(), strings.nav.unread),
      link("contacts", current),
      link("recents", current, store.state.missed, strings.nav.missed),
      link("requests", current, pendingRequests().length + messageRequests().length, strings.nav.waiting),
      link("you", personal.includes(current) ? "you" : current, 0, null, "narrow-only", "identity"),
      h("hr", { class: "wide-only" }),
      personal.map((name) => link(name, current, name === "backup" && !identity.phrase_confirmed ? "!" : 0, () => strings.backup.unconfirmedState, "wide-only"))),
    relayLine());
}

function link(name, current, count = 0, say = null, className = "", iconName = name) {
  return h("a", { key: name, href: `#/${name}`, class: `nav-link ${className}`, "aria-current": current === name ? "page" : null, "aria-label": count ? `${strings.nav[name]}, ${say(count)}` : null },
    icon(iconName), h("span", {}, strings.nav[name]),
    count ? h("span", { class: "badge" }, count) : null);
}

function relayLine() {
  const relay = store.state.relay;
  const state = store.status === "open" ? relay?.state ?? "connecting" : "waiting";
  const sentence = store.status === "open" ? relay?.sentence || strings.connection.relayStates[state] : strings.connection[store.status];
  const retry = store.status === "open" && relay?.retry_at && state === "waiting" ? ` ${strings.connection.retry(clock(relay.retry_at))}` : "";
  return h("p", { class: "relay", role: "status", "aria-label": strings.connection.relay }, h("span", { class: `dot dot-${state}`, "aria-hidden": "true" }), h("span", {}, sentence + retry));
}

// On narrow screens the relay is mentioned only when something is wrong with it.
function agentBar() {
  const relay = store.state.relay;
  if (store.status !== "open") return h("p", { key: "agent", class: "banner warn" }, icon("warning"), strings.connection[store.status]);
  if (relay && (relay.state === "waiting" || relay.state === "refused")) return h("p", { key: "agent", class: "banner warn narrow-only" }, icon("relay"), relay.sentence || strings.connection.relayStates[relay.state]);
  return null;
}

function callBar({ calls }) {
  return calls.live.map((call) => h("div", { key: `bar-${call.session}`, class: "banner call-bar" },
    avatar(call.peer, "small"),
    h("span", { class: "grow" }, h("strong", {}, strings.call.running(nameOf(call.peer))), " ",
      h("span", { class: "tabular" }, call.answered_at ? duration(now() - call.answered_at) : strings.call.states[call.state])),
    h("button", { class: "button small", type: "button", onclick: () => calls.show(call.session) }, strings.call.returnTo)));
}
