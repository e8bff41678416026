/// What libp2p puts into the second and third handshake message: the identity key, its signature of the Noise static key, and
/// the muxers offered.
///
/// ```
/// 1 identity_key   2 identity_sig   4 extensions { 2 stream_muxers … }
/// ```
struct NoisePayload: Sendable {
    static let maximumMuxers = 16

    let identity: PublicKey
    let signature: [UInt8]
    /// In the sender's order of preference; empty when it does not negotiate muxers inside the handshake.
    let muxers: [String]

    init(signing staticKey: [UInt8], by identity: IdentityKey, muxers: [String]) throws(Libp2pError) {
        self.identity = identity.publicKey
        self.signature = try identity.sign(NoisePayload.signingInput(staticKey))
        self.muxers = muxers
    }

    /// Reads a payload and holds its signature against the proven static key.
    ///
    /// - Throws: `unauthentic` when the identity did not sign `staticKey`, `unsupported` for a key type that is not verified here.
    init(verifying bytes: [UInt8], staticKey: [UInt8]) throws(Libp2pError) {
        var reader = ProtobufReader(bytes)
        var (identity, signature): (PublicKey?, [UInt8]?)
        var muxers: [String] = []
        while let field = try reader.next() {
            switch field.number {
            case 1: identity = try PublicKey(protobuf: try field.bytes())
            case 2: signature = Array(try field.bytes())
            case 4:
                var extensions = ProtobufReader(try field.bytes())
                while let part = try extensions.next() {
                    guard part.number == 2 else { continue }
                    guard muxers.count < NoisePayload.maximumMuxers else {
                        throw Libp2pError(.limit, "too many muxers")
                    }
                    muxers.append(try part.text(limit: 128))
                }
            default: break
            }
        }
        guard let identity, let signature else { throw Libp2pError(.malformed, "handshake without an identity") }
        guard identity.canVerify else { throw Libp2pError(.unsupported, "\(identity.type) identities are refused") }
        guard identity.isValid(signature: signature, for: NoisePayload.signingInput(staticKey)) else {
            throw Libp2pError(.unauthentic, "the identity did not sign the Noise key")
        }
        self.identity = identity
        self.signature = signature
        self.muxers = muxers
    }

    var bytes: [UInt8] {
        var writer = ProtobufWriter()
        writer.bytes(1, identity.protobuf)
        writer.bytes(2, signature)
        if !muxers.isEmpty {
            var extensions = ProtobufWriter()
            for muxer in muxers { extensions.text(2, muxer) }
            writer.bytes(4, extensions.bytes)
        }
        return writer.bytes
    }

    private static func signingInput(_ staticKey: [UInt8]) -> [UInt8] {
        Array("noise-libp2p-static-key:".utf8) + staticKey
    }
}
