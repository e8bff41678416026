// My identity: its code and link for others, its name and alias, and the other identities of this person.

import { h, update } from "../dom.js";
import { shortDID } from "../format.js";
import { icon } from "../icons.js";
import { attempt, notify } from "../notices.js";
import { form, formState, openDialog } from "../parts/dialog.js";
import { actionButton, copyButton, facts, selectField, textField } from "../parts/fields.js";
import { avatar } from "../parts/peer.js";
import { qrCode } from "../parts/qr.js";
import { contactOf, store } from "../store.js";
import { strings } from "../strings.js";

const text = strings.identity;
const code = { key: null, svg: null };

export function identityView(app) {
  const { identity, identities, relay } = store.state;
  loadCode(app, identity);
  return h("div", { class: "page" },
    h("header", { class: "view-header" }, h("h1", {}, text.title)),
    !identity.phrase_confirmed && h("p", { class: "banner warn" }, icon("warning"), h("span", { class: "grow" }, text.backupMissing), h("a", { class: "button small", href: "#/backup" }, text.backupGo)),
    h("section", { class: "card identity-card", "aria-label": identity.name },
      code.svg ? qrCode(code.svg, text.qr(identity.name)) : h("div", { class: "qr qr-empty" }),
      h("div", { class: "identity-text" },
        h("h2", {}, identity.name),
        identity.alias && h("p", { class: "alias" }, identity.alias),
        h("p", { class: "muted" }, text.scanMe),
        h("div", { class: "actions start" },
          copyButton(text.copyLink, identity.uri, "button primary"),
          copyButton(text.copyDID, identity.did),
          h("button", { class: "button", type: "button", onclick: () => openRename(app, identity) }, icon("edit"), text.rename),
          !identity.alias && h("button", { class: "button", type: "button", onclick: () => openClaim(app) }, icon("link"), text.claim)))),
    h("section", { class: "card" }, h("h2", {}, icon("key"), text.ownedTitle), h("p", {}, identity.can_rotate ? text.hosted : text.owned),
      identity.moved_to && h("p", { class: "banner" }, h("span", { class: "grow" }, text.movedTo(nameOf(identity.moved_to))), actionButton(text.moveWithdraw, async () => { await app.agent.call("identity.move.withdraw", { did: identity.did }); notify("info", text.moveWithdrawn); }, { className: "button small" })),
      h("div", { class: "actions start" },
        identity.can_rotate && h("button", { class: "button", type: "button", onclick: () => openRotate(app, identity) }, icon("key"), text.rotate),
        !identity.moved_to && !identity.throwaway_for && h("button", { class: "button quiet", type: "button", onclick: () => openMove(app, identity) }, text.move)),
      facts([[text.did, h("span", { class: "did wrap" }, identity.did)], [text.relay, identity.relay ?? relay?.url]])),
    h("section", { class: "day" },
      h("header", { class: "view-header" }, h("h2", {}, text.others), h("button", { class: "button", type: "button", onclick: () => openCreate(app) }, icon("plus"), text.create)),
      h("ul", { class: "list", role: "list", "aria-label": text.others }, identities.map((other) => row(app, other)))));
}

function loadCode(app, identity) {
  const key = `${identity.did} ${identity.uri}`;
  if (code.key === key || store.status !== "open") return;
  Object.assign(code, { key, svg: null });
  attempt(async () => {
    const { svg } = await app.agent.call("identity.qr", { did: identity.did });
    if (code.key === key) code.svg = svg;
    update();
  });
}

function row(app, identity) {
  const line = identity.throwaway_for ? text.throwawayFor(contactOf(identity.throwaway_for)?.name ?? strings.peer.unnamed) : identity.alias ?? shortDID(identity.did);
  return h("li", { key: identity.did, class: "row-group" },
    h("div", { class: "row" }, avatar(identity), h("span", { class: "row-text" }, h("strong", {}, identity.name), h("span", { class: "muted" }, line))),
    identity.current ? h("span", { class: "tag" }, text.current)
      : !identity.throwaway_for && actionButton(text.useShort, async () => { await app.agent.call("identity.select", { did: identity.did }); notify("info", text.switched(identity.name)); }, { name: text.use(identity.name), className: "button small" }));
}

function openRename(app, identity) {
  const state = { ...formState(), name: identity.name };
  openDialog({
    title: text.renameTitle, className: "narrow",
    view: (close) => form(state, { submit: () => app.agent.call("identity.rename", { did: identity.did, name: state.name.trim() }), done: close, label: strings.common.save, cancel: () => close(), disabled: !state.name.trim() },
      textField(state, "name", { label: text.name, help: text.renameHelp, autofocus: true, maxlength: "64", changed: update })),
  });
}

async function openClaim(app) {
  const state = { ...formState(), name: "" };
  const claimed = await openDialog({
    title: text.claimTitle, className: "narrow",
    view: (close) => form(state, { submit: () => app.agent.call("identity.register", { name: state.name.trim() }), done: close, label: text.claimGo, cancel: () => close(), disabled: !state.name.trim() },
      h("p", {}, text.claimText), textField(state, "name", { label: text.claimField, autofocus: true, autocapitalize: "none", maxlength: "64", changed: update })),
  });
  if (claimed) notify("info", text.claimed(claimed.alias));
}

const nameOf = (did) => { const other = store.state.identities.find((own) => own.did === did); return other ? `${other.name} (${other.alias ?? shortDID(did)})` : shortDID(did); };

async function openMove(app, identity) {
  const others = store.state.identities.filter((own) => own.did !== identity.did && !own.throwaway_for && !own.moved_to);
  const state = { ...formState(), to: others[0]?.did ?? "" };
  const moved = await openDialog({
    title: text.moveTitle, className: "narrow",
    view: (close) => form(state, { submit: () => app.agent.call("identity.move", { did: identity.did, to: state.to }), done: close, label: text.moveGo, cancel: () => close(), disabled: !state.to },
      h("p", {}, text.moveText),
      others.length ? selectField({ owner: state, name: "to", label: text.moveTo, value: state.to, options: others.map((own) => [own.did, nameOf(own.did)]), changed: (to) => { state.to = to; update(); } })
        : h("p", { class: "help" }, text.moveNone)),
  });
  if (moved) notify("info", text.moved);
}

async function openRotate(app, identity) {
  const state = { ...formState(), reason: "scheduled" };
  const rotated = await openDialog({
    title: text.rotateTitle, className: "narrow",
    view: (close) => form(state, { submit: () => app.agent.call("identity.rotate", { did: identity.did, reason: state.reason }), done: close, label: text.rotate, cancel: () => close() },
      h("p", {}, text.rotateText),
      selectField({ owner: state, name: "reason", label: text.rotateReason, value: state.reason, options: Object.entries(text.rotateReasons), changed: (reason) => { state.reason = reason; update(); } }),
      h("p", { class: "help" }, text.rotateHelp)),
  });
  if (rotated) notify("info", text.rotated);
}

function openCreate(app) {
  const state = { ...formState(), name: "", hosted: "", passphrase: "" };
  openDialog({
    title: text.createTitle, className: "narrow",
    view: (close) => form(state, { submit: () => app.agent.call("identity.create", { name: state.name.trim(), ...(state.hosted.trim() ? { hosted_as: state.hosted.trim() } : {}), ...(state.passphrase ? { passphrase: state.passphrase } : {}) }), done: close, label: text.createGo, cancel: () => close(), disabled: !state.name.trim() },
      h("p", {}, text.createText),
      textField(state, "name", { label: text.name, autofocus: true, maxlength: "64", changed: update }),
      textField(state, "hosted", { label: text.hostedAs, help: text.hostedHelp, optional: true, autocapitalize: "none", maxlength: "32", changed: update }),
      textField(state, "passphrase", { label: text.passphrase, help: text.passphraseHelp, optional: true, type: "password", autocomplete: "new-password" })),
  });
}
