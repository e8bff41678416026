import DSIPSignaling
import WebRTC

/// An offer that keeps the binding: its descriptors and its SDP say the same. B§2
public struct CheckedOffer: Hashable, Sendable {
    /// For the `media` and `transports` members.
    public let payload: MediaPayload
    /// The SDP exactly as its WebRTC stack wrote it; hand this to the peer connection.
    public let sdp: String
    public let description: SessionDescription

    /// Checks the body of an `invite`. `nil` when it does not offer this binding, of which nothing is then checked.
    ///
    /// Throws the first breach; `reject` with its `reason` and `detail`.
    public init?(checking payload: MediaPayload) throws(MediaBindingError) {
        guard let (sdp, description) = try BindingCheck(side: .offer).run(payload) else { return nil }
        self.init(payload: payload, sdp: sdp, description: description)
    }

    /// Checks the body of an `update` to a call on this binding, which has to offer this binding again. B§5.1
    public init(checkingUpdate payload: MediaPayload) throws(MediaBindingError) {
        guard let offer = try CheckedOffer(checking: payload) else {
            throw MediaBindingError(.sdpMissing, on: .offer, "no transport:webrtc")
        }
        self = offer
    }

    /// From the offer of our own WebRTC stack, with descriptors taken from it, so that the two cannot disagree.
    ///
    /// `purposes` gives a section's purpose by its mid. Besides what a peer would refuse, throws `bundleMissing` and `iceLite`.
    public init(own sdp: String, purposes: [String: String] = [:]) throws(MediaBindingError) {
        let check = BindingCheck(side: .offer)
        let description = try OwnDescription.parse(sdp, check)
        var media: [MediaDescriptor] = []
        for (index, section) in check.live(description) {
            let purpose = section.mid.flatMap { purposes[$0] }
            media.append(
                try OwnDescription.descriptor(section, index, description, check, purpose: purpose) { _ in true }
            )
        }
        let payload = MediaPayload(media: media, transports: [TransportDescriptor(webRTC: sdp)])
        guard let (_, checked) = try check.run(payload) else { throw check.fail(.sdpMissing, "no sdp") }
        self.init(payload: payload, sdp: sdp, description: checked)
    }

    private init(payload: MediaPayload, sdp: String, description: SessionDescription) {
        self.payload = payload
        self.sdp = sdp
        self.description = description
    }

    public var kinds: MediaKinds { MediaKinds(payload.media) }
    public var iceCredentials: SectionCredentials { SectionCredentials(description, .offer) }
}

extension CheckedOffer {
    /// The descriptor of the section at an index of the SDP; `nil` for a rejected one.
    func descriptor(ofSection index: Int) -> MediaDescriptor? {
        guard description.media.indices.contains(index), description.media[index].isLive(in: .offer) else { return nil }
        let place = description.media[..<index].filter { $0.isLive(in: .offer) }.count
        return payload.media.indices.contains(place) ? payload.media[place] : nil
    }
}
