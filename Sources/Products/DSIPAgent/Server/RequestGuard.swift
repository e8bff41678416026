import Crypto
import Encoding

/// Who may talk to the local API: the page we served, and nobody else's.
///
/// Threats: another web site in the same browser (stopped by `Origin` and by the token it cannot know), a name rebound to 127.0.0.1
/// (stopped by `Host`), another local user without the token. Not stopped: software running as the user, which could read the key
/// file itself.
struct RequestGuard: Sendable {
    private let hosts: Set<String>
    private let token: [UInt8]

    /// - Parameter token: as printed in the URL, base64url of 32 random bytes.
    init(port: Int, token: String) {
        self.hosts = Set(["127.0.0.1", "localhost", "[::1]"].map { "\($0):\(port)" })
        self.token = Array(token.utf8)
    }

    static func makeToken(using generator: inout some RandomNumberGenerator) -> String {
        Base64URL.encode((0..<32).map { _ in UInt8.random(in: 0...255, using: &generator) })
    }

    /// Whether `Host` is ours and `Origin`, when there is one, is the same origin.
    func admits(host: String?, origin: String?) -> Bool {
        guard let host = host?.lowercased(), hosts.contains(host) else { return false }
        guard let origin else { return true }
        return origin.lowercased() == "http://" + host
    }

    /// Compares in constant time; only the length of a wrong token could show.
    func accepts(token candidate: some StringProtocol) -> Bool {
        let candidate = Array(candidate.utf8)
        guard candidate.count == token.count else { return false }
        var difference: UInt8 = 0
        for (a, b) in zip(candidate, token) { difference |= a ^ b }
        return difference == 0
    }

    /// Reads `Authorization: Bearer <token>`.
    func accepts(authorization: String?) -> Bool {
        guard let authorization, authorization.hasPrefix("Bearer ") else { return false }
        return accepts(token: authorization.dropFirst(7))
    }

    /// Reads the subprotocol list `dsip.agent.v1, bearer.<token>`.
    func accepts(subprotocols: [String]) -> Bool {
        let names = subprotocols.flatMap { $0.split(separator: ",") }.map(\.trimmed)
        guard names.contains(RequestGuard.subprotocol) else { return false }
        return names.contains { $0.hasPrefix("bearer.") && accepts(token: $0.dropFirst(7)) }
    }

    static let subprotocol = "dsip.agent.v1"

    /// Everything a page may load is ours; it may talk to its own origin only; nobody may frame it. `blob:` is what the page itself made
    /// of an attachment it fetched; streams that a person plays come from where their publisher has them.
    static let securityHeaders: [(name: String, value: String)] = [
        (
            "Content-Security-Policy",
            "default-src 'self'; img-src 'self' blob:; media-src 'self' blob: https:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; object-src 'none'"
        ),
        ("X-Content-Type-Options", "nosniff"),
        ("X-Frame-Options", "DENY"),
        ("Referrer-Policy", "no-referrer"),
        ("Cross-Origin-Opener-Policy", "same-origin"),
        ("Cross-Origin-Resource-Policy", "same-origin"),
        ("Permissions-Policy", "camera=(self), microphone=(self), display-capture=(self), geolocation=(self)"),
        ("Cache-Control", "no-cache"),
    ]
}
