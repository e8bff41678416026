import DSIPIdentity
import DSIPSignaling
import Encoding

/// The `sig` member of a message: a detached JWS over the canonical JSON of all the others (proposal 0.3 §6).
///
/// ```
/// "sig": {"alg":"Ed25519","kid":"did:…#key-1","jws":"<protected>..<signature>"}
///
/// protected   {"alg":"EdDSA","b64":false,"crit":["b64"],"kid":"did:…#key-1", ? "delegations":[…]}     RFC 7515 App. F, RFC 7797
/// covered     BASE64URL(protected) ‖ "." ‖ JCS(the message without sig)                               RFC 8785
/// ```
struct ProposalSignature {
    let kid: DIDURL
    /// Presented in the protected header, as in the core (DSIP §7.4).
    let delegations: [Envelope]
    let covered: [UInt8]
    let signature: [UInt8]

    private static let limits = JSONDocument.Limits(bytes: ProtocolLimits.frame, depth: 8)

    /// Takes the signature of `message` apart; it is not checked.
    init(of message: JSONObject) throws(Rejection) {
        guard let member = message["sig"], let text = member["jws"]?.string, let named = member["kid"]?.string,
            let algorithm = member["alg"]?.string
        else { throw Rejection(.envelopeShape, "a message without sig.alg, sig.kid and sig.jws") }
        var unsigned = message
        unsigned["sig"] = nil
        let jws: JWS
        do throws(EncodingError) {
            jws = try JWS(compact: text, detached: JSONValue.object(unsigned).canonical, limits: Self.limits)
        } catch {
            throw Rejection(.headerInvalid, "sig.jws is no detached JWS: \(error.reason)")
        }
        let header = jws.signatures[0].header
        guard !header.encodesPayload, header.critical == ["b64"] else {
            throw Rejection(.headerInvalid, "b64 must be false, and alone critical")
        }
        guard Self.names.contains(header.algorithm), Self.names.contains(algorithm) else {
            throw Rejection(.algUnsupported, "the algorithm is not supported")
        }
        // What stands beside the signature is not covered by it, so it must say the same.
        guard header.keyIdentifier == named, let kid = DIDURL(named) else {
            throw Rejection(.kidInvalid, "kid is no DID URL with a fragment, or not the one that was signed")
        }
        let presented = header["delegations"]?.array ?? []
        self.delegations = presented.compactMap { value in
            (try? JSONDocument(scanning: value.utf8)).flatMap { Envelope($0.root) }
        }
        guard delegations.count == presented.count else {
            throw Rejection(.headerInvalid, "delegations that cannot be read")
        }
        self.kid = Self.canonical(kid)
        self.covered = jws.signingInput()
        self.signature = jws.signatures[0].bytes
    }

    /// `Ed25519` is what the proposal writes and RFC 9864 registers, `EdDSA` what RFC 8037 does.
    private static let names: Set = ["EdDSA", "Ed25519"]

    /// The proposal writes `did:key:…#key-1`; a did:key has one key, whatever it is called.
    static func canonical(_ kid: DIDURL) -> DIDURL {
        guard kid.did.method == "key", kid.fragment == "key-1" else { return kid }
        return DIDURL(did: kid.did, fragment: String(kid.did.identifier))
    }

    /// `message` with its signature.
    static func sign(
        _ message: JSONObject,
        by key: SigningKey,
        delegations: [Envelope] = []
    ) throws(IdentityError) -> JSONObject {
        var protected: JSONObject = [
            "alg": "EdDSA", "b64": false, "crit": ["b64"], "kid": .string(key.kid.description),
        ]
        if !delegations.isEmpty { protected["delegations"] = .array(delegations.map(\.json)) }
        do {
            let jws = try JWS(
                signing: JSONValue.object(message).canonical,
                header: JOSEHeader(protected: protected)
            ) { try key.sign($0) }
            var signed = message
            signed["sig"] = [
                "alg": "Ed25519", "kid": .string(key.kid.description), "jws": .string(try jws.compact(detached: true)),
            ]
            return signed
        } catch {
            throw IdentityError(.signing, "the signing key could not be used")
        }
    }
}
