import DSIPIdentity
import Encoding

/// The lines that say on what basis somebody is who they say (DSIP §18.1).
///
/// A line names the basis and nothing more; there is no badge, no tick and no word that claims more than was checked.
public enum TrustBasis {
    /// What a client shows about the other side: the basis, then the telephone number when a gateway carries one.
    ///
    /// - Parameters:
    ///   - identity: the verified identity, the principal of its device.
    ///   - claims: of the message's `identity` member, unverified.
    public static func lines(identity: DID, claims: [JSONObject] = []) -> [String] {
        [basis(of: identity, claims: claims)] + claims.lazy.compactMap(telephoneCaller(_:)).prefix(1)
    }

    /// The basis of verification. A telephone claim outranks the identity that carries it: that one is the gateway's.
    public static func basis(of identity: DID, claims: [JSONObject] = []) -> String {
        if let claim = claims.lazy.compactMap(TelephoneClaim.init).first { return claim.basis }
        return switch identity.method {
        case "key", "jwk": "Self-issued identity"
        case "web": "Domain verified (\(identity))"
        // What decides is a log or a zone that its keys sign; the domain, or whoever carries it, only holds it ready.
        case "webvh": "Signed log (\(identity))"
        case "dht": "Self-issued identity, its document in a signed zone"
        case "ion": "Self-issued identity, as it was created"
        default: "Unrecognized identity method"
        }
    }

    /// The caller behind a gateway, or nil when `claim` is no telephone claim.
    public static func telephoneCaller(_ claim: JSONObject) -> String? { TelephoneClaim(claim)?.caller }
}

/// A telephone number that a gateway vouches for (claim type `tel`).
public struct TelephoneClaim: Hashable, Sendable {
    /// STIR attestation (RFC 8588 §4).
    public enum Attestation: String, Hashable, Sendable {
        case full = "A"
        case partial = "B"
        case gateway = "C"
    }

    public var number: String
    /// Nil when the call carried none.
    public var attestation: Attestation?
    /// Whether the gateway verified the attestation's signature.
    public var isVerified: Bool
    /// The gateway.
    public var verifier: String
    /// The name of the calling line, unverified.
    public var name: String?

    /// - Returns: nil when `claim` is of another type or names no number.
    public init?(_ claim: JSONObject) {
        guard claim["type"]?.string == "tel", let number = claim["number"]?.string else { return nil }
        self.number = number
        self.attestation = claim["attestation"]?.string.flatMap(Attestation.init(rawValue:))
        self.isVerified = claim["verified"]?.bool ?? false
        self.verifier = claim["verifier"]?.string ?? ""
        self.name = claim["cnam"]?.string
    }

    public var basis: String {
        let gateway = "Gateway attested by \(gatewayName)"
        guard let attestation else { return gateway + " · no attestation" }
        return gateway + " · STIR attestation \(attestation.rawValue) (\(isVerified ? "verified" : "unverified"))"
    }

    public var caller: String { "PSTN caller \(number)" + (name.map { " · \($0)" } ?? "") }

    /// The host of a `did:web`, else the verifier as given.
    private var gatewayName: String {
        guard let did = DID(verifier), did.method == "web" else {
            return verifier.isEmpty ? "an unnamed gateway" : verifier
        }
        let host = did.identifier.prefix { $0 != ":" && $0 != "%" }
        return String(host)
    }
}
