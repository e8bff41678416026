import DSIPIdentity

/// A public `host` or `host:port`, and the names made from it.
struct Authority: Hashable, Sendable, CustomStringConvertible {
    let host: String
    /// nil for the port of HTTPS.
    let port: Int?

    /// - Returns: nil unless `text` is a DNS name or IPv4 address of letters, digits, dots and hyphens, with an optional port.
    init?(_ text: String) {
        let parts = text.split(separator: ":", omittingEmptySubsequences: false)
        guard (1...2).contains(parts.count), (1...253).contains(parts[0].utf8.count) else { return nil }
        for label in parts[0].split(separator: ".", omittingEmptySubsequences: false) {
            guard (1...63).contains(label.utf8.count), label.first != "-", label.last != "-" else { return nil }
            for byte in label.utf8 {
                switch byte {
                case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
                    UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "-"):
                    continue
                default: return nil
                }
            }
        }
        self.host = parts[0].lowercased()
        guard parts.count == 2 else {
            self.port = nil
            return
        }
        guard let port = UInt16(parts[1]), port > 0 else { return nil }
        self.port = port == 443 ? nil : Int(port)
    }

    /// `did:web:<host>` with the port percent-encoded, as the method asks.
    var did: DID { DID("did:web:\(host)" + (port.map { "%3A\($0)" } ?? ""))! }
    /// `did:web:<host>:users:<name>`.
    func did(of name: String) -> DID? { DID("\(did):users:\(name)") }
    /// Where the relay's signaling endpoint is (DSIP §13.2).
    var signaling: String { "wss://\(self)/dsip" }

    var description: String { host + (port.map { ":\($0)" } ?? "") }
}
