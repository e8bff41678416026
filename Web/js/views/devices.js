// Devices: which may sign in one's name, adding one by comparing two words, and revoking one.

import { h, update } from "../dom.js";
import { clock, date, now } from "../format.js";
import { deviceIcons, icon } from "../icons.js";
import { attempt, notify } from "../notices.js";
import { form, formState, openDialog, stay } from "../parts/dialog.js";
import { copyButton, emptyState, facts, pasteButton, radioGroup, textField } from "../parts/fields.js";
import { qrCode } from "../parts/qr.js";
import { store } from "../store.js";
import { strings } from "../strings.js";
import { openScan } from "./scan.js";

const text = strings.devices;
const ui = { devices: null, asked: null, following: false };

export function devicesView(app) {
  load(app);
  const devices = ui.devices ?? (store.state.device ? [store.state.device] : []);
  return h("div", { class: "page" },
    h("header", { class: "view-header" }, h("h1", {}, text.title),
      h("div", { class: "actions" },
        h("button", { class: "button quiet", type: "button", onclick: () => openPair(app) }, icon("scan"), text.pair),
        h("button", { class: "button", type: "button", onclick: () => openAdd(app) }, icon("plus"), text.add))),
    h("p", { class: "lead" }, text.text),
    h("ul", { class: "list", role: "list", "aria-label": text.list }, devices.map((device) => row(app, device))),
    devices.length === 1 && emptyState("devices", text.aloneTitle, text.alone));
}

function load(app) {
  if (!ui.following) {
    ui.following = true;
    app.agent.on("devices", ({ devices }) => { ui.devices = devices; update(); });
  }
  if (ui.asked === store.state.identity.did || store.status !== "open") return;
  ui.asked = store.state.identity.did;
  ui.devices = null;
  attempt(async () => {
    ui.devices = (await app.agent.call("devices.list")).devices;
    update();
  });
}

function row(app, device) {
  const line = device.revoked_at ? text.revokedOn(date(device.revoked_at), text.reasons[device.revoked_reason] ?? device.revoked_reason)
    : [text.kinds[device.kind], text.since(date(device.issued_at)), text.expires(date(device.expires_at))].join(" · ");
  return h("li", { key: device.did, class: `row-group ${device.revoked_at ? "faded" : ""}` },
    h("div", { class: "row" }, h("span", { class: "row-mark" }, icon(deviceIcons[device.kind] ?? "devices")),
      h("span", { class: "row-text" }, h("strong", {}, device.name), h("span", { class: "muted" }, line))),
    device.this && h("span", { class: "tag" }, text.this),
    !device.revoked_at && h("button", { class: "button small quiet", type: "button", "aria-label": text.renameName(device.name), onclick: () => openRename(app, device) }, text.rename),
    !device.revoked_at && !device.this && h("button", { class: "button small danger-quiet", type: "button", "aria-label": text.revokeName(device.name), onclick: () => openRevoke(app, device) }, text.revoke));
}

function openRename(app, device) {
  const state = { ...formState(), name: device.name };
  openDialog({
    title: text.renameName(device.name), className: "narrow",
    view: (close) => form(state, { submit: () => app.agent.call("devices.rename", { did: device.did, name: state.name.trim() }), done: close, label: strings.common.save, cancel: () => close(), disabled: !state.name.trim() },
      textField(state, "name", { label: text.renameField, autofocus: true, maxlength: "64", changed: update })),
  });
}

async function openRevoke(app, device) {
  const state = { ...formState(), reason: "lost" };
  const done = await openDialog({
    title: text.revokeTitle(device.name), className: "narrow",
    view: (close) => form(state, { submit: () => app.agent.call("devices.revoke", { did: device.did, reason: state.reason }), done: () => close(true), label: text.revokeGo, danger: true, cancel: () => close() },
      h("p", {}, text.revokeText),
      radioGroup({ owner: state, name: "reason", label: text.revokeReason, value: state.reason, changed: (reason) => { state.reason = reason; update(); }, options: Object.keys(text.reasons).map((key) => [key, text.reasons[key], text.reasonHelp[key]]) })),
  });
  if (done) notify("info", text.revoked(device.name));
}

// On the device that has the identity: code → two words to compare → approve.
async function openAdd(app) {
  const state = { ...formState(), code: "", name: "", found: null };
  const inspect = async () => {
    state.found = await app.agent.call("devices.pair.inspect", { code: state.code.trim() });
    state.name = state.found.name ?? "";
    return stay;
  };
  const approve = async () => {
    state.device = await app.agent.call("devices.pair.approve", { code: state.code.trim(), name: state.name.trim() });
    return stay;
  };
  await openDialog({
    title: () => (state.device ? text.answerTitle(state.device.name) : state.found ? text.compareTitle : text.addTitle), className: "narrow",
    view: (close) => state.device ? answerView(state.device, close) : state.found
      ? form(state, {
          submit: approve, done: close, label: text.approve, disabled: !state.name.trim(),
          extra: h("button", { class: "button", type: "button", onclick: () => { close(); notify("warning", text.differText); } }, text.differ),
        },
        h("p", {}, text.compare),
        h("p", { class: "pair-words", role: "group", "aria-label": text.words }, state.found.words.split("-").map((word, i) => h("span", { key: i }, word))),
        facts([[text.kinds[state.found.kind] ?? strings.nav.devices, h("span", { class: "did wrap" }, state.found.device)]]),
        textField(state, "name", { label: text.deviceName, maxlength: "64", changed: update }))
      : form(state, { submit: inspect, done: close, label: text.check, cancel: () => close(), disabled: !state.code.trim() },
        h("p", {}, text.addText),
        textField(state, "code", { label: text.code, autofocus: true, autocapitalize: "off", spellcheck: "false", class: "code-input", changed: update }),
        h("div", { class: "actions start" }, pasteButton(text.paste, (code) => { state.code = code; update(); }), h("button", { class: "button quiet", type: "button", onclick: async () => { const code = await openScan(() => true); if (code) { state.code = code; update(); } } }, icon("scan"), strings.dial.scan))),
  });
}

// The relay carries the answer; where it cannot, a person can.
function answerView(device, close) {
  return [
    h("p", { key: "approved" }, text.approved(device.name)),
    device.answer && h("p", { key: "text", class: "muted" }, text.answerText),
    device.answer && h("p", { key: "answer", class: "did wrap scroll", role: "group", "aria-label": text.answer }, device.answer),
    h("div", { key: "actions", class: "actions" }, device.answer && copyButton(text.copyAnswer, device.answer),
      h("button", { class: "button primary", type: "button", autofocus: true, onclick: () => close() }, strings.common.done)),
  ];
}

/** On the new device: shows the code the other one needs. */
export async function openPair(app) {
  const pairing = await attempt(() => app.agent.call("devices.pair.begin"));
  if (!pairing) return;
  let timer = null;
  const state = { ...formState(), answer: "" };
  const complete = async () => {
    const identity = await app.agent.call("devices.pair.complete", { answer: state.answer.trim() });
    notify("info", text.paired(identity.name));
  };
  openDialog({
    title: text.pairTitle, className: "narrow", closed: () => clearInterval(timer),
    view: (close) => {
      timer ??= setInterval(update, 1000);
      const expired = pairing.expires_at <= now();
      return h("div", { class: "pair" },
        h("p", {}, text.pairText),
        !expired && qrCode(pairing.svg, text.qr),
        !expired && h("p", { class: "code", role: "group", "aria-label": text.pairCode }, pairing.code),
        !expired && h("div", { class: "actions" }, copyButton(text.copyCode, pairing.code)),
        !expired && pairing.words && h("p", { class: "pair-words", role: "group", "aria-label": text.words }, pairing.words.split("-").map((word, i) => h("span", { key: i }, word))),
        h("p", { class: "muted", role: "status" }, expired ? text.pairExpired : text.pairUntil(clock(pairing.expires_at))),
        h("details", { class: "by-hand" }, h("summary", {}, text.byHand, icon("chevron")),
          form(state, { submit: complete, done: () => close(), label: text.finish, disabled: !state.answer.trim() },
            textField(state, "answer", { label: text.answerField, autocapitalize: "off", spellcheck: "false", changed: update }),
            h("div", { class: "actions start" }, pasteButton(text.paste, (answer) => { state.answer = answer; update(); }, 65_536)))),
        h("div", { class: "actions" },
          expired && h("button", { class: "button primary", type: "button", onclick: () => { close(); openPair(app); } }, text.pairAgain),
          h("button", { class: "button", type: "button", onclick: () => close() }, strings.common.done)));
    },
  });
}
