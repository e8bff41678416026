// On narrow screens: the way to everything about oneself.

import { h } from "../dom.js";
import { icon } from "../icons.js";
import { avatar } from "../parts/peer.js";
import { store } from "../store.js";
import { strings } from "../strings.js";

export function youView() {
  const { identity, relay } = store.state;
  return h("div", { class: "page" },
    h("header", { class: "view-header" }, h("h1", {}, strings.nav.you)),
    h("div", { class: "peer-card" }, avatar(identity, "large"), h("div", {}, h("p", { class: "peer-name" }, identity.name), h("p", { class: "did" }, identity.alias ?? ""))),
    h("ul", { class: "list", role: "list" }, ["broadcasts", "identity", "devices", "backup", "settings"].map((name) => h("li", { key: name },
      h("a", { class: "row", href: `#/${name}` }, h("span", { class: "row-mark" }, icon(name)),
        h("span", { class: "row-text" }, h("strong", {}, strings.nav[name]), name === "backup" && h("span", { class: "muted" }, identity.phrase_confirmed ? strings.backup.confirmedState : strings.backup.unconfirmedState)), icon("chevron", "muted"))))),
    h("p", { class: "relay", role: "status", "aria-label": strings.connection.relay }, h("span", { class: `dot dot-${relay?.state ?? "connecting"}`, "aria-hidden": "true" }), relay?.sentence ?? strings.connection.relayStates.connecting));
}
