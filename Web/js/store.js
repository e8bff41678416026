// What the page knows: the agent's last snapshot, kept current by its events. Views read `store.state`; nothing here decides anything.

import { update } from "./dom.js";

const KEPT_CALLS = 32;

export const store = {
  /** The agent's `state`, or null before the first snapshot. */
  state: null,
  status: "connecting",
  /** Who of the contacts is there, as their relays say, by DID; null where they do not say. */
  presence: new Map(),
};

export const isHere = (peer) => store.presence.get(peer?.did) === true;

export function follow(agent) {
  agent.on("status", (status) => { store.status = status; update(); });
  agent.on("state", (state) => { store.state = normal(state); update(); });
  part(agent, "relay", (state, relay) => { state.relay = relay; });
  part(agent, "contacts", (state, { contacts }) => { state.contacts = contacts; });
  part(agent, "requests", (state, { requests }) => { state.requests = requests; });
  part(agent, "log", (state, { log, missed }) => { state.log = log; state.missed = missed; });
  part(agent, "conversation", (state, conversation) => putConversation(conversation));
  part(agent, "conversation.gone", (state, { id }) => { state.conversations = state.conversations.filter((known) => known.id !== id); });
  part(agent, "messaging", (state, messaging) => { state.messaging = messaging; });
  part(agent, "broadcast", (state, broadcast) => { state.broadcasts = [...state.broadcasts.filter((known) => known.stream !== broadcast.stream), broadcast].sort((a, b) => (a.stream < b.stream ? -1 : 1)); });
  part(agent, "broadcast.gone", (state, { stream }) => { state.broadcasts = state.broadcasts.filter((known) => known.stream !== stream); });
  part(agent, "presence", (state, { did, here }) => { store.presence.set(did, here); });
  part(agent, "call", (state, call) => putCall(call));
}

function part(agent, event, apply) {
  agent.on(event, (data) => {
    if (!store.state || !data) return;
    apply(store.state, data);
    update();
  });
}

function normal(state) {
  return { contacts: [], calls: [], requests: [], log: [], identities: [], conversations: [], broadcasts: [], messaging: { enabled: false }, missed: 0, settings: {}, relay: null, identity: null, device: null, ...state };
}

export function putCall(call) {
  const others = store.state.calls.filter((known) => known.session !== call.session);
  store.state.calls = [...others, call].slice(-KEPT_CALLS);
}

export function putConversation(conversation) {
  const others = store.state.conversations.filter((known) => known.id !== conversation.id);
  store.state.conversations = [...others, conversation];
}

export const findConversation = (id) => store.state?.conversations.find((conversation) => conversation.id === id) ?? null;
export const unreadMessages = () => (store.state?.conversations ?? []).reduce((sum, c) => sum + (c.muted || c.request ? 0 : c.unread), 0);
export const messageRequests = () => (store.state?.conversations ?? []).filter((conversation) => conversation.request && !conversation.self_removed);

export const findCall = (session) => store.state?.calls.find((call) => call.session === session) ?? null;
export const contactOf = (id) => store.state?.contacts.find((contact) => contact.id === id) ?? null;
export const pendingRequests = () => (store.state?.requests ?? []).filter((request) => request.direction === "incoming" && request.state === "pending");

/** What to pass as `to` when calling or writing to a peer. */
export const addressOf = (peer) => peer.did ?? peer.alias;
