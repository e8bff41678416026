// Playing a stream that somebody publishes: what this browser can play, and the one that it plays. A stream is fetched from where its
// publisher says, and not before the person asks for it.

import { update } from "./dom.js";
import { attempt } from "./notices.js";
import { strings } from "./strings.js";

const GATHERING = 3000;

// How a browser is asked about a codec, by the registry's identifier.
const codecTypes = {
  "codec:audio/opus": 'audio/ogg; codecs="opus"', "codec:audio/aac": 'audio/mp4; codecs="mp4a.40.2"', "codec:audio/mp3": "audio/mpeg", "codec:audio/mpeg": "audio/mpeg",
  "codec:audio/flac": "audio/flac", "codec:audio/vorbis": 'audio/ogg; codecs="vorbis"', "codec:audio/pcm": 'audio/wav; codecs="1"',
  "codec:video/h264": 'video/mp4; codecs="avc1.42E01E"', "codec:video/vp8": 'video/webm; codecs="vp8"', "codec:video/vp9": 'video/webm; codecs="vp9"', "codec:video/av1": 'video/mp4; codecs="av01.0.04M.08"',
};
const HLS = "application/vnd.apple.mpegurl";

/** What this browser plays, as `broadcast.choose` wants it. */
export function capabilities() {
  const probe = document.createElement("video");
  return {
    codecs: Object.keys(codecTypes).filter((codec) => probe.canPlayType(codecTypes[codec])),
    transports: ["transport:https", ...(probe.canPlayType(HLS) ? ["transport:hls"] : []), ...("RTCPeerConnection" in window ? ["transport:webrtc"] : [])],
  };
}

/** Why a variant cannot be played here, as a sentence; null when it can be tried. */
export function obstacle(variant, { codecs, transports } = capabilities()) {
  const text = strings.broadcasts.obstacles;
  if (!transports.includes(variant.transport)) return variant.transport === "transport:hls" ? text.hls : text.transport(variant.transport);
  if (!variant.uri.startsWith("https://")) return variant.transport === "transport:webrtc" ? text.exchange : text.address;
  return codecs.includes(variant.codec) ? null : text.codec(variant.codec);
}

/** What is playing: at most one stream. */
export class Playback {
  constructor(agent) {
    this.agent = agent;
    this.now = null;
    agent.on("broadcast.gone", ({ stream }) => this.stop(stream));
  }

  of(stream) { return this.now?.stream === stream ? this.now : null; }

  start(stream, variant) {
    this.stop();
    const now = { stream, variant, state: "starting", trouble: null, connection: null, media: null };
    this.now = now;
    if (variant.transport === "transport:webrtc") attempt(() => this.receive(now));
    update();
  }

  stop(stream = this.now?.stream) {
    if (!this.now || this.now.stream !== stream) return;
    this.now.connection?.close();
    this.now = null;
    update();
  }

  /** What the media element says. */
  note(now, state, trouble = null) {
    if (this.now !== now) return;
    [now.state, now.trouble] = [state, trouble];
    if (trouble) now.connection?.close();
    update();
  }

  // An offer to receive, whole, and the answer to it: WHEP, carried by the agent.
  async receive(now) {
    const connection = new RTCPeerConnection();
    now.connection = connection;
    try {
      for (const kind of now.variant.media) if (kind !== "text") connection.addTransceiver(kind, { direction: "recvonly" });
      connection.ontrack = ({ track }) => {
        now.media ??= new MediaStream();
        now.media.addTrack(track);
        update();
      };
      connection.onconnectionstatechange = () => { if (connection.connectionState === "failed") this.note(now, "stopped", strings.broadcasts.obstacles.lost); };
      await connection.setLocalDescription();
      await gathered(connection);
      const { sdp } = await this.agent.call("broadcast.receive", { stream: now.stream, variant: now.variant.id, sdp: connection.localDescription.sdp });
      if (this.now === now) await connection.setRemoteDescription({ type: "answer", sdp });
    } catch (error) {
      this.note(now, "stopped", error.message);
    }
  }
}

function gathered(connection) {
  return new Promise((resolve) => {
    const done = () => { if (connection.iceGatheringState === "complete") resolve(); };
    connection.onicegatheringstatechange = done;
    setTimeout(resolve, GATHERING);
    done();
  });
}
