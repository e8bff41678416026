import WebRTC

/// An offer that keeps the binding: its descriptors and its SDP say the same. B§2
public struct CheckedOffer: Hashable, Sendable {
    /// For the `media` and `transports` members.
    public let payload: MediaPayload
    /// The SDP exactly as its WebRTC stack wrote it; hand this to the peer connection.
    public let sdp: String
    public let description: SessionDescription

    /// Checks the body of an `invite` or `update`. `nil` when it does not offer this binding, of which nothing is then checked.
    ///
    /// Throws the first breach; `reject` with its `reason` and `detail`.
    public init?(checking payload: MediaPayload) throws(MediaBindingError) {
        guard let (sdp, description) = try BindingCheck(side: .offer).run(payload) else { return nil }
        self.init(payload: payload, sdp: sdp, description: description)
    }

    /// From the offer of our own WebRTC stack, with descriptors taken from it, so that the two cannot disagree.
    ///
    /// `purposes` gives a section's purpose by its mid. Besides what a peer would refuse, throws `bundleMissing` and `iceLite`.
    public init(own sdp: String, purposes: [String: String] = [:]) throws(MediaBindingError) {
        let check = BindingCheck(side: .offer)
        let description = try OwnDescription.parse(sdp, check)
        let media = check.live(description).map { _, section in
            MediaDescriptor(
                type: section.kind, purpose: section.mid.flatMap { purposes[$0] },
                direction: description.direction(of: section), codecs: CodecMapping.identifiers(of: section))
        }
        let transport = TransportDescriptor(id: WebRTCBinding.transportID, ice: WebRTCBinding.iceMode, sdp: sdp)
        let payload = MediaPayload(media: media, transports: [transport])
        try OwnDescription.requireCodecs(payload, check)
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
            guard let offered = offer.descriptor(ofSection: index) else { throw check.fail(.sectionCount, "m= section \(index)") }
            media.append(
                MediaDescriptor(
                    type: section.kind, purpose: offered.purpose, direction: description.direction(of: section),
                    codecs: CodecMapping.identifiers(of: section).filter(offered.codecs.contains)))
        }
        let transport = TransportDescriptor(id: WebRTCBinding.transportID, sdp: sdp)
        let payload = MediaPayload(media: media, transports: [transport])
        try OwnDescription.requireCodecs(payload, check)
        guard let (_, checked) = try check.run(payload) else { throw check.fail(.sdpMissing, "no sdp") }
        try self.init(payload, sdp, checked, offer)
    }

    private init(
        _ payload: MediaPayload, _ sdp: String, _ description: SessionDescription, _ offer: CheckedOffer
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

extension CheckedOffer {
    /// The descriptor of the section at an index of the SDP; `nil` for a rejected one.
    fileprivate func descriptor(ofSection index: Int) -> MediaDescriptor? {
        guard description.media.indices.contains(index), description.media[index].isLive(in: .offer) else { return nil }
        let place = description.media[..<index].filter { $0.isLive(in: .offer) }.count
        return payload.media.indices.contains(place) ? payload.media[place] : nil
    }
}

/// What we hold our own stack to beyond what a peer may refuse. B§2.2
private enum OwnDescription {
    static func parse(_ sdp: String, _ check: BindingCheck) throws(MediaBindingError) -> SessionDescription {
        let description: SessionDescription
        do {
            description = try SessionDescription(parsing: sdp)
        } catch {
            throw check.fail(.sdpInvalid, error.description)
        }
        guard !description.isICELite else { throw check.fail(.iceLite, "a=ice-lite") }
        let bundled = Set(description.bundleGroups.first ?? [])
        for (index, section) in check.live(description) where section.mid.map(bundled.contains) != true {
            throw check.fail(.bundleMissing, "m= section \(index)")
        }
        return description
    }

    /// A descriptor needs a codec that both sides have a name for.
    static func requireCodecs(_ payload: MediaPayload, _ check: BindingCheck) throws(MediaBindingError) {
        for (index, descriptor) in payload.media.enumerated() where descriptor.codecs.isEmpty {
            throw check.fail(.codecMissing, "descriptor \(index)")
        }
    }
}
