// The media of one call: owns the one RTCPeerConnection, its tracks and its negotiations with the agent.
//
// What it holds to (WebRTC binding 1.0): no data channel, one BUNDLE; no connectivity check before the call is active: an
// offer waits for its answer, and an answer becomes the local description only after the agent has sent it. One renegotiation at a time;
// a refused one is rolled back and what the person asked for is undone, so that the page never shows what the other side did not accept.
// A connection that was up and broke off may come back for 90 s; where both devices can (`ice-restart/1.0`), ICE is restarted for it.

import { capture, captureScreen } from "./media.js";
import { prefs } from "./prefs.js";
import { CandidateOutbox, MediaStatistics } from "./parts/transport.js";

const CONNECT_SECONDS = 30;
const RECONNECT_SECONDS = 90;
// Who did not move itself gives the other side, which knows sooner, the time to restart; and each attempt the time to work.
const RESTART_AFTER = 3000;
const RESTART_PAUSE = 5000;
const GLARE_TRIES = 4;
const sends = (direction) => direction === "sendrecv" || direction === "sendonly";
const receives = (direction) => direction === "sendrecv" || direction === "recvonly";
const fragmentOf = (sdp) => /^a=ice-ufrag:(\S+)/m.exec(sdp ?? "")?.[1];
const directionOf = (send, receive) => (send ? (receive ? "sendrecv" : "sendonly") : receive ? "recvonly" : "inactive");

export class CallMedia {
  session = null;
  muted = false;
  held = false;
  /** An update of ours is under way. */
  busy = false;
  /** Whether ICE may be restarted now: the other device can, and the relay is there to carry it. */
  mayRestart = () => false;
  /** "new", "connecting", "connected", "reconnecting" or "failed". */
  connection = "new";
  statistics = null;
  #agent;
  #pc;
  #changed;
  #lines = { audio: null, camera: null, screen: null };
  #tracks = { audio: null, camera: null, screen: null };
  #streams = new Map();
  #outbox;
  #remoteCandidates = [];
  #remoteReady = false;
  #pendingUpdate = null;
  #chain = Promise.resolve();
  #negotiation = Promise.resolve();
  #beforeHold = null;
  #deadline = null;
  #measure = null;
  #audio = null;
  #closed = false;
  #recovering = false;
  #moved = false;
  #wake = () => {};

  /** `changed()` is called whenever something worth drawing changed. */
  constructor(agent, iceServers, changed) {
    this.#agent = agent;
    this.#changed = changed;
    this.#pc = new RTCPeerConnection({ iceServers, bundlePolicy: "max-bundle", rtcpMuxPolicy: "require" });
    this.#outbox = new CandidateOutbox((candidates, end) =>
      agent.call("call.candidates", { session: this.session, candidates, end_of_candidates: end }));
    this.#pc.onicecandidate = ({ candidate }) => { if (this.#isCurrent(candidate)) this.#outbox.add(candidate); };
    this.#pc.ontrack = ({ transceiver, track }) => this.#gotTrack(transceiver, track);
    this.#pc.onconnectionstatechange = () => this.#connectionChanged();
    this.statistics = new MediaStatistics(this.#pc);
  }

  // MARK: Starting

  /** The offer of a new call. The tracks belong to this call from here on. */
  async offer({ microphone, camera }) {
    this.#addLine("audio", microphone, "sendrecv");
    if (camera) this.#addLine("camera", camera, "sendrecv");
    await this.#pc.setLocalDescription(await this.#pc.createOffer());
    return this.#pc.localDescription.sdp;
  }

  /** The agent knows the call now; candidates may go. */
  placed(session) {
    this.session = session;
    this.#outbox.open();
  }

  /**
   * Answers the caller's offer: `mode` is "video", "audio" (camera stays off) or "screening" (listen only).
   * `send(sdp)` hands the answer to the agent; ICE starts only when it has been sent.
   */
  async answer(session, sdp, screen, mode, { microphone, camera }, send) {
    this.session = session;
    await this.#pc.setRemoteDescription({ type: "offer", sdp });
    await this.#adoptLines(screen);
    const plan = {
      audio: mode === "screening" ? "recvonly" : "sendrecv",
      camera: mode === "screening" ? "inactive" : camera ? "sendrecv" : "recvonly",
      screen: mode === "screening" ? "inactive" : "recvonly",
    };
    for (const name of Object.keys(plan)) if (this.#lines[name]) this.#lines[name].direction = plan[name];
    if (microphone) await this.#setTrack("audio", microphone);
    if (camera && this.#lines.camera) await this.#setTrack("camera", camera);
    else camera?.stop();
    const answer = await this.#pc.createAnswer();
    await send(answer.sdp);
    await this.#pc.setLocalDescription(answer);
    this.#outbox.open();
    await this.#remoteApplied();
  }

  // MARK: What the person does

  setMuted(muted) {
    this.muted = muted;
    this.#enableTracks();
    this.#changed();
  }

  /** Camera on or off. Off stops the device at once, whatever the other side says to the update. */
  async setCamera(on) {
    if (!on) return this.#stopSending("camera");
    const track = await capture("camera");
    await this.#startSending("camera", track);
  }

  /** Starts or stops sharing; false when the person closed the picker. */
  async setScreen(on) {
    if (!on) return this.#stopSending("screen");
    const track = await captureScreen();
    if (!track) return false;
    track.onended = () => this.setScreen(false).catch(() => {});
    await this.#startSending("screen", track);
    return true;
  }

  /** RFC 3264 §8.4: what was sendrecv becomes sendonly, what was recvonly becomes inactive; nothing of ours is heard meanwhile. */
  async setHeld(held) {
    if (held === this.held) return;
    const lines = this.#pc.getTransceivers().filter((line) => line.direction !== "stopped");
    this.held = held;
    this.#enableTracks();
    this.#changed();
    const before = new Map(lines.map((line) => [line, line.direction]));
    try {
      await this.#change(() => {
        for (const line of lines) {
          if (held) line.direction = directionOf(sends(line.direction), false);
          else if (this.#beforeHold?.has(line)) line.direction = this.#beforeHold.get(line);
        }
      });
      this.#beforeHold = held ? before : null;
    } catch (error) {
      for (const [line, direction] of before) line.direction = direction;
      this.held = !held;
      this.#enableTracks();
      this.#changed();
      throw error;
    }
  }

  /** End of screening: the person takes the call. */
  async talk({ microphone, camera }) {
    await this.#setTrack("audio", microphone);
    if (camera && this.#lines.camera) await this.#setTrack("camera", camera);
    await this.#change(() => {
      this.#lines.audio.direction = "sendrecv";
      if (this.#lines.camera) this.#lines.camera.direction = directionOf(Boolean(camera), true);
      if (this.#lines.screen) this.#lines.screen.direction = directionOf(false, true);
    }, { answered_by: "user" });
  }

  /** Uses another microphone or camera from the preferences, without renegotiation. */
  async switchDevice(kind) {
    const name = kind === "microphone" ? "audio" : "camera";
    if (!this.#tracks[name]) return;
    const track = await capture(kind);
    this.#tracks[name].stop();
    await this.#setTrack(name, track);
    this.#changed();
  }

  async chooseSpeaker() {
    await this.#audio?.setSinkId?.(prefs.speaker);
  }

  // MARK: What the agent says

  async gotAnswer(sdp, update) {
    await this.#exclusive(async () => {
      if (update && this.#pendingUpdate?.id !== update) return;
      await this.#pc.setRemoteDescription({ type: "answer", sdp });
      await this.#remoteApplied();
      this.#pendingUpdate?.resolve();
      this.#changed();
    });
  }

  /** Answers the other side's update. What we receive follows their offer; what we send stays our own choice. */
  gotOffer(sdp, update, screen) { return this.#exclusive(() => this.#answerUpdate(sdp, update, screen)); }

  async #answerUpdate(sdp, update, screen) {
    if (this.#pc.signalingState === "have-local-offer") await this.#rollBack("session.glare");
    try {
      await this.#pc.setRemoteDescription({ type: "offer", sdp });
      await this.#adoptLines(screen);
      const answer = await this.#pc.createAnswer();
      await this.#agent.call("call.update.answer", { session: this.session, update, sdp: answer.sdp });
      if (fragmentOf(answer.sdp) !== fragmentOf(this.#pc.localDescription.sdp)) this.#outbox.renew();
      await this.#pc.setLocalDescription(answer);
      await this.#remoteApplied();
    } catch (error) {
      if (this.#pc.signalingState === "have-remote-offer") await this.#pc.setRemoteDescription({ type: "rollback" }).catch(() => {});
      await this.#agent.call("call.update.reject", { session: this.session, update, reason: "media.unsupported" }).catch(() => {});
      throw error;
    } finally {
      this.#changed();
    }
  }

  async gotRollback(update, reason) {
    await this.#exclusive(async () => {
      if (this.#pendingUpdate && this.#pendingUpdate.id === update) await this.#rollBack(reason);
    });
  }

  async gotCandidates(candidates, end) {
    const list = candidates.map((entry) => ({ candidate: entry.candidate, sdpMid: entry.sdp_mid, sdpMLineIndex: entry.sdp_m_line_index ?? null }));
    if (end) list.push(null);
    this.#remoteCandidates.push(...list.slice(0, 256));
    // Behind the description they belong to, which came first.
    if (this.#remoteReady) await this.#exclusive(() => this.#applyCandidates());
  }

  /** The call is active; from here the connection has to come up within 30 s. */
  active() {
    if (this.#deadline === null && this.connection !== "connected") this.#armDeadline(CONNECT_SECONDS);
  }

  /** This device has come to another network: what carried the media is gone, or soon will be. */
  networkChanged() {
    this.#moved = true;
    this.#wake();
    this.#recover(0);
  }

  close() {
    if (this.#closed) return;
    this.#closed = true;
    clearTimeout(this.#deadline);
    clearInterval(this.#measure);
    this.#wake();
    this.#outbox.close();
    this.#pendingUpdate?.reject(new Error("closed"));
    for (const track of Object.values(this.#tracks)) track?.stop();
    this.#pc.close();
    this.#audio?.remove();
  }

  // MARK: What is to be seen

  get sendsCamera() { return Boolean(this.#tracks.camera); }
  get sendsScreen() { return Boolean(this.#tracks.screen); }
  get sendsAudio() { return Boolean(this.#tracks.audio); }
  get localCamera() { return this.#streamOf("local-camera", this.#tracks.camera); }
  get localScreen() { return this.#streamOf("local-screen", this.#tracks.screen); }
  get remoteCamera() { return this.#remoteStream("camera"); }
  get remoteScreen() { return this.#remoteStream("screen"); }

  #remoteStream(name) {
    const line = this.#lines[name];
    if (!line || this.#closed || !receives(line.currentDirection ?? "inactive") || line.receiver.track.muted) return null;
    return this.#streamOf(`remote-${name}`, line.receiver.track);
  }

  // The same track gives the same stream object, so that a playing video element is left alone.
  #streamOf(name, track) {
    if (!track) return null;
    const known = this.#streams.get(name);
    if (known?.getTracks()[0] === track) return known;
    const stream = new MediaStream([track]);
    this.#streams.set(name, stream);
    return stream;
  }

  // MARK: Lines

  #addLine(name, track, direction) {
    this.#lines[name] = this.#pc.addTransceiver(track ?? (name === "audio" ? "audio" : "video"), { direction });
    this.#tracks[name] = track;
  }

  // Gives the offer's sections their roles: the first audio, the first video, and the screen, which is the section the agent names or else
  // the second video. A line of ours that lost a glare before it was negotiated hands its track to the section that won.
  async #adoptLines(screen) {
    const taken = (name) => Boolean(this.#lines[name]?.mid);
    for (const line of this.#pc.getTransceivers()) {
      if (Object.values(this.#lines).includes(line) || line.mid === null) continue;
      const kind = line.receiver.track.kind;
      const name = kind === "audio" ? "audio" : screen ? (line.mid === screen ? "screen" : "camera") : taken("camera") ? "screen" : "camera";
      if (taken(name)) continue;
      const own = this.#lines[name];
      this.#lines[name] = line;
      if (!own) continue;
      own.stop();
      await line.sender.replaceTrack(this.#tracks[name]);
    }
  }

  async #setTrack(name, track) {
    this.#tracks[name] = track;
    await this.#lines[name].sender.replaceTrack(track);
    this.#enableTracks();
  }

  #enableTracks() {
    const { audio, camera, screen } = this.#tracks;
    if (audio) audio.enabled = !this.muted && !this.held;
    if (camera) camera.enabled = !this.held;
    if (screen) screen.enabled = !this.held;
  }

  async #startSending(name, track) {
    const line = this.#lines[name];
    const before = line?.direction;
    if (line) await this.#setTrack(name, track);
    else this.#tracks[name] = track;
    this.#changed();
    if (line && sends(line.currentDirection ?? "inactive") && sends(before)) return;
    try {
      await this.#change(() => {
        if (!this.#lines[name]) this.#addLine(name, track, "sendrecv");
        else this.#lines[name].direction = directionOf(true, before ? receives(before) : true);
      });
    } catch (error) {
      await this.#dropTrack(name);
      if (line) {
        line.direction = before;
      } else if (this.#lines[name]?.mid) {
        this.#lines[name].direction = directionOf(false, true);
      } else {
        this.#lines[name]?.stop();
        this.#lines[name] = null;
      }
      this.#changed();
      throw error;
    }
  }

  async #stopSending(name) {
    const line = this.#lines[name];
    await this.#dropTrack(name);
    this.#changed();
    if (!line || !sends(line.direction)) return;
    await this.#change(() => { line.direction = directionOf(false, true); });
  }

  async #dropTrack(name) {
    this.#tracks[name]?.stop();
    this.#tracks[name] = null;
    if (this.#lines[name] && !this.#closed) await this.#lines[name].sender.replaceTrack(null);
  }

  #gotTrack(transceiver, track) {
    track.onmute = track.onunmute = track.onended = () => this.#changed();
    if (track.kind === "audio") {
      this.#audio ??= document.body.appendChild(document.createElement("audio"));
      this.#audio.srcObject = this.#streamOf("remote-audio", track);
      this.#audio.autoplay = true;
      this.#audio.hidden = true;
      this.#audio.play().catch(() => {});
      if (prefs.speaker) this.chooseSpeaker().catch(() => {});
    }
    this.#changed();
  }

  // MARK: Renegotiation

  /** Applies `desire` and agrees it with the other side; throws when refused, after the local description is rolled back. */
  #change(desire, extra = {}, restart = null) {
    const turn = this.#chain.then(async () => {
      this.busy = true;
      this.#changed();
      try {
        for (let tries = 1; ; tries++) {
          try {
            return await this.#offerUpdate(desire, extra, restart);
          } catch (error) {
            if (error.reason !== "session.glare" || tries >= GLARE_TRIES) throw error;
            await new Promise((resolve) => setTimeout(resolve, 300 + Math.random() * 1200));
          }
        }
      } finally {
        this.busy = false;
        this.#changed();
      }
    });
    this.#chain = turn.catch(() => {});
    return turn;
  }

  async #offerUpdate(desire, extra, restart) {
    await this.#stable();
    // The other side may have been faster.
    if (restart && !restart.isNeeded()) return;
    const { settled, sdp } = await this.#exclusive(async () => {
      desire();
      const offer = await this.#pc.createOffer({ iceRestart: Boolean(restart) });
      if (restart) this.#outbox.renew();
      await this.#pc.setLocalDescription(offer);
      const settled = new Promise((resolve, reject) => { this.#pendingUpdate = { id: null, resolve, reject }; });
      settled.catch(() => {});
      // In an object: a promise by itself would be waited for.
      return { settled, sdp: this.#pc.localDescription.sdp };
    });
    try {
      // Their offer may have come in between, and ours is taken back.
      if (!this.#pendingUpdate) return await settled;
      const params = { session: this.session, sdp, ...extra };
      if (this.#lines.screen?.mid) params.screen = this.#lines.screen.mid;
      const { update } = await this.#agent.call("call.update", params);
      if (this.#pendingUpdate) this.#pendingUpdate.id = update;
      await settled;
    } catch (error) {
      await this.#exclusive(() => this.#rollBack(error.reason));
      throw error;
    } finally {
      this.#pendingUpdate = null;
    }
  }

  async #rollBack(reason) {
    const pending = this.#pendingUpdate;
    if (this.#pc.signalingState === "have-local-offer") await this.#pc.setLocalDescription({ type: "rollback" });
    this.#pendingUpdate = null;
    pending?.reject(Object.assign(new Error(reason ?? "rejected"), { reason }));
  }

  /** One change of the connection's descriptions after another: what looked at its state must find it so when it acts. */
  #exclusive(work) {
    const turn = this.#negotiation.then(work);
    this.#negotiation = turn.catch(() => {});
    return turn;
  }

  async #stable() {
    while (!this.#closed && this.#pc.signalingState !== "stable") {
      await new Promise((resolve) => this.#pc.addEventListener("signalingstatechange", resolve, { once: true }));
    }
    if (this.#closed) throw new Error("closed");
  }

  // MARK: Transport

  async #remoteApplied() {
    this.#remoteReady = true;
    await this.#applyCandidates();
  }

  async #applyCandidates() {
    while (this.#remoteCandidates.length) {
      const candidate = this.#remoteCandidates.shift();
      try {
        await this.#pc.addIceCandidate(candidate ?? undefined);
      } catch {
        // One candidate the browser cannot read does not spoil the others.
      }
    }
  }

  #connectionChanged() {
    const state = this.#pc.connectionState;
    if (this.connection === "failed") return;
    if (state === "connected") {
      clearTimeout(this.#deadline);
      this.#deadline = null;
      this.connection = "connected";
      this.#report("connected");
      this.#measure ??= setInterval(() => this.#sample(), 2000);
    } else if (state === "disconnected" || (this.connection === "connected" && state !== "new" && state !== "closed")) {
      // Only what was connected is ever disconnected, whether or not that was heard in between.
      if (this.connection === "reconnecting") return;
      this.connection = "reconnecting";
      this.#armDeadline(RECONNECT_SECONDS);
      this.#recover(RESTART_AFTER);
    } else if (this.connection === "new") {
      this.connection = "connecting";
      if (state !== "connecting") this.active();
    }
    this.#changed();
  }

  #armDeadline(seconds) {
    clearTimeout(this.#deadline);
    this.#deadline = setTimeout(() => {
      this.connection = "failed";
      this.#wake();
      this.#report("failed");
      this.#changed();
    }, seconds * 1000);
  }

  // MARK: Coming back

  // Restarts ICE until the media are back or given up; 90 s at most, for that ends the call.
  async #recover(after) {
    if (this.#recovering) return;
    this.#recovering = true;
    try {
      await this.#pause(after);
      while (this.#isCut()) {
        if (this.mayRestart()) {
          this.#moved = false;
          await this.#restart();
          await this.#pause(RESTART_PAUSE);
        } else {
          await this.#pause(250);
        }
      }
    } finally {
      this.#recovering = false;
    }
  }

  #isCut() { return !this.#closed && (this.connection === "reconnecting" || (this.#moved && this.connection === "connected")); }

  async #restart() {
    const wasConnected = this.connection === "connected";
    const restart = { isNeeded: () => !this.#closed && (wasConnected || this.connection === "reconnecting") };
    try {
      await this.#change(() => {}, {}, restart);
    } catch (error) {
      // It goes on as it is, and is tried again; without support on the other side it may come back by itself.
      if (error.reason === "media.unsupported") this.mayRestart = () => false;
    }
  }

  #pause(milliseconds) {
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, milliseconds);
      this.#wake = () => { clearTimeout(timer); resolve(); };
    });
  }

  // A candidate of a description that has been replaced belongs to nothing any more.
  #isCurrent(candidate) {
    return !candidate?.usernameFragment || this.#pc.localDescription?.sdp.includes(`a=ice-ufrag:${candidate.usernameFragment}\r\n`);
  }

  async #sample() {
    const seenBefore = this.statistics.framesDecoded > 0;
    await this.statistics.sample();
    if (!seenBefore && this.statistics.framesDecoded > 0) this.#report("connected", this.statistics.framesDecoded);
    this.#changed();
  }

  #report(state, frames) {
    if (this.#closed || !this.session) return;
    this.#agent.call("call.media", { session: this.session, state, ...(frames ? { frames } : {}) }).catch(() => {});
  }
}
