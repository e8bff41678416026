import DSIPSignaling
import WebRTC

/// An answer that keeps the binding and answers a particular offer. B§3.1
public struct CheckedAnswer: Hashable, Sendable {
    public let payload: MediaPayload
    public let sdp: String
    public let description: SessionDescription
    /// Who opens the DTLS handshake.
    public let roles: DTLSRoles

    /// Checks the body of an `answer`. `nil` when it selects another transport.
    ///
    /// Throws the first breach; the accepted leg has failed: `bye media.failed`. That the selection lies within the offer
    /// (subset of codecs, admissible direction) is the payload check of DSIP §12.3, which comes before.
    public init?(checking payload: MediaPayload, to offer: CheckedOffer) throws(MediaBindingError) {
        let check = BindingCheck(side: .answer, offered: offer.description)
        guard let (sdp, description) = try check.run(payload) else { return nil }
        try self.init(payload, sdp, description, offer)
    }

    /// From the answer of our own WebRTC stack: the descriptors are those of the offer that live sections accept, with the
    /// direction and the offered codecs that the SDP selects.
    public init(own sdp: String, to offer: CheckedOffer) throws(MediaBindingError) {
        let check = BindingCheck(side: .answer, offered: offer.description)
        let description = try OwnDescription.parse(sdp, check)
        var media: [MediaDescriptor] = []
        for (index, section) in check.live(description) {
            guard let offered = offer.descriptor(ofSection: index) else {
                throw check.fail(.sectionCount, "m= section \(index)")
            }
            let codecs = Set(offered.codecs.map(\.id))
            media.append(
                try OwnDescription.descriptor(
                    section,
                    index,
                    description,
                    check,
                    purpose: offered.purpose,
                    where: codecs.contains
                )
            )
        }
        let payload = MediaPayload(media: media, transports: [.answering(webRTC: sdp)])
        guard let (_, checked) = try check.run(payload) else { throw check.fail(.sdpMissing, "no sdp") }
        try self.init(payload, sdp, checked, offer)
    }

    private init(
        _ payload: MediaPayload,
        _ sdp: String,
        _ description: SessionDescription,
        _ offer: CheckedOffer
    ) throws(MediaBindingError) {
        self.payload = payload
        self.sdp = sdp
        self.description = description
        let answered = description.media.first { $0.isLive(in: .answer) }
        roles = try DTLSRoles(offer: .actpass, answer: answered.flatMap { description.setup(of: $0) })
    }

    public var kinds: MediaKinds { MediaKinds(payload.media) }
    public var iceCredentials: SectionCredentials { SectionCredentials(description, .answer) }
}
