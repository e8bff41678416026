// One picture in the whole window; arrow keys go to the conversation's others.

import { h, update } from "../dom.js";
import { icon } from "../icons.js";
import { memberName } from "../messages.js";
import { clock, day } from "../format.js";
import { openDialog } from "../parts/dialog.js";
import { strings } from "../strings.js";
import { saveAttachment } from "./attachment.js";

const text = strings.file;

export function openViewer(app, conversation, first) {
  const state = { id: first.id, actual: false };
  const pictures = () => app.messages.timeline(conversation).messages.filter((message) => message.kind === "image" && !message.retracted);
  const step = (by) => {
    const list = pictures();
    const next = list[list.findIndex((message) => message.id === state.id) + by];
    if (!next) return;
    Object.assign(state, { id: next.id, actual: false });
    app.messages.attachments.load(next);
    update();
  };
  const keys = (event) => {
    if (event.key === "ArrowLeft" || event.key === "ArrowRight") step(event.key === "ArrowLeft" ? -1 : 1);
  };
  return openDialog({
    label: text.viewer, className: "viewer", bare: true,
    view: (close) => {
      const list = pictures();
      const index = list.findIndex((message) => message.id === state.id);
      const message = list[index] ?? first;
      const name = memberName(conversation, message.sender);
      const { url } = app.messages.attachments.of(message);
      const alt = text.picture(name);
      return h("div", { key: "viewer", class: "viewer-body", onkeydown: keys },
        h("header", { key: "top", class: "viewer-top" },
          h("button", { class: "icon-button", type: "button", "aria-label": text.close, onclick: () => close() }, icon("close")),
          h("p", { class: "grow" }, h("strong", {}, name), h("span", { class: "viewer-when" }, `${day(message.sent_at)} ${clock(message.sent_at)}`)),
          list.length > 1 && h("span", { class: "tabular", role: "status" }, text.of(index + 1, list.length)),
          h("button", { class: "icon-button", type: "button", "aria-label": text.save(alt), onclick: () => saveAttachment(app, message) }, icon("download"))),
        h("div", { key: "stage", class: `viewer-stage ${state.actual ? "actual" : ""}`, onclick: (event) => { if (event.target === event.currentTarget) close(); } },
          url && h("button", { key: message.id, type: "button", class: "viewer-picture", "aria-label": state.actual ? text.fit : text.zoom, onclick: () => { state.actual = !state.actual; update(); } }, h("img", { src: url, alt }))),
        index > 0 && h("button", { key: "previous", class: "icon-button viewer-step previous", type: "button", "aria-label": text.previous, onclick: () => step(-1) }, icon("back")),
        index >= 0 && index < list.length - 1 && h("button", { key: "next", class: "icon-button viewer-step next", type: "button", "aria-label": text.next, onclick: () => step(1) }, icon("chevron")),
        message.text && h("p", { key: "text", class: "viewer-text" }, message.text));
    },
  });
}
