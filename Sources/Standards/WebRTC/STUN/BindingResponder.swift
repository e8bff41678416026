/// A STUN server without authentication, as a pure function from one datagram to at most one datagram. RFC 8489 §6.3
///
/// It tells a client the address it was seen from, and nothing else. What is not a well-formed binding request gets no answer:
/// other classes and methods, other protocols, a wrong FINGERPRINT, a port that cannot be answered. It keeps no state, so a
/// flood costs only its own handling, and it is useless as an amplifier: a success is 32 bytes (IPv4) or 44 (IPv6), 8 more when the
/// request bore a FINGERPRINT, to a request of at least 20; a refusal lists two bytes for every four received, at most 32 types.
public struct BindingResponder: Sendable {
    /// Longest request looked at, in bytes. RFC 8489 §6.1 keeps requests within one unfragmented packet.
    public static let maximumRequest = 1_280
    private static let maximumListed = 32

    public init() {}

    /// The bytes to send back to `source`, or `nil` for silence.
    public func respond(to datagram: [UInt8], from source: TransportAddress) -> [UInt8]? {
        guard datagram.count <= Self.maximumRequest, source.port != 0, let request = try? STUNMessage(datagram),
            request.type == STUNMessageType(.request, .binding), request.hasValidFingerprint != false
        else { return nil }
        // RFC 8489 §6.3.1: any comprehension-required attribute not understood refuses the request.
        var unknown: [STUNAttributeType] = []
        for attribute in request.attributes where attribute.type.isComprehensionRequired {
            if Self.understood.contains(attribute.type) || unknown.contains(attribute.type) { continue }
            unknown.append(attribute.type)
            if unknown.count == Self.maximumListed { break }
        }
        var response: STUNWriter
        if unknown.isEmpty {
            response = STUNWriter(STUNMessageType(.success, .binding), transactionID: request.transactionID)
            response.xorMappedAddress(source)
        } else {
            response = STUNWriter(STUNMessageType(.error, .binding), transactionID: request.transactionID)
            response.errorCode(.unknownAttribute)
            response.unknownAttributes(unknown)
        }
        if request.hasValidFingerprint == true { response.fingerprint() }
        return response.bytes
    }

    /// Required attributes a server without authentication knows and passes over. RFC 8489 §9
    private static let understood: Set<STUNAttributeType> = [
        .username, .messageIntegrity, .messageIntegritySHA256, .realm, .nonce, .userHash, .passwordAlgorithm,
    ]
}
