// Settings of this page and of the identity's name.

import { h, update } from "../dom.js";
import { capture, canChooseSpeaker, listDevices } from "../media.js";
import { setNotifications } from "../alerts.js";
import { attempt, notify } from "../notices.js";
import { form, formState } from "../parts/dialog.js";
import { actionButton, facts, radioGroup, selectField, switchField, textField } from "../parts/fields.js";
import { prefs, setPref } from "../prefs.js";
import * as ring from "../ring.js";
import { store } from "../store.js";
import { strings } from "../strings.js";

const text = strings.settings;
const ui = { testing: false, profile: null };
let devices = null;

export function settingsView(app) {
  const { identity, relay, settings } = store.state;
  if (ui.profile?.did !== identity.did) ui.profile = { ...formState(), did: identity.did, name: settings.display_name ?? identity.name };
  const state = ui.profile;
  const set = (name) => (value) => { setPref(name, value); update(); };
  return h("div", { class: "page" },
    h("header", { class: "view-header" }, h("h1", {}, text.title)),
    card(text.profile, form(state, { submit: async () => { await app.agent.call("identity.rename", { did: identity.did, name: state.name.trim() }); notify("info", text.saved); }, label: text.save, disabled: !state.name.trim() || state.name.trim() === identity.name },
      textField(state, "name", { label: text.displayName, help: text.displayHelp, maxlength: "64", changed: update }))),
    card(text.calls,
      switchField({ owner: ui, name: "muteRing", label: text.muteRing, help: text.muteRingHelp, checked: prefs.muteRing, changed: set("muteRing") }),
      switchField({ owner: ui, name: "shortcuts", label: text.shortcuts, checked: prefs.shortcuts, changed: set("shortcuts") }),
      h("div", { class: "actions start" }, h("button", { class: "button", type: "button", onclick: testRing }, ui.testing ? text.stopRing : text.testRing))),
    card(text.finding, switchField({ owner: ui, name: "findable", label: text.findable, help: text.findableHelp, checked: settings.findable, changed: (findable) => attempt(async () => { Object.assign(settings, await app.agent.call("settings.update", { findable })); update(); }) })),
    app.messages.enabled && messageCard(app),
    card(text.notifications,
      switchField({ owner: ui, name: "notify", label: text.notify, help: text.notifyHelp, checked: prefs.notify, changed: async (on) => { if (!(await setNotifications(app, on))) notify("warning", text.notifyDenied); update(); } }),
      switchField({ owner: ui, name: "previews", label: text.previews, help: text.previewsHelp, checked: prefs.previews, disabled: !prefs.notify, changed: set("previews") })),
    card(text.devices, deviceFields()),
    card(text.appearance, selectField({ owner: ui, name: "theme", label: text.theme, value: prefs.theme, options: Object.entries(text.themes), changed: set("theme") })),
    card(text.strangers, h("p", {}, text.strangersText)),
    card(text.relay, h("p", {}, relay?.sentence), facts([
      [text.relayURL, relay?.url ?? text.notConnected], [text.relayDID, relay?.did && h("span", { class: "did wrap" }, relay.did)],
      [text.stun, (relay?.stun ?? []).join(", ")], [text.version, settings.version]])));
}

const card = (title, ...children) => h("section", { key: title, class: "card" }, h("h2", {}, title), children);

function messageCard(app) {
  const { messaging } = store.state;
  const save = (changes) => attempt(async () => { Object.assign(messaging, await app.agent.call("messages.settings", changes)); update(); });
  return card(text.messages,
    switchField({ owner: ui, name: "receipts", label: text.readReceipts, help: text.readReceiptsHelp, checked: messaging.read_receipts, changed: (read_receipts) => save({ read_receipts }) }),
    switchField({ owner: ui, name: "typing", label: text.typing, help: text.typingHelp, checked: messaging.typing, changed: (typing) => save({ typing }) }),
    radioGroup({ owner: ui, name: "mode", label: text.mode, options: Object.entries(text.modes).map(([mode, words]) => [mode, ...words]), value: messaging.mode, changed: async (mode) => { await save({ mode }); notify("info", text.modeSaved); } }),
    messaging.mailbox && h("p", { class: "help" }, messaging.mailbox));
}

function testRing() {
  ui.testing = !ui.testing;
  ui.testing ? ring.play("ring") : ring.stop();
  update();
}

/** Selects for microphone, camera and speaker; `changed(kind)` after a choice. Used here and in a call. */
export function deviceFields(changed = null) {
  if (!devices) {
    devices = { microphone: [], camera: [], speaker: [] };
    refreshDevices();
    navigator.mediaDevices?.addEventListener("devicechange", refreshDevices);
  }
  const kinds = ["microphone", "camera", ...(canChooseSpeaker() ? ["speaker"] : [])];
  const unnamed = kinds.every((kind) => !devices[kind].length);
  return [
    kinds.map((kind) => h("div", { key: kind }, selectField({
      owner: ui, name: kind, label: text[kind], value: prefs[kind],
      options: [["", text.systemDefault], ...devices[kind].filter((d) => d.id !== "default").map((d) => [d.id, d.label])],
      changed: (id) => { setPref(kind, id); changed?.(kind); update(); },
    }))),
    unnamed && h("div", { key: "allow", class: "actions start" }, actionButton(text.allowDevices, askForNames)),
  ];
}

async function refreshDevices() {
  devices = await listDevices();
  update();
}

// Browsers name devices only once one has been used.
async function askForNames() {
  const track = await capture("microphone");
  track.stop();
  await attempt(async () => (await capture("camera")).stop());
  await refreshDevices();
}
