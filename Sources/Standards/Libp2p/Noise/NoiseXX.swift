import Crypto

/// `Noise_XX_25519_ChaChaPoly_SHA256`, nothing else of the framework: both sides learn and prove static keys, each hidden from who
/// listens.
///
/// ```
/// -> e
/// <- e, ee, s, es
/// -> s, se
/// ```
///
/// The two sides take turns with `write` and `read`; after the third message `finish` gives the transport ciphers. A call out of
/// turn is the caller's fault and traps; whatever a peer sends ends in a thrown error.
package struct NoiseXX: Sendable {
    package enum Role: Sendable { case initiator, responder }

    package struct Result: Sendable {
        package var sending: NoiseCipher
        package var receiving: NoiseCipher
        let remoteStatic: [UInt8]
        package let handshakeHash: [UInt8]
    }

    package typealias PrivateKey = Curve25519.KeyAgreement.PrivateKey
    typealias PublicKey = Curve25519.KeyAgreement.PublicKey

    package static let name = "Noise_XX_25519_ChaChaPoly_SHA256"

    private let role: Role
    private let staticKey: PrivateKey
    private let ephemeral: PrivateKey
    private var symmetric: NoiseSymmetricState
    private var remoteStatic: PublicKey?
    private var remoteEphemeral: PublicKey?
    /// How many messages have passed.
    private var passed = 0

    /// - Parameters:
    ///   - staticKey: proven to the other side.
    ///   - ephemeral: used for this handshake only.
    package init(_ role: Role, staticKey: PrivateKey, ephemeral: PrivateKey, prologue: [UInt8] = []) {
        self.role = role
        self.staticKey = staticKey
        self.ephemeral = ephemeral
        self.symmetric = NoiseSymmetricState(protocolName: NoiseXX.name)
        symmetric.mixHash(prologue)
    }

    var staticPublicKey: [UInt8] { Array(staticKey.publicKey.rawRepresentation) }
    var isFinished: Bool { passed == 3 }
    var isOurTurn: Bool { !isFinished && (passed % 2 == 0) == (role == .initiator) }
    /// The other side's proven static key; known from the message that carries it.
    var remoteStaticKey: [UInt8]? { remoteStatic.map { Array($0.rawRepresentation) } }

    package mutating func write(_ payload: [UInt8]) throws(Libp2pError) -> [UInt8] {
        precondition(isOurTurn, "a Noise message out of turn")
        var message: [UInt8] = []
        if passed < 2 {
            let key = Array(ephemeral.publicKey.rawRepresentation)
            message += key
            symmetric.mixHash(key)
        }
        if passed == 1 { try mix(ephemeral, remoteEphemeral) }
        if passed > 0 {
            message += try symmetric.encryptAndHash(staticPublicKey)
            try mix(staticKey, remoteEphemeral)
        }
        message += try symmetric.encryptAndHash(payload)
        passed += 1
        return message
    }

    /// - Returns: the payload.
    package mutating func read(_ message: some Collection<UInt8>) throws(Libp2pError) -> [UInt8] {
        precondition(!isFinished && !isOurTurn, "a Noise message out of turn")
        var rest = Array(message)[...]
        func take(_ count: Int) throws(Libp2pError) -> [UInt8] {
            guard rest.count >= count else { throw Libp2pError(.malformed, "Noise message too short") }
            defer { rest = rest.dropFirst(count) }
            return Array(rest.prefix(count))
        }
        if passed < 2 {
            let key = try take(32)
            remoteEphemeral = try? PublicKey(rawRepresentation: key)
            symmetric.mixHash(key)
        }
        if passed == 1 { try mix(ephemeral, remoteEphemeral) }
        if passed > 0 {
            let key = try symmetric.decryptAndHash(try take(32 + NoiseCipher.tagLength))
            remoteStatic = try? PublicKey(rawRepresentation: key)
            try mix(ephemeral, remoteStatic)
        }
        let payload = try symmetric.decryptAndHash(Array(rest))
        passed += 1
        return payload
    }

    package func finish() -> Result {
        precondition(isFinished, "the handshake is not over")
        let (initiator, responder) = symmetric.split()
        return Result(
            sending: role == .initiator ? initiator : responder,
            receiving: role == .initiator ? responder : initiator,
            remoteStatic: remoteStaticKey ?? [],
            handshakeHash: symmetric.hash
        )
    }

    /// A key of small order, which gives a secret of zeros (RFC 7748 §6.1), is refused.
    private mutating func mix(_ own: PrivateKey, _ remote: PublicKey?) throws(Libp2pError) {
        guard let remote, let shared = try? own.sharedSecretFromKeyAgreement(with: remote) else {
            throw Libp2pError(.unauthentic, "no shared secret with the peer's key")
        }
        let secret = shared.withUnsafeBytes { Array($0) }
        guard secret.reduce(0, |) != 0 else { throw Libp2pError(.unauthentic, "a key of small order") }
        symmetric.mixKey(secret)
    }
}
