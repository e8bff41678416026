// What else can be said: a place, or somebody's address.

import { h, update } from "../dom.js";
import { icon } from "../icons.js";
import { form, formState, openDialog } from "../parts/dialog.js";
import { radioGroup, textField } from "../parts/fields.js";
import { store } from "../store.js";
import { strings } from "../strings.js";

const text = strings.enclose;

export async function openEnclose(app, conversation) {
  const choice = await openDialog({
    title: text.title, className: "narrow", light: true,
    view: (close) => [
      h("button", { key: "place", class: "menu-item", type: "button", onclick: () => close(openPlace) }, icon("pin"), text.place),
      h("button", { key: "person", class: "menu-item", type: "button", onclick: () => close(openPerson) }, icon("identity"), text.person),
    ],
  });
  await choice?.(app.messages.composer(conversation), conversation);
}

/** Degrees as a whole number of ten-millionths; null when it is none or beyond `most` degrees. */
export function degrees(words, most) {
  const value = Number(words.trim().replace(",", "."));
  return words.trim() && Number.isFinite(value) && Math.abs(value) <= most ? Math.round(value * 1e7) : null;
}

function openPlace(composer) {
  const state = { ...formState(), latitude: "", longitude: "" };
  const here = () => navigator.geolocation?.getCurrentPosition(
    ({ coords }) => { Object.assign(state, { latitude: coords.latitude.toFixed(6), longitude: coords.longitude.toFixed(6), error: null }); update(); },
    () => { state.error = text.notHere; update(); },
    { timeout: 15_000, maximumAge: 60_000 });
  return openDialog({
    title: text.placeTitle, className: "narrow",
    view: (close) => {
      const [lat_e7, lon_e7] = [degrees(state.latitude, 90), degrees(state.longitude, 180)];
      return form(state, { submit: () => composer.sendFacts({ kind: "location", lat_e7, lon_e7 }), done: close, label: text.send, cancel: () => close(), disabled: lat_e7 === null || lon_e7 === null },
        textField(state, "latitude", { label: text.latitude, help: text.degrees, inputmode: "decimal", autofocus: true, changed: update }),
        textField(state, "longitude", { label: text.longitude, inputmode: "decimal", changed: update }),
        navigator.geolocation && h("div", { class: "actions start" }, h("button", { class: "button quiet", type: "button", onclick: here }, icon("pin"), text.here)),
        h("p", { class: "help" }, text.placeText));
    },
  });
}

function openPerson(composer, conversation) {
  const present = conversation.kind === "direct" ? conversation.members.map(({ did }) => did) : [];
  const people = store.state.contacts.filter((contact) => !contact.blocked && !present.includes(contact.did)).sort((a, b) => a.name.localeCompare(b.name));
  const state = { ...formState(), did: people[0]?.did ?? null };
  return openDialog({
    title: text.personTitle, className: "narrow",
    view: (close) => form(state, { submit: () => composer.sendFacts({ kind: "contact", did: state.did, text: people.find(({ did }) => did === state.did).name }), done: close, label: text.send, cancel: () => close(), disabled: !state.did },
      people.length
        ? radioGroup({ label: text.person, options: people.map(({ did, name }) => [did, name]), value: state.did, changed: (did) => { state.did = did; update(); }, owner: state, name: "did" })
        : h("p", {}, text.nobody),
      h("p", { class: "help" }, text.personText)),
  });
}
