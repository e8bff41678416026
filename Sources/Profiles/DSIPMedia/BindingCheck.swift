import DSIPSignaling
import WebRTC

/// The checks of B§2 to B§3.3, in the order the conformance suite gives; the first breach wins.
struct BindingCheck {
    let side: MediaBindingError.Side
    /// The offer an answer answers.
    var offered: SessionDescription?

    /// `nil` when the payload does not select this binding, of which nothing is then checked.
    func run(_ payload: MediaPayload) throws(MediaBindingError) -> (sdp: String, description: SessionDescription)? {
        guard let transport = payload.webRTC else { return nil }
        // B§2: required on offers, optional on answers.
        if side == .offer || transport.iceMode != nil {
            guard transport.iceMode == WebRTCBinding.iceMode else { throw fail(.iceMode, "ice is not trickle") }
        }
        guard let sdp = transport.sdp else { throw fail(.sdpMissing, "no sdp") }
        let description: SessionDescription
        do {
            description = try SessionDescription(parsing: sdp)
        } catch {
            throw fail(.sdpInvalid, error.line.map { "line \($0): \(error.reason)" } ?? error.reason)
        }
        try checkSections(description, payload.media)
        for section in live(description) { try checkProfile(section, description) }
        return (sdp, description)
    }

    // B§2.1
    private func checkSections(
        _ description: SessionDescription,
        _ media: [MediaDescriptor]
    ) throws(MediaBindingError) {
        if let index = description.media.firstIndex(where: { $0.kind == "application" }) {
            throw fail(.extraSection, "m= section \(index)")
        }
        // RFC 3264 §6: an answer has the sections of its offer, and none that the offer did not have live.
        if let offered {
            guard description.media.count == offered.media.count else {
                throw fail(.sectionCount, "not the offer's sections")
            }
            for (index, section) in description.media.enumerated()
            where section.port != 0 && !offered.media[index].isLive(in: .offer) {
                throw fail(.sectionCount, "m= section \(index) was not offered")
            }
        }
        let sections = live(description)
        guard sections.count == media.count, !media.isEmpty else {
            throw fail(.sectionCount, "\(sections.count) live m= sections, \(media.count) descriptors")
        }
        for ((index, section), descriptor) in zip(sections, media) {
            guard section.kind == descriptor.kind.rawValue, offered?.media[index].kind ?? section.kind == section.kind
            else {
                throw fail(.kindMismatch, "m= section \(index)")
            }
            guard description.direction(of: section).rawValue == descriptor.direction.rawValue else {
                throw fail(.directionMismatch, "m= section \(index)")
            }
            for codec in descriptor.codecs where !CodecMapping.carries(section, codec.id) {
                throw fail(.codecMissing, "m= section \(index)")
            }
        }
    }

    // B§2.2, B§3.3, B§7
    private func checkProfile(
        _ section: (index: Int, section: MediaSection),
        _ description: SessionDescription
    ) throws(MediaBindingError) {
        let (index, section) = section
        let profile = section.transportProtocol.split(separator: "/").last
        guard profile == "SAVPF" || profile == "SAVP" else { throw fail(.encryption, "m= section \(index)") }
        guard section.multiplexesRTCP else { throw fail(.rtcpMuxMissing, "m= section \(index)") }
        guard description.fingerprints(of: section).contains(where: { $0.hash == "sha-256" }) else {
            throw fail(.fingerprintMissing, "m= section \(index)")
        }
        guard description.iceCredentials(of: section) != nil else {
            throw fail(.iceCredentialsMissing, "m= section \(index)")
        }
        let setup = description.setup(of: section)
        guard side == .offer ? setup == .actpass : setup == .active || setup == .passive else {
            throw fail(.setupInvalid, "m= section \(index)")
        }
    }

    func live(_ description: SessionDescription) -> [(index: Int, section: MediaSection)] {
        description.media.enumerated().filter { $0.element.isLive(in: side) }.map { ($0.offset, $0.element) }
    }

    func fail(_ code: MediaBindingError.Code, _ detail: String) -> MediaBindingError {
        MediaBindingError(code, on: side, detail)
    }
}

extension MediaSection {
    /// Not rejected. In an offer, port 0 with `a=bundle-only` is a section that rides on another's transport. RFC 9143 §6
    func isLive(in side: MediaBindingError.Side) -> Bool {
        port != 0 || (side == .offer && isBundleOnly)
    }
}
