// Call options: devices, keypad, picture in picture, shortcuts, and what is known about this call.

import { h } from "../dom.js";
import { icon } from "../icons.js";
import { attempt } from "../notices.js";
import { openDialog } from "../parts/dialog.js";
import { facts } from "../parts/fields.js";
import { basis, nameOf } from "../parts/peer.js";
import { progressList } from "../parts/progress.js";
import { findCall } from "../store.js";
import { strings } from "../strings.js";
import { deviceFields } from "./settings.js";

const text = strings.call;
const KEYS = ["1", "2", "3", "4", "5", "6", "7", "8", "9", "*", "0", "#"];

export function openOptions(app, session) {
  openDialog({
    title: text.optionsTitle, className: "sheet",
    view: (close) => {
      const call = findCall(session);
      const media = app.calls.media(session);
      if (!call || call.state === "ended" || !media) {
        queueMicrotask(() => close());
        return null;
      }
      return [
        h("section", { key: "devices" }, h("h3", {}, text.devices), deviceFields((kind) => attempt(() => (kind === "speaker" ? media.chooseSpeaker() : media.switchDevice(kind))))),
        pictureInPicture(close),
        h("details", { key: "keypad" }, h("summary", {}, icon("keypad"), text.keypad, icon("chevron")), keypad(app, call)),
        h("details", { key: "about" }, h("summary", {}, icon("info"), text.details, icon("chevron")), about(call, media)),
        h("details", { key: "shortcuts" }, h("summary", {}, icon("computer"), text.shortcuts, icon("chevron")),
          h("dl", { class: "shortcuts" }, strings.shortcuts.map(([key, what]) => h("div", { key }, h("dt", {}, h("kbd", {}, key)), h("dd", {}, what))))),
      ];
    },
  });
}

function pictureInPicture(close) {
  if (!document.pictureInPictureEnabled) return null;
  const show = async () => {
    const video = document.querySelector(".stage > .video");
    if (!video) return;
    close();
    await video.requestPictureInPicture();
  };
  return h("button", { key: "pip", class: "button", type: "button", onclick: () => attempt(show) }, icon("pip"), text.pip);
}

function keypad(app, call) {
  const send = (digit) => () => attempt(() => app.agent.call("call.dtmf", { session: call.session, digits: digit }));
  return h("div", { class: "keypad" }, KEYS.map((digit) => h("button", { key: digit, class: "button", type: "button", "aria-label": text.key(digit), disabled: call.state !== "active", onclick: send(digit) }, digit)));
}

function about(call, media) {
  const stats = media.statistics;
  const percent = new Intl.NumberFormat(navigator.language, { style: "percent", maximumFractionDigits: 1 });
  return [
    basis(call.peer),
    h("p", { key: "security" }, text.security(nameOf(call.peer))),
    facts([
      [text.answeredByTerm, call.answered_by ? text.answeredBy[call.answered_by] ?? text.answeredBy.service : null],
      [text.cipher, stats.cipher], [text.route, text.routes[stats.route] ?? null],
      [text.picture, stats.width ? `${stats.width} × ${stats.height}, ${Math.round(stats.framesPerSecond ?? 0)}/s` : null],
      [text.roundTrip, stats.roundTrip === null ? null : `${Math.round(stats.roundTrip * 1000)} ms`],
      [text.loss, percent.format(stats.loss)], [text.identifier, h("span", { class: "did wrap" }, call.session)],
    ]),
    progressList(call),
  ];
}
