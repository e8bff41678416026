// Being told while one looks elsewhere: notifications of the system for messages, and for anything at all while the page is closed, where the
// browser can wake `sw.js`. A notification never holds what was said; who it is from only when the person wants that.

import { update } from "./dom.js";
import { memberName, shown, titleOf } from "./messages.js";
import { notify } from "./notices.js";
import { prefs, setPref } from "./prefs.js";
import { findConversation, store } from "./store.js";
import { strings } from "./strings.js";

const TOKEN = "dsip.token.kept";
const RECENT_SECONDS = 600;
const text = strings.alerts;
const newest = new Map();
let token = null;

export function startAlerts(app, pageToken) {
  token = pageToken;
  app.agent.on("state", ({ conversations = [] }) => { for (const { id, last } of conversations) note(id, last); });
  app.agent.on("message", (message) => arrived(app, message));
  app.agent.on("call", (call) => { if (call.state === "incoming" && document.hidden) remember(); });
  app.agent.on("status", (status) => { if (status === "refused") forgetToken(); });
  document.addEventListener("visibilitychange", () => { if (!document.hidden) { clear(); ask(app); } });
  navigator.serviceWorker?.addEventListener("message", ({ data }) => { if (typeof data?.hash === "string" && data.hash.startsWith("#/")) location.hash = data.hash; });
  let renewed = !prefs.notify || !allowed();
  app.agent.on("state", () => {
    if (renewed) return;
    renewed = true;
    setNotifications(app, true);
  });
}

const allowed = () => "Notification" in globalThis && Notification.permission === "granted";

/** Turns notifications on or off; resolves with whether it is as asked. Must run in what the person just did, for the browser asks them. */
export async function setNotifications(app, on) {
  if (!on) {
    setPref("notify", false);
    forgetToken();
    await unsubscribe(app).catch(() => {});
    return true;
  }
  if (!("Notification" in globalThis) || (await Notification.requestPermission()) !== "granted") return false;
  setPref("notify", true);
  // So that a notification can open the page again when it was closed; the agent makes another token when it starts.
  localStorage.setItem(TOKEN, token);
  await subscribe(app).catch(() => notify("warning", text.pushFailed));
  return true;
}

// MARK: While the page is open

function note(conversation, message) {
  if (message && !message.mine) newest.set(conversation, Math.max(newest.get(conversation) ?? -Infinity, message.order));
}

function arrived(app, message) {
  const known = newest.get(message.conversation) ?? -Infinity;
  note(message.conversation, message);
  const conversation = findConversation(message.conversation);
  if (message.mine || message.order <= known || message.retracted || message.kind === "roster" || message.kind === "call") return;
  if (conversation?.muted || conversation?.request || message.received_at < Date.now() / 1000 - RECENT_SECONDS) return;
  if (!document.hidden && (document.hasFocus() || shown() === message.conversation)) return;
  if (document.hidden) remember();
  if (!prefs.notify || !allowed()) return;
  show(prefs.previews && conversation ? who(conversation, message) : text.message, `dsip-${message.conversation}`, `#/messages/${encodeURIComponent(message.conversation)}`);
}

function who(conversation, message) {
  const name = memberName(conversation, message.sender);
  return conversation.kind === "group" ? text.inGroup(name, titleOf(conversation)) : text.from(name);
}

async function show(title, tag, hash) {
  const registration = await navigator.serviceWorker?.getRegistration().catch(() => null);
  if (registration?.active) {
    for (const waking of await registration.getNotifications({ tag: "dsip-wake" })) waking.close();
    return registration.showNotification(title, { tag, renotify: true, icon: "favicon.svg", data: { hash } });
  }
  const notification = new Notification(title, { tag, icon: "favicon.svg" });
  notification.onclick = () => { window.focus(); location.hash = hash; notification.close(); };
}

async function clear() {
  const registration = await navigator.serviceWorker?.getRegistration().catch(() => null);
  for (const notification of (await registration?.getNotifications()) ?? []) notification.close();
}

// The first time it would have mattered, the person is asked when they are back: browsers want their permission given by a press of a button.
function remember() {
  if (!prefs.notify && !prefs.notifyAsked && "Notification" in globalThis && Notification.permission === "default") setPref("notifyAsked", "pending");
}

function ask(app) {
  if (prefs.notifyAsked !== "pending") return;
  setPref("notifyAsked", true);
  notify("info", text.ask, { label: text.turnOn, run: async () => {
    const on = await setNotifications(app, true);
    notify(on ? "info" : "warning", on ? text.on : strings.settings.notifyDenied);
    update();
  } });
}

// MARK: While it is closed

export const keptToken = () => {
  try {
    return localStorage.getItem(TOKEN);
  } catch {
    return null;
  }
};

export function forgetToken() {
  try {
    localStorage.removeItem(TOKEN);
  } catch {
    // A browser that keeps nothing has nothing to forget.
  }
}

async function subscribe(app) {
  if (!navigator.serviceWorker) return;
  const registration = await navigator.serviceWorker.register("sw.js");
  if (!store.state?.messaging?.enabled || !registration.pushManager) return;
  const { public_key: key } = await app.agent.call("push.key");
  if (!key) return;
  await navigator.serviceWorker.ready;
  const subscription = await registration.pushManager.subscribe({ userVisibleOnly: true, applicationServerKey: key });
  const { endpoint, keys } = subscription.toJSON();
  await app.agent.call("push.subscribe", { endpoint, p256dh: keys.p256dh, auth: keys.auth });
}

async function unsubscribe(app) {
  const registration = await navigator.serviceWorker?.getRegistration();
  const subscription = await registration?.pushManager?.getSubscription();
  if (subscription) {
    await app.agent.call("push.unsubscribe", { endpoint: subscription.endpoint });
    await subscription.unsubscribe();
  }
  await registration?.unregister();
}
