// All calls of this page: which of them rings, which is shown, and the media of those this page holds. It turns what the person does into
// API calls, and the agent's events into calls of `CallMedia`.

import { CallMedia } from "./call.js";
import { update } from "./dom.js";
import { duration, now } from "./format.js";
import { capture } from "./media.js";
import { attempt, clearNotices, notify, notifyError, sentenceOf } from "./notices.js";
import { nameOf } from "./parts/peer.js";
import { prefs } from "./prefs.js";
import * as ring from "./ring.js";
import { findCall, putCall, store } from "./store.js";
import { strings } from "./strings.js";

const EARLY_EVENTS = 64;

export class Calls {
  /** The session of the call that fills the page, "placing", or null. */
  shown = null;
  /** A call being prepared before it has a session: `{to, name, video, step, error}`. */
  placing = null;
  /** Sessions whose ring the person silenced. */
  silenced = new Set();
  #agent;
  #media = new Map();
  #answering = new Map();
  #early = new Map();
  #dismissed = new Set();

  constructor(agent) {
    this.#agent = agent;
    agent.on("state", () => this.#reclaim());
    agent.on("call", (call) => this.#changed(call));
    agent.on("call.description", (event) => this.#deliver(event, (media) => this.#description(media, event)));
    agent.on("call.candidates", (event) => this.#deliver(event, (media) => media.gotCandidates(event.candidates ?? [], event.end_of_candidates)));
    agent.on("network.changed", () => { for (const media of this.#media.values()) media.networkChanged(); });
    agent.on("call.rollback", (event) => this.#deliver(event, (media) => media.gotRollback(event.update, event.reason)));
    setInterval(() => { if (this.live.length) update(); }, 1000);
  }

  // MARK: What is to be seen

  media(session) { return this.#media.get(session) ?? null; }
  answering(session) { return this.#answering.get(session) ?? null; }

  /** Calls that have media here, or are under way without it. */
  get live() {
    return (store.state?.calls ?? []).filter((call) => call.state !== "ended" && (call.state !== "incoming" || this.#answering.has(call.session)));
  }

  get incoming() {
    return (store.state?.calls ?? []).filter((call) => call.state === "incoming" && !call.claimed && !this.#answering.has(call.session));
  }

  get shownCall() {
    return this.shown && this.shown !== "placing" ? findCall(this.shown) : null;
  }

  /** A call that talks now, other than `session`. */
  other(session = null) {
    return this.live.find((call) => call.session !== session && call.state === "active" && this.#media.has(call.session)) ?? null;
  }

  // MARK: Placing

  async place(to, { video, name }) {
    if (this.placing && !this.placing.error && !this.placing.cancelled) return;
    clearNotices();
    const placing = { to, name: name ?? to, video, step: video ? "media" : "microphone", error: null, cancelled: false };
    this.placing = placing;
    this.shown = "placing";
    update();
    let tracks = {};
    let media = null;
    try {
      await this.#holdOthers(null);
      tracks = await this.#tracks(video);
      const { ice_servers } = await this.#agent.call("ice.servers");
      media = new CallMedia(this.#agent, ice_servers ?? [], update);
      const sdp = await media.offer(tracks);
      if (placing.cancelled) throw new Error("cancelled");
      placing.step = "sending";
      update();
      const call = await this.#agent.call("call.place", { to, sdp, ...(name && name !== to ? { name } : {}) });
      if (placing.cancelled) attempt(() => this.#agent.call("call.cancel", { session: call.session }));
      this.#adopt(call.session, media);
      media.placed(call.session);
      if (!findCall(call.session)) putCall(call);
      if (this.placing === placing) this.placing = null;
      if (!placing.cancelled) this.shown = call.session;
      this.#changed(findCall(call.session));
    } catch (error) {
      media ? media.close() : Object.values(tracks).forEach((track) => track?.stop());
      if (!placing.cancelled) placing.error = sentenceOf(error);
      else if (this.placing === placing) this.dismissPlacing();
    }
    update();
  }

  cancelPlacing() {
    if (this.placing) this.placing.cancelled = true;
    this.shown = null;
    if (this.placing?.error) this.placing = null;
    update();
  }

  dismissPlacing() {
    this.placing = null;
    if (this.shown === "placing") this.shown = null;
    update();
  }

  // MARK: Answering

  /** `mode` is "video", "audio" or "screening". The caller's offer is asked for only here. */
  async answer(session, mode) {
    const call = findCall(session);
    if (!call || this.#answering.has(session)) return;
    this.#answering.set(session, mode);
    this.shown = session;
    this.#sound();
    update();
    let tracks = {};
    let media = null;
    try {
      await this.#holdOthers(session);
      if (mode !== "screening") tracks = await this.#tracks(mode === "video" && call.media.video);
      const { sdp, ice_servers, screen } = await this.#agent.call("call.open", { session });
      media = new CallMedia(this.#agent, ice_servers ?? [], update);
      this.#adopt(session, media);
      await media.answer(session, sdp, screen ?? null, mode, tracks, (answer) =>
        this.#agent.call("call.answer", { session, sdp: answer, answered_by: mode === "screening" ? "screening" : "user" }));
      this.#changed(findCall(session));
    } catch (error) {
      if (media) this.#release(session);
      for (const track of Object.values(tracks)) track?.stop();
      if (this.shown === session) this.shown = null;
      const state = media ? findCall(session)?.state : null;
      if (state === "active") this.#agent.call("call.media", { session, state: "failed" }).catch(() => {});
      else if (state === "incoming") this.#agent.call("call.decline", { session }).catch(() => {});
      notifyError(error);
    } finally {
      this.#answering.delete(session);
      this.#sound();
      update();
    }
  }

  async decline(session) {
    this.silence(session);
    await attempt(() => this.#agent.call("call.decline", { session }));
  }

  silence(session) {
    this.silenced.add(session);
    this.#sound();
    update();
  }

  // MARK: During a call

  async hangup(session) {
    const call = findCall(session);
    if (!call || call.state === "ended") return this.dismiss(session);
    const method = call.state === "active" ? "call.hangup" : call.direction === "outgoing" ? "call.cancel" : "call.decline";
    await attempt(() => this.#agent.call(method, { session }));
  }

  /** Runs a change of this call's media; a refusal becomes a sentence. */
  async change(session, action) {
    const media = this.#media.get(session);
    if (!media) return;
    try {
      return await action(media);
    } catch (error) {
      if (error.message === "closed") return;
      if (error.reason) notify("warning", strings.call.refusedChange(nameOf(findCall(session)?.peer)));
      else notifyError(error);
    }
  }

  async talk(session, video) {
    await this.change(session, async (media) => media.talk(await this.#tracks(video)));
  }

  async switchTo(session) {
    await this.#holdOthers(session);
    this.shown = session;
    update();
    const media = this.#media.get(session);
    if (media?.held) await this.change(session, () => media.setHeld(false));
  }

  show(session) {
    this.shown = session;
    update();
  }

  minimise() {
    this.shown = null;
    update();
  }

  dismiss(session) {
    this.#dismissed.add(session);
    if (this.shown === session) this.shown = null;
    update();
  }

  // MARK: Events

  #changed(call) {
    if (!call) return;
    const media = this.#media.get(call.session);
    if (call.state === "active") media?.active();
    if (call.state === "ended") this.#ended(call, media);
    this.#sound();
    update();
  }

  #ended(call, media) {
    this.silenced.delete(call.session);
    this.#early.delete(call.session);
    if (!media && !this.#answering.has(call.session)) return;
    this.#release(call.session);
    ring.stop();
    if (call.answered_at) ring.play("ended");
    const ordinary = call.answered_at && (call.ended?.reason ?? "user.hangup").startsWith("user.");
    const cancelled = !call.answered_at && call.direction === "outgoing" && call.ended?.reason === "user.cancelled";
    if (!ordinary && !cancelled) return;
    this.dismiss(call.session);
    if (!ordinary) return;
    notify("info", strings.call.endedAfter(nameOf(call.peer), duration((call.ended_at ?? now()) - call.answered_at)));
  }

  async #description(media, event) {
    if (event.type === "answer") {
      await media.gotAnswer(event.sdp, event.update ?? null);
      return;
    }
    const before = Boolean(media.remoteCamera);
    await media.gotOffer(event.sdp, event.update, event.screen ?? null);
    setTimeout(() => this.#offerCamera(event.session, media, before), 600);
  }

  // The other side turned a camera on: say so, and offer to do the same.
  #offerCamera(session, media, before) {
    const call = findCall(session);
    if (before || !media.remoteCamera || media.sendsCamera || call?.state !== "active" || call.screening) return;
    notify("info", strings.call.cameraArrived(nameOf(call.peer)), { label: strings.call.cameraOn, run: () => this.change(session, () => media.setCamera(true)) });
  }

  // Events may overtake the reply that gives a call its session.
  #deliver(event, apply) {
    const session = event?.session;
    if (!session) return;
    const media = this.#media.get(session);
    if (media) return this.#guard(session, apply(media));
    const early = this.#early.get(session) ?? [];
    if (early.length < EARLY_EVENTS && this.#early.size < EARLY_EVENTS) this.#early.set(session, [...early, apply]);
  }

  #adopt(session, media) {
    this.#media.set(session, media);
    media.mayRestart = () => {
      const call = findCall(session);
      return call?.state === "active" && call.can_restart && store.state.relay?.state === "connected";
    };
    for (const apply of this.#early.get(session) ?? []) this.#guard(session, apply(media));
    this.#early.delete(session);
  }

  #guard(session, work) {
    Promise.resolve(work).catch((error) => {
      if (!this.#media.has(session)) return;
      console.error(error);
      if (findCall(session)?.state === "active" && this.#media.get(session).connection === "new") {
        this.#agent.call("call.media", { session, state: "failed" }).catch(() => {});
      }
    });
  }

  #release(session) {
    this.#media.get(session)?.close();
    this.#media.delete(session);
  }

  // After a reconnection the agent is told again which calls live in this page.
  #reclaim() {
    for (const session of [...this.#media.keys()]) {
      const call = findCall(session);
      if (!call || call.state === "ended") this.#release(session);
      else if (!call.claimed_by_me) attempt(() => this.#agent.call("call.claim", { session }));
    }
    const alone = this.live.find((call) => this.#media.has(call.session));
    if (!this.shown && alone && !this.#dismissed.has(alone.session)) this.shown = alone.session;
    this.#sound();
    update();
  }

  // MARK: Helpers

  // Without a camera the call goes on with sound; without a microphone it does not begin.
  async #tracks(video) {
    const microphone = await capture("microphone");
    if (!video) return { microphone };
    try {
      return { microphone, camera: await capture("camera") };
    } catch {
      notify("warning", strings.call.noCamera);
      return { microphone };
    }
  }

  async #holdOthers(session) {
    for (const [other, media] of this.#media) {
      if (other !== session && !media.held && findCall(other)?.state === "active") await this.change(other, () => media.setHeld(true));
    }
  }

  #sound() {
    const rings = this.incoming.some((call) => !this.silenced.has(call.session));
    const ringback = this.live.some((call) => call.direction === "outgoing" && call.state === "ringing" && this.#media.has(call.session));
    if (rings && !prefs.muteRing) ring.play("ring");
    else if (ringback && !rings) ring.play("ringback");
    else ring.quiet();
  }
}
