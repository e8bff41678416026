// Scanning somebody's code, with a field for those whose browser cannot.

import { h, update } from "../dom.js";
import { icon } from "../icons.js";
import { sentenceOf } from "../notices.js";
import { openDialog } from "../parts/dialog.js";
import { textField } from "../parts/fields.js";
import { canScan, startScanner } from "../parts/qr.js";
import { strings } from "../strings.js";

/** Resolves with the text of a code or of the pasted link, undefined when dismissed. `accept(text)` says whether it is one; `words` replace those about links. */
export function openScan(accept = (value) => /^(dsip:|did:)/i.test(value), words = {}) {
  const text = { ...strings.scan, ...words };
  const state = { pasted: "", error: canScan() ? null : text.unsupported };
  let scanner = null;
  let ended = false;
  const begin = (close) => async (video) => {
    try {
      const started = await startScanner(video, (value) => {
        if (accept(value.trim())) close(value.trim());
        else if (state.error !== text.notDSIP) { state.error = text.notDSIP; update(); }
      });
      ended ? started.stop() : (scanner = started);
    } catch (error) {
      state.error = sentenceOf(error);
      update();
    }
  };
  return openDialog({
    title: text.title,
    className: "narrow",
    closed: () => { ended = true; scanner?.stop(); },
    view: (close) => [
      canScan() && h("p", { key: "looking" }, text.looking),
      canScan() && h("video", { key: "video", class: "scan-video", "aria-label": text.preview, playsinline: true, muted: true, created: begin(close) }),
      h("div", { key: "error", role: "alert" }, state.error && h("p", { class: "form-error" }, icon("info"), state.error)),
      h("form", { key: "form", class: "form", onsubmit: (event) => { event.preventDefault(); if (state.pasted.trim()) close(state.pasted.trim()); } },
        textField(state, "pasted", { label: text.field, changed: update }),
        h("div", { class: "actions" }, h("button", { class: "button primary", type: "submit", disabled: !state.pasted.trim() }, text.use))),
    ],
  });
}
