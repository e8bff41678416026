// Who has a message and who has read it, as receipts say (M§10). "Sent" is the service's word alone.

import { h } from "../dom.js";
import { clock, day } from "../format.js";
import { icon } from "../icons.js";
import { memberName, others } from "../messages.js";
import { openDialog } from "../parts/dialog.js";
import { facts } from "../parts/fields.js";
import { strings } from "../strings.js";

const text = strings.delivery;
const when = (seconds) => `${day(seconds)} ${clock(seconds)}`;

export function openDelivery(conversation, message) {
  return openDialog({
    title: text.title, className: "narrow", light: true,
    view: () => [
      h("p", { key: "state", class: "state" }, icon(message.state === "failed" ? "warning" : "info"), message.state_sentence || strings.messages.states[message.state]),
      h("div", { key: "facts" }, facts([[text.sent, when(message.sent_at)], [text.received, message.mine ? null : message.received_at && when(message.received_at)]])),
      message.mine && h("ul", { key: "people", class: "receipts", role: "list", "aria-label": text.people }, others(conversation).map((member) => person(conversation, message, member))),
      message.mine && h("p", { key: "help", class: "help" }, message.state === "accepted" ? `${text.accepted}. ` : "", text.readUnknown),
      message.edited && h("p", { key: "edited", class: "help" }, text.edited),
    ],
  });
}

function person(conversation, message, { did }) {
  const receipt = message.receipts?.find((candidate) => candidate.did === did);
  const lines = [[receipt?.played_at, text.hasPlayed], [receipt?.read_at, text.hasRead], [receipt?.delivered_at, text.has]].filter(([at]) => at);
  const mark = receipt?.read_at || receipt?.played_at ? "ticks accent" : "";
  return h("li", { key: did },
    icon(lines.length ? "ticks" : "clockMark", mark), h("div", {}, h("strong", {}, memberName(conversation, did)),
      lines.length ? lines.map(([at, sentence]) => h("span", { key: sentence }, `${sentence} · ${when(at)}`)) : h("span", {}, text.notYet)));
}
