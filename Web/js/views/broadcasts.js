// Streams that are followed: who publishes them, who had them in hands on the way, what of that is proved, and the way to play them.

import { capabilities, obstacle } from "../broadcast.js";
import { h, update } from "../dom.js";
import { clock, day, shortDID } from "../format.js";
import { icon } from "../icons.js";
import { attempt } from "../notices.js";
import { confirm, form, formState, openDialog } from "../parts/dialog.js";
import { copyButton, emptyState, facts, textField } from "../parts/fields.js";
import { basis, nameOf } from "../parts/peer.js";
import { store } from "../store.js";
import { strings } from "../strings.js";

const text = strings.broadcasts;
// The choice that the agent made for the record shown, by publication.
const choices = new Map();

export function broadcastsView(app, stream) {
  const shown = store.state.broadcasts.find((broadcast) => broadcast.stream === stream);
  return shown ? detail(app, shown) : list(app);
}

const titleOf = (broadcast) => broadcast.record?.title || broadcast.stream.split(":").slice(3).join(":") || nameOf(broadcast.publisher);

function list(app) {
  const { broadcasts } = store.state;
  const follow = h("button", { class: "button primary", type: "button", onclick: () => openFollow(app) }, icon("plus"), text.follow);
  return h("div", { class: "page" },
    h("header", { class: "view-header" }, h("h1", {}, text.title), broadcasts.length > 0 && follow),
    broadcasts.length === 0 ? emptyState("broadcasts", text.emptyTitle, text.empty, follow)
      : h("ul", { class: "list", role: "list", "aria-label": text.list }, broadcasts.map((broadcast) => h("li", { key: broadcast.stream },
        h("a", { class: "row", href: `#/broadcasts/${encodeURIComponent(broadcast.stream)}`, "aria-label": text.show(titleOf(broadcast)) }, h("span", { class: "row-mark" }, icon("broadcasts")),
          h("span", { class: "row-text" }, h("strong", {}, titleOf(broadcast)), h("span", { class: "muted" }, nameOf(broadcast.publisher))),
          h("span", { class: "tag" }, text.states[broadcast.state]), icon("chevron", "muted"))))));
}

async function openFollow(app) {
  const state = { ...formState(), stream: "", relay: "" };
  const found = await openDialog({
    title: text.follow,
    view: (close) => form(state, {
      submit: () => app.agent.call("broadcast.watch", { stream: state.stream.trim(), ...(state.relay.trim() ? { relay: state.relay.trim() } : {}) }),
      done: close, label: text.followGo, cancel: () => close(), disabled: !state.stream.trim(),
    },
    textField(state, "stream", { label: text.stream, help: text.streamHelp, autofocus: true, autocapitalize: "none", changed: update }),
    textField(state, "relay", { label: text.relay, help: text.relayHelp, optional: true, autocapitalize: "none", changed: update })),
  });
  if (found) location.hash = `#/broadcasts/${encodeURIComponent(found.stream)}`;
}

function detail(app, broadcast) {
  const title = titleOf(broadcast);
  return h("article", { class: "page", "aria-label": title },
    h("header", { class: "view-header" }, h("a", { class: "icon-button", href: "#/broadcasts", "aria-label": text.back }, icon("back")), h("h1", {}, title), h("span", { class: "tag", role: "status", "aria-label": text.state }, text.states[broadcast.state])),
    h("p", { class: "muted" }, text.sentences[broadcast.state], !broadcast.current && ["live", "scheduled"].includes(broadcast.state) && ` ${text.notCurrent}`),
    broadcast.fault && h("p", { class: "banner warn", role: "alert" }, icon("warning"), text.fault(broadcast.fault)),
    broadcast.record && player(app, broadcast),
    publisherCard(broadcast),
    broadcast.record && pathCard(broadcast),
    broadcast.record && policyCard(broadcast.record),
    h("div", { class: "actions start" }, h("button", { class: "button danger-quiet", type: "button", onclick: () => confirm({ title: text.forgetTitle(title), text: text.forgetText, label: text.forget, run: async () => { await app.agent.call("broadcast.unwatch", { stream: broadcast.stream }); location.hash = "#/broadcasts"; } }) }, text.forget)));
}

function publisherCard({ publisher, stream }) {
  return h("section", { key: "publisher", class: "card", "aria-label": text.publisher }, h("h2", {}, icon("identity"), text.publisher),
    facts([[text.name, nameOf(publisher)], [text.did, h("span", { class: "did wrap" }, publisher.did)], [text.streamID, h("span", { class: "did wrap" }, stream)]]), basis(publisher));
}

function pathCard(broadcast) {
  const mode = chosen(broadcast)?.integrity ?? broadcast.integrity;
  return h("section", { key: "path", class: "card", "aria-label": text.path }, h("h2", {}, icon("relay"), text.path),
    broadcast.provenance.length === 0 && h("p", {}, text.direct),
    broadcast.provenance.length > 0 && h("ul", { class: "basis", "aria-label": text.processors }, broadcast.provenance.map((statement) => h("li", { key: statement.id }, icon(statement.policy_violation ? "warning" : "key"),
      h("span", {}, (text.operations[statement.operation] ?? text.operations.other)(shortDID(statement.processor)), " ", h("span", { class: "muted" }, text.variants(statement.input_variant, statement.output_variant)),
        statement.policy_violation && h("span", { class: "warn" }, ` ${text.violations[statement.policy_violation]}`))))),
    broadcast.refused_statements.length > 0 && h("p", { class: "warn" }, text.refused(broadcast.refused_statements.length)),
    facts([[text.integrity, mode]]),
    h("p", { class: "help" }, text.modes[mode]));
}

function policyCard(record) {
  const policy = Object.entries(record.policy);
  return h("section", { key: "policy", class: "card", "aria-label": text.policy }, h("h2", {}, icon("file"), text.policy),
    policy.length ? facts(policy.map(([key, value]) => [key, value])) : h("p", {}, text.noPolicy),
    h("p", { class: "help" }, text.policyHelp, " ", text.valid(`${day(record.expires_at)} ${clock(record.expires_at)}`)));
}

// MARK: Playing

function chosen(broadcast) {
  const known = choices.get(broadcast.stream);
  return known?.of === fingerprint(broadcast) ? known.choice : null;
}

const fingerprint = ({ record, provenance }) => [record?.publication, ...provenance.map((statement) => statement.id)].join(" ");

function choose(app, broadcast) {
  const of = fingerprint(broadcast);
  if (choices.get(broadcast.stream)?.of === of) return;
  choices.set(broadcast.stream, { of, choice: null });
  const able = capabilities();
  const except = broadcast.record.variants.filter((variant) => obstacle(variant, able)).map((variant) => variant.id);
  attempt(async () => {
    const choice = await app.agent.call("broadcast.choose", { stream: broadcast.stream, ...able, except });
    choices.set(broadcast.stream, { of, choice });
    update();
  });
}

function player(app, broadcast) {
  choose(app, broadcast);
  const able = capabilities();
  const playing = app.playback.of(broadcast.stream);
  const best = chosen(broadcast)?.variant;
  const over = !["live"].includes(broadcast.state);
  return h("section", { key: "player", class: "card", "aria-label": text.player }, h("h2", {}, icon("broadcasts"), text.player),
    playing && screen(app, playing, titleOf(broadcast)),
    playing?.trouble && h("p", { class: "warn", role: "alert" }, text.trouble(playing.trouble)),
    over && h("p", {}, text.notLive),
    !over && !best && chosen(broadcast) && h("p", { class: "warn", role: "alert" }, text.nothing),
    h("ul", { class: "list ways", role: "list", "aria-label": text.ways }, broadcast.record.variants.map((variant) => {
      const why = obstacle(variant, able);
      const runs = playing?.variant.id === variant.id;
      return h("li", { key: variant.id, class: "row" },
        h("span", { class: "row-text" }, h("strong", {}, variant.id), variant.id === best && h("span", { class: "accent" }, text.best), h("span", { class: "muted" }, `${variant.media.join(", ")} · ${variant.codec.replace("codec:", "")} · ${variant.transport.replace("transport:", "")}`),
          h("span", { class: "help" }, why ?? text.from(hostOf(variant.uri)))),
        why && variant.transport === "transport:hls" && /^https?:/.test(variant.uri) && copyButton(text.copyAddress, variant.uri, "button quiet"),
        runs ? h("button", { class: "button", type: "button", "aria-label": text.stopName(variant.id), onclick: () => app.playback.stop() }, text.stop)
          : h("button", { class: `button ${variant.id === best ? "primary" : ""}`, type: "button", disabled: Boolean(why) || over, "aria-label": text.playName(variant.id), onclick: () => app.playback.start(broadcast.stream, variant) }, text.play));
    })));
}

function hostOf(uri) {
  try {
    return new URL(uri).host;
  } catch {
    return uri;
  }
}

function screen(app, playing, title) {
  const isVideo = playing.variant.media.includes("video");
  const note = (state, trouble = null) => app.playback.note(playing, state, trouble);
  return h(isVideo ? "video" : "audio", {
    key: `${playing.stream} ${playing.variant.id}`, class: "broadcast-media", controls: true, autoplay: true, playsinline: true, "aria-label": text.sound(title),
    ...(playing.connection ? { srcObject: playing.media } : playing.trouble ? {} : { src: playing.variant.uri }),
    onplaying: () => note("playing"), onerror: () => note("stopped", text.obstacles.failed),
    removed: (element) => { element.removeAttribute("src"); element.srcObject = null; element.load(); },
  });
}
