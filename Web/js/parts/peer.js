// How a person is shown: a mark, a name, who gave that name, and on what basis the identity is known (DSIP §18.1). Never a bare tick.

import { h } from "../dom.js";
import { initials, shortDID } from "../format.js";
import { icon } from "../icons.js";
import { strings } from "../strings.js";

/** A mark that belongs to the identity: its tint comes from the DID, so two people of one name do not look alike. */
/** With a mark where somebody is said to be there. */
export function avatar(peer, size = "", here = false) {
  let sum = 0;
  for (const character of peer?.did ?? peer?.name ?? "") sum = (sum * 31 + character.codePointAt(0)) % 997;
  return h("span", { class: `avatar ${size}`, "data-tint": sum % 6, "aria-hidden": "true" }, initials(peer?.name), here && h("span", { class: "here-mark" }));
}

export const nameOf = (peer) => peer?.name || peer?.alias || shortDID(peer?.did) || strings.peer.unnamed;

/** Basis lines, and beside them who the name comes from. */
export function basis(peer, { naming = true } = {}) {
  const lines = peer?.basis?.length ? peer.basis : [strings.peer.noBasis];
  const named = peer?.named_by === "you" ? strings.peer.namedByYou : peer?.named_by === "them" ? strings.peer.namedByThem : null;
  return h("ul", { class: "basis", "aria-label": strings.peer.basis },
    lines.map((line, index) => h("li", { key: index }, icon("key"), line)),
    naming && named && h("li", { key: "named" }, icon("edit"), named),
    peer?.key_changed && h("li", { key: "changed", class: "warn" }, icon("warning"), strings.peer.keyChanged),
    peer?.blocked && h("li", { key: "blocked", class: "warn" }, icon("block"), strings.peer.blocked));
}

/** Avatar, name, address and basis on one card. */
export function peerCard(peer, ...extra) {
  return h("div", { class: "peer-card" }, avatar(peer, "large"),
    h("div", {}, h("p", { class: "peer-name" }, nameOf(peer)), h("p", { class: "did" }, peer.alias ?? shortDID(peer.did)), basis(peer), extra));
}
