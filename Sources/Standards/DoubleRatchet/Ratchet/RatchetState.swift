/// The variables of Double Ratchet §3.2 and §4.3, and their rules. A value: a failed step leaves the one before it.
///
/// A new ratchet key is made when something is sent after something was received, not on receipt as the specification's
/// figures have it. On the wire there is no difference; a message that does not authenticate costs one agreement instead of
/// two and a key generation, and receiving needs no randomness.
package struct RatchetState: Sendable {
    package struct Chain: Sendable {
        package var key: Secret
        package var next: UInt32
        /// HKs or HKr.
        package var headerKey: Secret?

        package init(key: Secret, next: UInt32, headerKey: Secret?) {
            (self.key, self.next, self.headerKey) = (key, next, headerKey)
        }
    }

    package let profile: RatchetProfile
    package private(set) var root: Secret
    /// DHs.
    package private(set) var own: AgreementKey
    /// DHr, 32 bytes.
    package private(set) var peer: [UInt8]?
    package private(set) var sending: Chain?
    package private(set) var receiving: Chain?
    package private(set) var previousCount: UInt32 = 0
    /// NHKs and NHKr.
    private var nextSendingHeader: Secret?
    private var nextReceivingHeader: Secret?
    private(set) var skipped = SkippedKeys()

    /// RatchetInitAlice: the initiator, who knows the responder's ratchet key.
    init(
        initiator agreed: AgreedSecret,
        peer: [UInt8],
        own: AgreementKey,
        profile: RatchetProfile
    ) throws(RatchetError) {
        self.profile = profile
        self.own = own
        self.peer = peer
        let step = profile.rootStep(agreed.secret, try own.agree(peer))
        root = step.root
        sending = Chain(key: step.chain, next: 0, headerKey: profile.encryptsHeaders ? agreed.initiatorHeader : nil)
        if profile.encryptsHeaders {
            nextSendingHeader = step.header
            nextReceivingHeader = agreed.responderHeader
        }
    }

    /// RatchetInitBob: the responder, whose ratchet key the initiator used.
    init(responder agreed: AgreedSecret, own: AgreementKey, profile: RatchetProfile) {
        self.profile = profile
        self.own = own
        root = agreed.secret
        if profile.encryptsHeaders {
            nextSendingHeader = agreed.responderHeader
            nextReceivingHeader = agreed.initiatorHeader
        }
    }

    /// A state described elsewhere, without encrypted headers.
    package init(
        profile: RatchetProfile,
        root: Secret,
        own: AgreementKey,
        peer: [UInt8]?,
        sending: Chain?,
        receiving: Chain?,
        previousCount: UInt32,
        skipped keys: [(ratchetKey: [UInt8], keys: [(number: UInt32, key: Secret)])] = []
    ) {
        self.profile = profile
        self.root = root
        self.own = own
        self.peer = peer
        self.sending = sending
        self.receiving = receiving
        self.previousCount = previousCount
        for chain in keys {
            skipped.insert(chain.keys, ratchetKey: chain.ratchetKey, headerKey: nil, limits: profile.limits)
        }
    }

    /// Whether there is something to send with.
    var canSend: Bool { sending != nil || peer != nil }

    // MARK: Sending

    /// RatchetEncrypt and RatchetEncryptHE.
    ///
    /// - Returns: the header as it goes on the wire, encrypted or not, and the sealed message.
    package mutating func encrypt(
        _ plaintext: [UInt8],
        authenticating data: [UInt8],
        using random: inout some RandomNumberGenerator
    ) throws(RatchetError) -> (header: [UInt8], sealed: [UInt8]) {
        var state = self
        if state.sending == nil { try state.turn(AgreementKey(using: &random)) }
        guard var chain = state.sending else {
            throw RatchetError(.notYetReceived, "the first message is the initiator's")
        }
        guard chain.next < .max else { throw RatchetError(.chainExhausted, "the chain's counter is at its end") }
        let step = profile.chain.step(chain.key)
        var header = RatchetHeader(
            ratchetKey: state.own.publicKey,
            previousCount: state.previousCount,
            number: chain.next
        ).bytes(profile.header)
        if let key = chain.headerKey {
            // Headers of a chain all differ, so a deterministic cipher shows nothing (Double Ratchet §4.2 asks for a
            // nonce because its ciphers are not misuse-resistant).
            header = try MessageCipher.aes256GCMSIV.seal(header, key: key, authenticating: [])
        }
        let sealed = try profile.cipher.seal(plaintext, key: step.message, authenticating: data + header)
        chain.key = step.chain
        chain.next += 1
        state.sending = chain
        self = state
        return (header, sealed)
    }

    /// The sending half of DHRatchet, with a new key.
    package mutating func turn(_ new: AgreementKey) throws(RatchetError) {
        guard let peer else { throw RatchetError(.notYetReceived, "the first message is the initiator's") }
        let step = profile.rootStep(root, try new.agree(peer))
        own = new
        root = step.root
        sending = Chain(key: step.chain, next: 0, headerKey: nextSendingHeader)
        nextSendingHeader = step.header
    }

    // MARK: Receiving

    /// How many bytes of a message are its header.
    var headerSize: Int { profile.header.size + (profile.encryptsHeaders ? 16 : 0) }

    /// RatchetDecrypt and RatchetDecryptHE.
    ///
    /// - Throws: and then nothing has changed.
    package mutating func decrypt(
        header bytes: ArraySlice<UInt8>,
        sealed: ArraySlice<UInt8>,
        authenticating data: [UInt8]
    ) throws(RatchetError) -> [UInt8] {
        switch try locate(bytes) {
        case .skipped(let place):
            let plaintext = try profile.cipher.open(sealed, key: skipped[place], authenticating: data + bytes)
            skipped.remove(place)
            return plaintext
        case .current(let header):
            guard let chain = receiving, header.number >= chain.next else {
                throw RatchetError(.duplicate, "opened before, or given up")
            }
            return try receive(header, chain, [], sealed, data + bytes)
        case .next(let header):
            guard peer != header.ratchetKey else { throw RatchetError(.malformed, "the ratchet key did not change") }
            let agreed = try own.agree(header.ratchetKey)
            var passed: [(number: UInt32, key: Secret)] = []
            if let old = receiving { passed = try skip(old, to: max(old.next, header.previousCount)).keys }
            let step = profile.rootStep(root, agreed)
            var state = self
            state.skipped.insert(
                passed,
                ratchetKey: peer ?? [],
                headerKey: receiving?.headerKey,
                limits: profile.limits
            )
            if let sending = state.sending { state.previousCount = sending.next }
            state.sending = nil
            state.peer = header.ratchetKey
            state.root = step.root
            let chain = Chain(key: step.chain, next: 0, headerKey: nextReceivingHeader)
            state.nextReceivingHeader = step.header
            let plaintext = try state.receive(header, chain, passed, sealed, data + bytes)
            self = state
            return plaintext
        }
    }

    private enum Location {
        case skipped(SkippedKeys.Place)
        case current(RatchetHeader)
        case next(RatchetHeader)
    }

    /// Reads the header, and finds which keys it is under.
    private func locate(_ bytes: ArraySlice<UInt8>) throws(RatchetError) -> Location {
        guard profile.encryptsHeaders else {
            let header = try RatchetHeader(bytes, layout: profile.header)
            if let place = skipped.find(header.ratchetKey, header.number) { return .skipped(place) }
            return header.ratchetKey == peer && receiving != nil ? .current(header) : .next(header)
        }
        if let key = receiving?.headerKey, let header = openHeader(bytes, key) {
            if let place = skipped.find(header.ratchetKey, header.number) { return .skipped(place) }
            return .current(header)
        }
        if let key = nextReceivingHeader, let header = openHeader(bytes, key) { return .next(header) }
        for (index, chain) in skipped.chains.enumerated().reversed() {
            guard let key = chain.headerKey, let header = openHeader(bytes, key) else { continue }
            guard let place = chain.index(of: header.number) else {
                throw RatchetError(.duplicate, "opened before, or given up")
            }
            return .skipped(.init(chain: index, key: place))
        }
        throw RatchetError(.authenticationFailed, "no header key opens the header")
    }

    private func openHeader(_ bytes: ArraySlice<UInt8>, _ key: Secret) -> RatchetHeader? {
        guard let plain = try? MessageCipher.aes256GCMSIV.open(bytes, key: key, authenticating: []) else { return nil }
        return try? RatchetHeader(plain[...], layout: profile.header)
    }

    /// Opens a message of `chain` and, when that succeeds, makes it the receiving chain.
    private mutating func receive(
        _ header: RatchetHeader,
        _ chain: Chain,
        _ passed: [(number: UInt32, key: Secret)],
        _ sealed: ArraySlice<UInt8>,
        _ data: [UInt8]
    ) throws(RatchetError) -> [UInt8] {
        let (keys, key) = try skip(chain, to: header.number, already: passed.count)
        let step = profile.chain.step(key)
        let plaintext = try profile.cipher.open(sealed, key: step.message, authenticating: data)
        if !keys.isEmpty {
            skipped.insert(keys, ratchetKey: header.ratchetKey, headerKey: chain.headerKey, limits: profile.limits)
        }
        receiving = Chain(key: step.chain, next: header.number &+ 1, headerKey: chain.headerKey)
        return plaintext
    }

    /// SkipMessageKeys: keys of the messages before `number`, and the chain key there.
    private func skip(
        _ chain: Chain,
        to number: UInt32,
        already: Int = 0
    ) throws(RatchetError) -> (keys: [(number: UInt32, key: Secret)], chain: Secret) {
        // The last number has no successor to count to.
        guard number < .max, already + Int(number - chain.next) <= profile.limits.skippedAtOnce else {
            throw RatchetError(.tooManySkipped, "more than \(profile.limits.skippedAtOnce) messages in between")
        }
        var keys: [(number: UInt32, key: Secret)] = []
        var key = chain.key
        for n in chain.next..<number {
            let step = profile.chain.step(key)
            keys.append((n, step.message))
            key = step.chain
        }
        return (keys, key)
    }

    // MARK: Saving

    func write(to writer: inout ByteWriter) {
        func write(_ writer: inout ByteWriter, _ chain: Chain) {
            writer.append(chain.key)
            writer.append(chain.next)
            writer.append(optional: chain.headerKey) { $0.append($1) }
        }
        writer.append(root)
        writer.append(own.secret)
        writer.append(optional: peer) { $0.append($1) }
        writer.append(optional: sending, write)
        writer.append(optional: receiving, write)
        writer.append(previousCount)
        writer.append(optional: nextSendingHeader) { $0.append($1) }
        writer.append(optional: nextReceivingHeader) { $0.append($1) }
        skipped.write(to: &writer)
    }

    init(from reader: inout ByteReader, _ profile: RatchetProfile) throws(RatchetError) {
        func chain(_ reader: inout ByteReader) throws(RatchetError) -> Chain {
            let chain = Chain(
                key: try reader.secret(),
                next: try reader.uint32(),
                headerKey: try reader.optional { (reader) throws(RatchetError) in try reader.secret() }
            )
            guard (chain.headerKey != nil) == profile.encryptsHeaders else {
                throw RatchetError(.malformed, "a chain of another profile")
            }
            return chain
        }
        self.profile = profile
        root = try reader.secret()
        own = AgreementKey(try reader.secret())
        peer = try reader.optional { (reader) throws(RatchetError) in Array(try reader.bytes(32)) }
        sending = try reader.optional(chain)
        receiving = try reader.optional(chain)
        previousCount = try reader.uint32()
        nextSendingHeader = try reader.optional { (reader) throws(RatchetError) in try reader.secret() }
        nextReceivingHeader = try reader.optional { (reader) throws(RatchetError) in try reader.secret() }
        guard (nextSendingHeader != nil) == profile.encryptsHeaders,
            (nextReceivingHeader != nil) == profile.encryptsHeaders, receiving == nil || peer != nil,
            sending == nil || peer != nil
        else { throw RatchetError(.malformed, "a state of another profile") }
        skipped = try SkippedKeys(from: &reader, profile)
    }
}
