import DSIPDiscovery
import DSIPIdentity
import DSIPTransport
import Encoding

/// The directory as a relay has it over HTTPS: its own records, and those of the DHT behind it.
struct RelayDirectory: RecordDirectory {
    /// Bytes of an answer.
    private static let limit = 64 << 10

    let fetcher: HTTPDocumentFetcher
    /// Where clients connect, `wss://…`.
    let relay: String

    /// The HTTPS side of a relay; nil for what is no `wss` URL.
    static func base(of relay: String) -> String? {
        guard relay.hasPrefix("wss://") else { return nil }
        return "https://" + relay.dropFirst(6).prefix { $0 != "/" && $0 != "?" }
    }

    func values(_ key: [UInt8]) async throws(IdentityError) -> [[UInt8]] {
        let answer = try await fetcher.fetch(url: try url(key), limit: RelayDirectory.limit)
        switch answer.status {
        case 200: return [answer.body]
        case 404: return []
        default: throw IdentityError(.unreachable, "the relay answered with HTTP status \(answer.status)")
        }
    }

    func put(_ key: [UInt8], _ value: [UInt8]) async { _ = try? await post(key, value) }

    /// - Returns: the HTTP status.
    func post(_ key: [UInt8], _ value: [UInt8]) async throws(IdentityError) -> Int {
        try await fetcher.post(url: try url(key), value).status
    }

    private func url(_ key: [UInt8]) throws(IdentityError) -> String {
        guard let base = RelayDirectory.base(of: relay), let slash = key.lastIndex(of: UInt8(ascii: "/")) else {
            throw IdentityError(.unreachable, "the relay has no HTTPS side")
        }
        return "\(base)/dsip/v1/records/\(String(decoding: key[(slash + 1)...], as: UTF8.self))"
    }
}
