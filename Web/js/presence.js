// Who of the contacts is there: their relays are asked for as long as somebody looks at the page, and not longer.

import { update } from "./dom.js";
import { store } from "./store.js";

const MOST = 128;
// The agent looks for ten minutes once people are named.
const AGAIN = 4 * 60_000;

export function startPresence(agent) {
  let asked = "";
  async function look(always) {
    if (document.hidden || store.status !== "open" || !store.state?.identity) return;
    const dids = store.state.contacts.filter((contact) => !contact.blocked).sort((a, b) => b.added_at - a.added_at).slice(0, MOST).map((contact) => contact.did);
    if (!always && dids.join() === asked) return;
    asked = dids.join();
    for (const did of store.presence.keys()) if (!dids.includes(did)) store.presence.delete(did);
    try {
      const { people } = await agent.call("presence.look", { dids });
      for (const { did, here } of people) store.presence.set(did, here);
      update();
    } catch {
      asked = "";
    }
  }
  agent.on("state", () => { store.presence.clear(); look(true); });
  agent.on("contacts", () => look(false));
  document.addEventListener("visibilitychange", () => look(true));
  setInterval(() => look(true), AGAIN);
}
