// A menu of actions beside the thing they act on; at the foot of the screen on narrow ones. A native dialog, so that focus stays inside, Escape
// closes and focus returns; arrow keys go from item to item.

import { h } from "../dom.js";
import { icon } from "../icons.js";
import { openDialog } from "./dialog.js";

const GAP = 8;

/** Opens it at `anchor`. `view(close)` returns what stands above the items, `items` are `{name, iconName, run, danger}`; a falsy one is left out. */
export function openMenu(anchor, label, items, view = () => null) {
  let chosen = null;
  return openDialog({
    label, className: "menu", bare: true, closed: () => chosen?.(),
    view: (close) => h("div", { key: "menu", class: "menu-body", onkeydown: arrows, created: (element) => place(element.closest("dialog"), anchor), onclick: (event) => event.stopPropagation() },
      view(close),
      h("ul", { role: "list" }, items.filter(Boolean).map(({ name, iconName, run, danger }) => h("li", { key: name },
        h("button", { type: "button", class: `menu-item ${danger ? "danger" : ""}`, onclick: () => { chosen = run; close(); } }, icon(iconName), name))))),
    light: true,
  });
}

function arrows(event) {
  const step = { ArrowDown: 1, ArrowUp: -1, ArrowRight: 1, ArrowLeft: -1 }[event.key];
  if (!step || event.target.matches("input")) return;
  event.preventDefault();
  const buttons = [...event.currentTarget.querySelectorAll("button")];
  buttons[(buttons.indexOf(document.activeElement) + step + buttons.length) % buttons.length]?.focus();
}

// The dialog is measured once it is open, then put where it fits: below the anchor, else above it.
function place(dialog, anchor) {
  if (!anchor || innerWidth <= 760) return;
  queueMicrotask(() => {
    const { left, right, top, bottom } = anchor.getBoundingClientRect();
    const { width, height } = dialog.getBoundingClientRect();
    const below = bottom + GAP + height <= innerHeight - GAP;
    const x = left + width <= innerWidth - GAP ? left : right - width;
    dialog.style.setProperty("margin", "0");
    dialog.style.setProperty("left", `${Math.max(GAP, x)}px`);
    dialog.style.setProperty("top", `${below ? bottom + GAP : Math.max(GAP, top - GAP - height)}px`);
  });
}
