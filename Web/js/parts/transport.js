// Two small helpers of a call's peer connection: the outbox of local candidates, and what the statistics say in plain numbers.

const COALESCE_MILLISECONDS = 50;
const BATCH = 32;

/** Joins candidates gathered within 50 ms into one message (binding §9) and holds them until the call has a session. */
export class CandidateOutbox {
  #send;
  #waiting = [];
  #end = false;
  #ended = false;
  #open = false;
  #timer = null;
  #closed = false;

  /** `send(candidates, end)` returns a promise. */
  constructor(send) {
    this.#send = send;
  }

  /** Takes an RTCIceCandidate; null, or an empty one, is the end of candidates. */
  add(candidate) {
    if (!candidate?.candidate) this.#end = true;
    else this.#waiting.push({ candidate: candidate.candidate, sdp_mid: candidate.sdpMid ?? "0", sdp_m_line_index: candidate.sdpMLineIndex ?? 0 });
    this.#schedule();
  }

  open() {
    this.#open = true;
    this.#schedule();
  }

  /** ICE is restarted: what was gathered before, and its end, count no more. */
  renew() {
    this.#waiting = [];
    this.#end = this.#ended = false;
  }

  close() {
    this.#closed = true;
    clearTimeout(this.#timer);
  }

  #schedule() {
    if (!this.#open || this.#closed || this.#timer !== null) return;
    this.#timer = setTimeout(() => {
      this.#timer = null;
      this.#flush();
    }, COALESCE_MILLISECONDS);
  }

  // The end is said exactly once for a local description, and last.
  #flush() {
    const batch = this.#waiting.splice(0, BATCH);
    const end = this.#end && !this.#ended && this.#waiting.length === 0;
    if (end) this.#ended = true;
    if (batch.length || end) Promise.resolve(this.#send(batch, end)).catch(() => {});
    if (this.#waiting.length) this.#schedule();
  }
}

/** A reading every few seconds of what is received and how the connection is protected. */
export class MediaStatistics {
  framesDecoded = 0;
  framesPerSecond = null;
  width = null;
  height = null;
  /** Share of packets lost in the last interval, 0…1. */
  loss = 0;
  roundTrip = null;
  cipher = null;
  route = null;
  #pc;
  #last = { received: 0, lost: 0 };

  constructor(pc) {
    this.#pc = pc;
  }

  async sample() {
    if (this.#pc.connectionState === "closed") return;
    const report = await this.#pc.getStats();
    let received = 0;
    let lost = 0;
    let frames = 0;
    for (const entry of report.values()) {
      if (entry.type === "inbound-rtp") {
        received += entry.packetsReceived ?? 0;
        lost += Math.max(0, entry.packetsLost ?? 0);
        if (entry.kind === "video") {
          frames += entry.framesDecoded ?? 0;
          if (entry.frameWidth) [this.width, this.height, this.framesPerSecond] = [entry.frameWidth, entry.frameHeight, entry.framesPerSecond ?? null];
        }
      } else if (entry.type === "transport") {
        this.cipher = entry.srtpCipher ?? null;
        const pair = report.get(entry.selectedCandidatePairId);
        if (!pair) continue;
        this.roundTrip = pair.currentRoundTripTime ?? null;
        this.route = report.get(pair.localCandidateId)?.candidateType ?? null;
      }
    }
    const [moreReceived, moreLost] = [received - this.#last.received, lost - this.#last.lost];
    this.loss = moreReceived + moreLost > 0 ? Math.max(0, moreLost) / (moreReceived + moreLost) : 0;
    this.#last = { received, lost };
    this.framesDecoded = frames;
  }
}
