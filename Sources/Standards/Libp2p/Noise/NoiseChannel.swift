/// `/noise`: the handshake that proves both peer ids, then sealed frames. Bytes in, bytes out.
///
/// ```
/// 2 bytes length, big-endian | Noise message of at most 65,535 bytes
/// ```
struct NoiseChannel: Sendable {
    static let protocolID = "/noise"
    /// The most that one frame carries.
    static let maximumPlaintext = 65_535 - NoiseCipher.tagLength

    /// Who is at the other end, and the muxer both agreed on inside the handshake.
    struct Established: Hashable, Sendable {
        let peer: PeerID
        let key: PublicKey
        /// Nil when the peer does not negotiate it here: multistream-select follows.
        let muxer: String?
    }

    private let role: NoiseXX.Role
    private let identity: IdentityKey
    private let expected: PeerID?
    private let muxers: [String]
    private var handshake: NoiseXX
    private var remote: NoisePayload?
    private var ciphers: NoiseXX.Result?

    /// - Parameters:
    ///   - expected: the peer that was dialled; any when nil.
    ///   - muxers: offered inside the handshake, in order of preference.
    init(
        _ role: NoiseXX.Role,
        identity: IdentityKey,
        expecting expected: PeerID?,
        muxers: [String],
        staticKey: NoiseXX.PrivateKey,
        ephemeral: NoiseXX.PrivateKey
    ) {
        self.role = role
        self.identity = identity
        self.expected = expected
        self.muxers = muxers
        self.handshake = NoiseXX(role, staticKey: staticKey, ephemeral: ephemeral)
    }

    var isEstablished: Bool { ciphers != nil }

    /// What the initiator sends first; nothing for a responder.
    mutating func start() throws(Libp2pError) -> [UInt8] {
        role == .initiator ? NoiseChannel.frame(try handshake.write([])) : []
    }

    /// Reads one handshake message, when it is whole.
    ///
    /// - Returns: what to send, and who is there once that is known; nil while more bytes are needed.
    mutating func receiveHandshake(
        _ input: inout ByteQueue
    ) throws(Libp2pError) -> (output: [UInt8], established: Established?)? {
        guard let message = NoiseChannel.takeFrame(&input) else { return nil }
        let payload = try handshake.read(message)
        if let staticKey = handshake.remoteStaticKey {
            let remote = try NoisePayload(verifying: payload, staticKey: staticKey)
            if let expected, expected != PeerID(remote.identity) {
                throw Libp2pError(.wrongPeer, "another peer answered")
            }
            self.remote = remote
        }
        var output: [UInt8] = []
        if handshake.isOurTurn {
            let own = try NoisePayload(signing: handshake.staticPublicKey, by: identity, muxers: muxers)
            output = NoiseChannel.frame(try handshake.write(own.bytes))
        }
        guard handshake.isFinished, let remote else { return (output, nil) }
        ciphers = handshake.finish()
        return (output, Established(peer: PeerID(remote.identity), key: remote.identity, muxer: try agree(remote)))
    }

    /// The first of the initiator's list that both know; no overlap ends the handshake.
    private func agree(_ remote: NoisePayload) throws(Libp2pError) -> String? {
        guard !remote.muxers.isEmpty, !muxers.isEmpty else { return nil }
        let (initiator, responder) = role == .initiator ? (muxers, remote.muxers) : (remote.muxers, muxers)
        guard let muxer = initiator.first(where: responder.contains) else {
            throw Libp2pError(.noCommonProtocol, "no muxer in common")
        }
        return muxer
    }

    mutating func seal(_ plaintext: [UInt8], into output: inout [UInt8]) throws(Libp2pError) {
        var rest = plaintext[...]
        while !rest.isEmpty {
            let part = rest.prefix(NoiseChannel.maximumPlaintext)
            rest = rest.dropFirst(part.count)
            guard ciphers != nil else { return }
            let length = part.count + NoiseCipher.tagLength
            output.append(UInt8(truncatingIfNeeded: length >> 8))
            output.append(UInt8(truncatingIfNeeded: length))
            try ciphers?.sending.encrypt(part, into: &output)
        }
    }

    /// - Returns: the plaintext of one frame, or nil while it is incomplete.
    mutating func open(_ input: inout ByteQueue) throws(Libp2pError) -> [UInt8]? {
        guard isEstablished, let frame = NoiseChannel.takeFrame(&input) else { return nil }
        return try ciphers?.receiving.decrypt(frame)
    }

    private static func frame(_ message: [UInt8]) -> [UInt8] {
        [UInt8(truncatingIfNeeded: message.count >> 8), UInt8(truncatingIfNeeded: message.count)] + message
    }

    private static func takeFrame(_ input: inout ByteQueue) -> ArraySlice<UInt8>? {
        let view = input.view
        guard view.count >= 2 else { return nil }
        let length = Int(view.prefix(2).bigEndianValue)
        guard view.count >= 2 + length else { return nil }
        input.drop(2)
        return input.take(length)
    }
}
