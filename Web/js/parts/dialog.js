// Native modal dialogs. The browser keeps focus inside, closes on Escape and gives focus back; this module mounts a view in one and resolves
// when it closes.

import { h, mount } from "../dom.js";
import { icon } from "../icons.js";
import { moveNotices, sentenceOf } from "../notices.js";
import { update } from "../dom.js";
import { strings } from "../strings.js";

const stack = [];

/**
 * Opens a dialog. `view(close)` returns its content below the title; `close(value)` ends it. Resolves with the value, undefined when dismissed.
 * `onEscape`, when given, replaces closing on Escape; a `light` one closes when the page beside it is pressed.
 */
export function openDialog({ title, label, className = "", role = null, view, onEscape = null, bare = false, closed = null, light = false }) {
  return new Promise((resolve) => {
    const dialog = document.createElement("dialog");
    const titleID = `dialog-${Math.random().toString(36).slice(2)}`;
    let result;
    const close = (value) => {
      result = value;
      dialog.close();
    };
    dialog.className = `dialog ${className}`;
    if (role) dialog.setAttribute("role", role);
    if (label) dialog.setAttribute("aria-label", label);
    else dialog.setAttribute("aria-labelledby", titleID);
    document.body.append(dialog);
    const unmount = mount(dialog, () => bare ? view(close) : [
      h("header", { key: "header", class: "dialog-header" },
        h("h2", { id: titleID }, typeof title === "function" ? title() : title),
        h("button", { class: "icon-button", type: "button", "aria-label": strings.common.close, onclick: () => close() }, icon("close"))),
      h("div", { key: "body", class: "dialog-body" }, view(close)),
    ]);
    dialog.addEventListener("cancel", (event) => {
      if (!onEscape) return;
      event.preventDefault();
      onEscape();
    });
    if (light) dialog.addEventListener("click", (event) => { if (event.target === dialog) close(); });
    dialog.addEventListener("close", () => {
      stack.splice(stack.indexOf(dialog), 1);
      moveNotices(stack.at(-1) ?? document.body);
      unmount();
      dialog.remove();
      closed?.();
      resolve(result);
    });
    stack.push(dialog);
    dialog.showModal();
    moveNotices(dialog);
    (dialog.querySelector("[autofocus]") ?? dialog.querySelector(".dialog-body input, .dialog-body button, .dialog-body select"))?.focus();
  });
}

export const dialogOpen = () => stack.length > 0;

/**
 * A form with its own busy state and its own place for what went wrong. `submit()` may throw; what it returns closes the dialog unless it is
 * the symbol `stay`.
 */
export const stay = Symbol("stay");

export function formState() {
  return { busy: false, error: null };
}

export function form(state, { submit, done, label, danger = false, disabled = false, cancel = null, extra = null }, ...fields) {
  const run = async (event) => {
    event.preventDefault();
    if (state.busy || disabled) return;
    state.busy = true;
    state.error = null;
    update();
    try {
      const value = await submit();
      if (value !== stay) done?.(value);
    } catch (error) {
      state.error = sentenceOf(error);
    } finally {
      state.busy = false;
      update();
    }
  };
  return h("form", { class: "form", onsubmit: run, novalidate: true },
    fields,
    h("div", { role: "alert" }, state.error && h("p", { class: "form-error" }, icon("warning"), state.error)),
    h("div", { class: "actions" },
      cancel && h("button", { class: "button", type: "button", onclick: cancel }, strings.common.cancel),
      extra,
      h("button", { class: `button ${danger ? "danger" : "primary"}`, type: "submit", disabled: disabled || state.busy, "aria-busy": state.busy ? "true" : null }, label)));
}

/** Asks yes or no; resolves with true on yes. `run` is done while the dialog is open, so that its failure is seen there. */
export function confirm({ title, text, label, danger = true, run }) {
  const state = formState();
  return openDialog({
    title,
    className: "narrow",
    view: (close) => form(state, { submit: async () => { await run?.(); return true; }, done: close, label, danger, cancel: () => close() }, h("p", {}, text)),
  });
}
