/// A breach of the binding: what is wrong, the reason token to send, and which section it is in. Equal by code.
public struct MediaBindingError: Error, Hashable, Sendable, CustomStringConvertible {
    /// The verdict codes of the conformance suite.
    public enum Code: String, Hashable, Sendable {
        /// `media` or `transports` is not what the schemas say.
        case schemaInvalid = "schema-invalid"
        /// `ice` is absent on an offer, or not `trickle`. B§2
        case iceMode = "binding-ice-mode"
        /// The descriptor has no `sdp`. B§2
        case sdpMissing = "binding-sdp-missing"
        /// `sdp` is not SDP. B§2
        case sdpInvalid = "binding-sdp-invalid"
        /// An `m=application` section. B§2.1
        case extraSection = "binding-extra-section"
        /// Live sections and descriptors differ in number, or an answer's sections from its offer's. B§2.1
        case sectionCount = "binding-section-count"
        case kindMismatch = "binding-kind-mismatch"
        case directionMismatch = "binding-direction-mismatch"
        case codecMissing = "binding-codec-missing"
        /// Plain RTP. B§7
        case encryption = "binding-encryption"
        case rtcpMuxMissing = "binding-rtcp-mux-missing"
        case fingerprintMissing = "binding-fingerprint-missing"
        case iceCredentialsMissing = "binding-ice-credentials-missing"
        /// An offer that is not `actpass`, an answer neither `active` nor `passive`. B§3.3
        case setupInvalid = "binding-setup-invalid"
        /// A re-offer that changes ICE credentials. B§5.4
        case iceRestart = "binding-ice-restart"
        /// Found only in our own descriptions: sections outside `a=group:BUNDLE`. B§2.2
        case bundleMissing = "binding-bundle-missing"
        /// Found only in our own descriptions: `a=ice-lite`. B§2.2
        case iceLite = "binding-ice-lite"
    }

    /// Where the breach was found, which decides the token.
    public enum Side: Hashable, Sendable {
        case offer, answer
    }

    public let code: Code
    /// The token for `reject` (offer) or `bye` (answer). B§8
    public let reason: String
    /// For the `detail` member: the `m=` section by index, or what was expected. B§2.1
    public let detail: String

    public init(_ code: Code, on side: Side, _ detail: String) {
        self.code = code
        self.detail = detail
        // B§8: whatever is wrong with an answer fails the accepted leg; only offers can be told more.
        reason =
            switch (side, code) {
            case (.answer, _): "media.failed"
            case (.offer, .sdpMissing): "media.offer-required"
            case (.offer, .encryption): "media.encryption-required"
            case (.offer, _): "media.unsupported"
            }
    }

    public static func == (a: MediaBindingError, b: MediaBindingError) -> Bool { a.code == b.code }
    public func hash(into hasher: inout Hasher) { hasher.combine(code) }

    public var description: String { "\(code.rawValue): \(detail)" }
}
