/// One `m=` section with the lines under it. RFC 8866 §5.14
///
/// The stored properties are the section's own lines; what also counts when only the session level says it (direction,
/// fingerprint, setup, ICE credentials) is asked of ``SessionDescription``.
public struct MediaSection: Hashable, Sendable {
    /// `audio`, `video`, `application`, … as written.
    public var kind: String
    /// 0 means rejected or, in an offer with `a=bundle-only`, carried by another section. RFC 3264 §6, RFC 9143 §6
    public var port: UInt16
    /// The number of ports after `/`, where written.
    public var portCount: UInt16?
    /// `UDP/TLS/RTP/SAVPF`, `UDP/DTLS/SCTP`, …
    public var transportProtocol: String
    /// Payload types for RTP, otherwise protocol specific; at least one.
    public var formats: [String]
    /// `i=`
    public var title: String?
    /// `c=`; more than one for layered multicast.
    public var connections: [ConnectionData] = []
    /// `b=`
    public var bandwidths: [Bandwidth] = []
    /// `k=`
    public var key: String?
    /// `a=`, in order.
    public var attributes: [SessionAttribute] = []

    public init(kind: String, port: UInt16 = 9, transportProtocol: String = "UDP/TLS/RTP/SAVPF", formats: [String]) {
        self.kind = kind
        self.port = port
        self.transportProtocol = transportProtocol
        self.formats = formats
    }
}

extension MediaSection {
    /// `a=mid`. RFC 5888 §4
    public var mid: String? { attributes.value("mid") }

    /// `a=rtcp-mux`. RFC 5761 §5.1.1
    public var multiplexesRTCP: Bool { attributes.has("rtcp-mux") }

    /// `a=bundle-only`. RFC 9143 §6
    public var isBundleOnly: Bool { attributes.has("bundle-only") }

    /// `a=rtpmap` lines that follow the grammar, in order. RFC 8866 §6.6
    public var rtpMaps: [RTPMap] { attributes.values("rtpmap").compactMap(RTPMap.init) }

    /// `a=fmtp` lines, by format. RFC 8866 §6.15
    public var formatParameters: [FormatParameters] { attributes.values("fmtp").compactMap(FormatParameters.init) }

    /// `a=candidate` lines that follow the grammar, in order; others are to be ignored. RFC 8839 §5.1
    public var candidates: [ICECandidate] {
        attributes.values("candidate").compactMap { ICECandidate("candidate:\($0)") }
    }

    /// `a=end-of-candidates`. RFC 8840 §8
    public var endsCandidates: Bool { attributes.has("end-of-candidates") }
}

extension SessionDescription {
    /// `sendrecv` unless the section, or else the session, says otherwise. RFC 8866 §6.7
    public func direction(of section: MediaSection) -> MediaDirection {
        section.attributes.direction ?? attributes.direction ?? .sendrecv
    }

    /// The DTLS role offered or chosen. RFC 8842 §5.1
    public func setup(of section: MediaSection) -> SetupRole? {
        effective("setup", section).flatMap(SetupRole.init(rawValue:))
    }

    /// The certificate fingerprints of the section, else those of the session. RFC 8122 §5
    public func fingerprints(of section: MediaSection) -> [CertificateFingerprint] {
        let own = section.attributes.values("fingerprint")
        return (own.isEmpty ? attributes.values("fingerprint") : own).compactMap(CertificateFingerprint.init)
    }

    /// `ice-ufrag` with `ice-pwd`; `nil` unless both are there. RFC 8839 §5.4
    public func iceCredentials(of section: MediaSection) -> ICECredentials? {
        guard let fragment = effective("ice-ufrag", section), let password = effective("ice-pwd", section) else {
            return nil
        }
        return ICECredentials(usernameFragment: fragment, password: password)
    }

    /// The mids of every `a=group:BUNDLE`, group by group. RFC 9143 §7.1
    public var bundleGroups: [[String]] {
        attributes.values("group").compactMap { value in
            let words = value.split(separator: " ").map(String.init)
            return words.first == "BUNDLE" ? Array(words.dropFirst()) : nil
        }
    }

    /// `a=ice-lite`. RFC 8839 §5.3
    public var isICELite: Bool { attributes.has("ice-lite") }

    private func effective(_ name: String, _ section: MediaSection) -> String? {
        section.attributes.value(name) ?? attributes.value(name)
    }
}

extension [SessionAttribute] {
    /// The value of the first attribute so named; `nil` also for a flag.
    public func value(_ name: String) -> String? { first { $0.name == name }?.value }
    /// The values of all attributes so named, in order.
    public func values(_ name: String) -> [String] { filter { $0.name == name }.compactMap(\.value) }
    public func has(_ name: String) -> Bool { contains { $0.name == name } }

    var direction: MediaDirection? {
        for attribute in self {
            if let direction = MediaDirection(rawValue: attribute.name) { return direction }
        }
        return nil
    }
}
