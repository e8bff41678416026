import DSIPIdentity
import DSIPSignaling
import Encoding

/// A reachability hint read from an identity's own zone (hints profile §9). It chooses whom to dial and is never authority.
public struct PkarrHint: Hashable, Sendable {
    /// The longest TTL of a `_dsip` record, seconds.
    public static let maximumTTL: UInt32 = 3600
    static let label = "_dsip"

    public let subject: DID
    /// The signed timestamp, µs.
    public let seq: UInt64
    /// Unix seconds.
    public let issuedAt: Int64
    /// The hint holds while `now < expiresAt`.
    public let expiresAt: Int64
    /// In the order of the records; `parameters` holds `service` where one is named.
    public let endpoints: [ReachabilityHint.Endpoint]

    /// Reads a relay payload: steps 1 to 9 of the profile, in their order.
    ///
    /// - Parameter now: Unix seconds.
    /// - Throws: `.notDIDKey`, `.malformed`, `.signature`, `.future`, `.badEndpoint`, `.noEndpoints`, `.ttlTooLong`, `.expired`.
    public init(_ payload: [UInt8], of subject: DID, at now: Int64) throws(DiscoveryError) {
        let key = try PkarrKey(subject)
        let packet = try PkarrPacket(payload)
        try self.init(packet, try packet.open(under: key, at: now), key: key, subject: subject, at: now)
    }

    init(
        _ packet: PkarrPacket,
        _ message: DNSMessage,
        key: PkarrKey,
        subject: DID,
        at now: Int64
    ) throws(DiscoveryError) {
        var endpoints: [ReachabilityHint.Endpoint] = []
        let records = message.texts(key.name(PkarrHint.label))
        for record in records { endpoints.append(try PkarrHint.endpoint(try message.strings(of: record))) }
        guard let shortest = records.map(\.ttl).min() else {
            throw DiscoveryError(.noEndpoints, "the zone names no endpoint")
        }
        guard records.allSatisfy({ $0.ttl <= PkarrHint.maximumTTL }) else {
            throw DiscoveryError(.ttlTooLong, "a hint holds an hour at most")
        }
        self.subject = subject
        self.seq = packet.timestamp
        self.issuedAt = Int64(packet.timestamp / 1_000_000)
        self.expiresAt = issuedAt + Int64(shortest)
        self.endpoints = endpoints
        guard now < expiresAt else { throw DiscoveryError(.expired, "the hint has expired") }
    }

    /// One `uri=` with a wss URI, one or more `b=`, at most one `svc=`; unknown keys are passed over.
    private static func endpoint(_ strings: [[UInt8]]) throws(DiscoveryError) -> ReachabilityHint.Endpoint {
        var (uris, bindings, services): ([String], [String], [String]) = ([], [], [])
        for string in strings {
            guard let text = String(validating: string, as: UTF8.self),
                let equals = text.utf8.firstIndex(of: UInt8(ascii: "="))
            else { throw DiscoveryError(.badEndpoint, "a string that is no key=value") }
            let value = String(text[text.utf8.index(after: equals)...])
            switch text[..<equals] {
            case "uri": uris.append(value)
            case "b": bindings.append(value)
            case "svc": services.append(value)
            default: continue
            }
        }
        guard uris.count == 1, uris[0].utf8.starts(with: "wss://".utf8), !bindings.isEmpty, services.count <= 1 else {
            throw DiscoveryError(.badEndpoint, "an endpoint is one wss URI with its bindings")
        }
        return ReachabilityHint.Endpoint(
            uri: uris[0],
            bindings: bindings,
            parameters: services.first.map { ["service": .string($0)] } ?? [:]
        )
    }

    /// The character-strings of `endpoint`.
    ///
    /// - Throws: `.badEndpoint` for what a reader would refuse.
    static func strings(of endpoint: ReachabilityHint.Endpoint) throws(DiscoveryError) -> [[UInt8]] {
        var strings = [Array("uri=\(endpoint.uri)".utf8)] + endpoint.bindings.map { Array("b=\($0)".utf8) }
        if let service = endpoint.parameters["service"]?.string { strings.append(Array("svc=\(service)".utf8)) }
        guard RelayURL.isValid(endpoint.uri), !endpoint.bindings.isEmpty, strings.allSatisfy({ $0.count <= 255 }) else {
            throw DiscoveryError(.badEndpoint, "an endpoint that no reader would take")
        }
        return strings
    }
}

extension PkarrHint {
    /// Which of a received payload and a held one stands (DSIP §8.3); Pkarr's own rule, that the larger packet wins, does not apply.
    ///
    /// - Throws: why `payload` is no hint.
    public static func choose(
        _ payload: [UInt8],
        over held: [UInt8]?,
        of subject: DID,
        at now: Int64
    ) throws(DiscoveryError) -> HintPrecedence {
        let hint = try PkarrHint(payload, of: subject, at: now)
        guard let held, let old = try? PkarrHint(held, of: subject, at: now) else { return .first }
        return HintPrecedence(of: hint.seq, over: old.seq, isSameContent: payload == held)
    }
}
