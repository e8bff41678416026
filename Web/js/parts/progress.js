// The truthful list of hops of a call. Every line that came from outside carries its evidence: who signed it and which message it was.

import { h } from "../dom.js";
import { clockWithSeconds, shortDID } from "../format.js";
import { deviceIcons, hopIcons, icon } from "../icons.js";
import { strings } from "../strings.js";

const text = strings.progress;

export function progressList(call) {
  const hops = call.progress ?? [];
  return h("section", { class: "progress", "aria-label": text.title },
    h("ol", { role: "list", "aria-live": "polite", "aria-relevant": "additions" }, hops.map((hop, index) => hopLine(hop, index, index === hops.length - 1 && call.state !== "ended"))));
}

function hopLine(hop, index, current) {
  const mark = deviceIcons[hop.device] && (hop.hop === "ringing" || hop.hop === "answered" || hop.hop === "elsewhere") ? deviceIcons[hop.device] : hopIcons[hop.hop] ?? "info";
  return h("li", { key: `${hop.hop}-${index}`, class: `hop hop-${hop.hop}${current ? " current" : ""}` },
    h("span", { class: "hop-mark" }, icon(mark)),
    h("div", { class: "hop-body" },
      h("p", {}, h("span", { class: "hop-sentence" }, hop.sentence || strings.hops.unknown), h("time", {}, clockWithSeconds(hop.at))),
      evidence(hop)));
}

function evidence(hop) {
  if (!hop.signer) return h("p", { class: "hop-own" }, text.own);
  return h("details", { class: "evidence" },
    h("summary", { "aria-label": text.evidence(shortDID(hop.signer), hop.sentence) }, text.signedBy(shortDID(hop.signer)), icon("chevron")),
    h("dl", {}, h("dt", {}, text.signer), h("dd", {}, hop.signer), h("dt", {}, text.message), h("dd", {}, hop.message ?? "")));
}
