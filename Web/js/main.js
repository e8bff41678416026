// Start: takes the token out of the address, connects to the agent, and draws the page: the call when one fills it, else the shell with one
// view.

import { AgentClient } from "./api.js";
import { forgetToken, keptToken, startAlerts } from "./alerts.js";
import { Playback } from "./broadcast.js";
import { Calls } from "./calls.js";
import { h, mount, update } from "./dom.js";
import { icon } from "./icons.js";
import { Messages } from "./messages.js";
import { notify, startNotices } from "./notices.js";
import { applyTheme, prefs } from "./prefs.js";
import { nameOf } from "./parts/peer.js";
import { startPresence } from "./presence.js";
import { follow, store, unreadMessages } from "./store.js";
import { strings } from "./strings.js";
import { callScreen, callShortcut } from "./views/call.js";
import { openDial } from "./views/dial.js";
import { watchIncoming } from "./views/incoming.js";
import { shell } from "./views/shell.js";
import { welcome } from "./views/welcome.js";

const TOKEN = "dsip.token";

function takeToken() {
  const found = /(?:^#|&)token=([^&]+)/.exec(location.hash);
  if (found) {
    sessionStorage.setItem(TOKEN, decodeURIComponent(found[1]));
    forgetToken();
    history.replaceState(null, "", `${location.pathname}${location.search}#/contacts`);
  }
  return sessionStorage.getItem(TOKEN) ?? keptToken();
}

// A `dsip:` link handed to the page as `?call=…` opens the call dialog with it; nothing is dialled by itself.
function takeCallLink() {
  const target = new URLSearchParams(location.search).get("call");
  if (target) history.replaceState(null, "", `${location.pathname}${location.hash}`);
  return target;
}

function message(iconName, title, text) {
  return h("main", { class: "full-message" }, h("span", { class: "empty-mark" }, icon(iconName)), h("h1", {}, title), h("p", {}, text));
}

function start() {
  sessionStorage.removeItem("dsip.reloads");
  applyTheme();
  startNotices();
  const container = document.getElementById("app");
  const token = takeToken();
  if (!token) {
    mount(container, () => message("key", strings.connection.noTokenTitle, strings.connection.noToken));
    return;
  }
  const agent = new AgentClient(token);
  follow(agent);
  startPresence(agent);
  const calls = new Calls(agent);
  const app = { agent, calls, messages: new Messages(agent), playback: new Playback(agent) };
  agent.on("notice", ({ level, sentence }) => notify(level, sentence));
  mount(container, () => draw(app));
  watchIncoming(app);
  startAlerts(app, token);
  let target = takeCallLink();
  agent.on("state", () => {
    if (!target || !store.state.identity) return;
    openDial(app, target);
    target = null;
  });
  addEventListener("hashchange", () => {
    update();
    queueMicrotask(() => {
      const content = document.getElementById("content");
      if (!content?.contains(document.activeElement)) content?.focus({ preventScroll: true });
    });
  });
  addEventListener("keydown", (event) => callShortcut(app, event));
  addEventListener("beforeunload", (event) => { if (calls.live.some((call) => calls.media(call.session))) event.preventDefault(); });
  agent.start();
}

function draw(app) {
  document.title = title(app);
  if (store.status === "refused") return message("key", strings.connection.refusedTitle, strings.connection.refused);
  if (!store.state) return h("main", { class: "full-message" }, h("p", { role: "status" }, strings.connection[store.status === "waiting" ? "waiting" : "connecting"]));
  if (!store.state.identity) return welcome(app);
  const { calls } = app;
  if (calls.shown === "placing" && calls.placing) return callScreen(app, null);
  if (calls.shownCall) return callScreen(app, calls.shownCall);
  return shell(app);
}

function title({ calls }) {
  const ringing = calls.incoming[0];
  if (ringing) return strings.incoming.title(nameOf(ringing.peer));
  const call = calls.shownCall ?? calls.live[0];
  const waiting = (store.state?.missed ?? 0) + unreadMessages();
  const missed = waiting ? `(${waiting}) ` : "";
  return call ? `${strings.call.region(nameOf(call.peer))} – ${strings.app.name}` : `${missed}${strings.app.name}`;
}

matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => prefs.theme === "auto" && update());
start();
