import DSIPIdentity
import Encoding

/// Aliases as files, for domains that can serve a file and run nothing: `https://<host>/.well-known/dsip/<user>.json`, an object with
/// `did` and, where it helps, `relay`. The path is ours; the specification leaves it open (DSIP §8.2).
public enum AliasFile {
    public static let maximumLength = 4096

    public static func url(of alias: Alias) -> String {
        // An alias holds unreserved characters and `+` only.
        "https://\(alias.host)/.well-known/dsip/\(alias.user.replacing("+", with: "%2B")).json"
    }

    public static func document(did: DID, relay: String? = nil) -> JSONValue {
        var object: JSONObject = ["did": .string(did.string)]
        if let relay { object["relay"] = .string(relay) }
        return .object(object)
    }

    /// - Throws: `.malformed`.
    public static func claim(_ bytes: [UInt8]) throws(IdentityError) -> AliasClaim {
        guard let json = try? JSONValue(parsing: bytes, limits: .init(bytes: maximumLength, depth: 4, members: 32)),
            let did = json["did"]?.string.flatMap({ DID($0) })
        else { throw IdentityError(.malformed, "the file of the alias names no identity") }
        let relay = json["relay"]?.string.flatMap { RelayURL.isValid($0) ? $0 : nil }
        return AliasClaim(source: .wellKnown, did: did, relay: relay, basis: .certificate)
    }

    public static func resolve(_ alias: Alias, through fetcher: any DocumentFetcher) async throws(IdentityError)
        -> AliasClaim
    {
        let fetched = try await fetcher.fetch(url: url(of: alias), limit: maximumLength)
        guard fetched.finalURL.hasPrefix("https://") else {
            throw IdentityError(.refused, "the file of the alias was redirected away from https")
        }
        guard fetched.status == 200 else {
            throw IdentityError(
                fetched.status == 404 || fetched.status == 410 ? .notFound : .unreachable,
                "the file of the alias was not to be had (HTTP status \(fetched.status))"
            )
        }
        return try claim(fetched.body)
    }
}
