import DSIPIdentity
import Encoding

/// A JOSE protected header, decoded (DSIP §10.2). A class, because one that is remembered is handed out with every message.
final class ProtectedHeader: Sendable {
    let algorithm: SignatureAlgorithm
    let kid: DIDURL
    /// Whether `kid` is of a `did:key`.
    let isSelfCertifying: Bool
    /// The key when `kid` names a `did:key`, which resolves to itself; nil for a key of another algorithm or a wrong fragment.
    let selfCertifyingKey: PublicKey?
    /// Those of the `delegations` member that can be read.
    let delegations: [PresentedDelegation]
    /// Whether that member held anything else.
    let presentsMalformed: Bool

    /// Each may cost a signature check.
    static let delegationLimit = 8

    /// The header of a statement in another form.
    init(_ statement: WireStatement) {
        algorithm = statement.algorithm
        kid = statement.kid
        (isSelfCertifying, selfCertifyingKey) = ProtectedHeader.selfCertified(kid, algorithm)
        delegations = statement.delegations.prefix(ProtectedHeader.delegationLimit).compactMap(
            PresentedDelegation.init
        )
        presentsMalformed = delegations.count < statement.delegations.count
    }

    /// Whether `kid` is of a `did:key`, and the key that it names there.
    private static func selfCertified(_ kid: DIDURL, _ algorithm: SignatureAlgorithm) -> (Bool, PublicKey?) {
        guard kid.did.method == "key" else { return (false, nil) }
        guard kid.fragment == kid.did.identifier, let key = DIDKey.publicKey(of: kid.did), key.algorithm == algorithm
        else { return (true, nil) }
        return (true, key)
    }

    /// - Throws: `header-invalid`, `alg-unsupported`, `kid-invalid`, in this order.
    init(_ bytes: [UInt8], allowES256: Bool) throws(Rejection) {
        guard let document = try? JSONDocument(scanning: bytes, limits: .init(bytes: ProtocolLimits.frame, depth: 8)),
            document.root.isObject
        else { throw Rejection(.headerInvalid, "the protected header is no JSON object") }
        let root = document.root
        guard let alg = root["alg"]?.string, let kid = root["kid"]?.string else {
            throw Rejection(.headerInvalid, "alg or kid is missing")
        }
        // No JOSE header extension is understood here, and those named in `crit` must be (RFC 7515 §4.1.11).
        guard root["crit"] == nil else { throw Rejection(.headerInvalid, "a critical header extension") }
        guard let algorithm = SignatureAlgorithm(rawValue: alg), algorithm == .edDSA || allowES256 else {
            throw Rejection(.algUnsupported, "the algorithm is not supported")
        }
        guard let kid = DIDURL(kid) else { throw Rejection(.kidInvalid, "kid is no DID URL with a fragment") }
        self.algorithm = algorithm
        self.kid = kid
        (self.isSelfCertifying, self.selfCertifyingKey) = ProtectedHeader.selfCertified(kid, algorithm)
        var presented: [PresentedDelegation] = []
        var malformed = false
        if let list = root["delegations"] {
            malformed = !list.isArray || list.count > ProtectedHeader.delegationLimit
            for view in list.elements.prefix(ProtectedHeader.delegationLimit) {
                if let delegation = Envelope(view).flatMap(PresentedDelegation.init) {
                    presented.append(delegation)
                } else {
                    malformed = true
                }
            }
        }
        self.delegations = presented
        self.presentsMalformed = malformed
    }

    /// About how many bytes a copy in memory takes.
    var weight: Int { delegations.reduce(768) { $0 + 2 * $1.envelope.bytes.count + 512 } }

    /// The `kid` of an envelope, unverified.
    static func kid(of envelope: Envelope) -> DIDURL? {
        let document = try? JSONDocument(scanning: envelope.decodedProtected())
        return document?.root["kid"]?.string.flatMap { DIDURL($0) }
    }
}
