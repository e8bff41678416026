// The safety number: the same for both when nobody sits in between. Compared by reading it out, or by scanning.

import { h, update } from "../dom.js";
import { icon } from "../icons.js";
import { memberName } from "../messages.js";
import { notify, sentenceOf } from "../notices.js";
import { openDialog } from "../parts/dialog.js";
import { qrCode } from "../parts/qr.js";
import { strings } from "../strings.js";
import { openScan } from "./scan.js";

const text = strings.safety;

export function openSafety(app, conversation, member) {
  const name = memberName(conversation, member.did);
  const state = { number: null, error: null, differ: false, busy: false };
  const ask = { id: conversation.id, ...(conversation.kind === "group" ? { did: member.did } : {}) };
  const load = async () => {
    try {
      state.number = await app.agent.call("conversations.safety", ask);
      state.differ = state.number.compared === "different";
    } catch (error) {
      state.error = sentenceOf(error);
    }
    update();
  };
  const compare = async (scanned) => {
    state.busy = true;
    update();
    try {
      const { result } = await app.agent.call("conversations.safety.compare", { ...ask, scanned });
      state.differ = result === "different";
      if (result === "same") notify("info", text.same);
      await load();
    } catch (error) {
      state.error = sentenceOf(error);
    }
    state.busy = false;
    update();
  };
  load();
  return openDialog({
    title: text.title(name), className: "narrow",
    view: () => [
      h("p", { key: "text" }, text.text(name)),
      h("div", { key: "error", role: "alert" }, state.error && h("p", { class: "form-error" }, icon("warning"), state.error)),
      state.number && number(state),
      state.differ && h("section", { key: "differ", class: "card warning", role: "alert" }, h("h3", {}, icon("warning"), text.differTitle), h("p", {}, text.differText(name))),
      state.number && h("div", { key: "actions", class: "actions center" },
        h("button", { class: "button", type: "button", disabled: state.busy, onclick: async () => { const scanned = await openScan((value) => value.length >= 20, { title: text.scanTitle, notDSIP: text.notNumber, field: text.field, use: text.use, unsupported: text.noScan }); if (scanned) compare(scanned.replace(/^([\d\s]+)$/, (digits) => digits.replace(/\s/g, ""))); } }, icon("scan"), text.scan),
        h("button", { class: "button", type: "button", disabled: state.busy, onclick: () => { state.differ = true; update(); } }, text.differ),
        h("button", { class: "button primary", type: "button", disabled: state.busy, onclick: () => compare(state.number.digits.replace(/\s/g, "")) }, text.match)),
    ],
  });
}

function number({ number: { digits, svg, compared, basis } }) {
  return h("div", { key: "number", class: "pair" },
    svg && qrCode(svg, text.qr),
    h("p", { class: "digits", role: "group", "aria-label": text.digits }, digits.split(/\s+/).map((group, index) => h("span", { key: index }, group))),
    h("p", { class: `state ${compared === "same" ? "ok" : compared === "different" ? "warn" : "muted"}` }, icon(compared === "same" ? "check" : compared === "different" ? "warning" : "info"), text.compared[compared] ?? text.compared.never),
    basis && h("p", { class: "help" }, basis));
}
