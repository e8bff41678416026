/// Somebody to write to: a person with one or more devices, each in a session of its own.
///
/// It decides which session is spoken in, when both sides begin at once, when a device lost its state, when messages come late or
/// twice. It does not fetch bundles, keep time, or store anything. After each call that sends or receives, save before
/// anything leaves or is shown: a restored older state would seal two messages with one key.
///
/// ```swift
/// var bob = Correspondent(identity: identity, profile: .standard("example"))
/// try bob.begin(with: "phone", bundle.verified(as: known, profile: bob.profile.agreement), using: &random)
/// let message = try bob.encrypt(text, to: "phone", using: &random)
/// ```
public struct Correspondent: ~Copyable, Sendable {
    /// What a message turned out to be.
    public struct Received: Hashable, Sendable {
        public enum Content: Hashable, Sendable {
            case message([UInt8])
            /// The device lost its state and has begun anew; there is nothing to show.
            case reset
            /// Of a kind made after this version; there is nothing to show.
            case unknown
        }

        public let content: Content
        /// Whether the message began a session.
        public let beganSession: Bool
        /// The identity the device is known by.
        public let identity: IdentityKey
    }

    public struct Limits: Hashable, Sendable {
        public var devices = 64
        /// Seconds between two resets towards a device.
        public var resetInterval: Int64 = 3600

        public init() {}
    }

    private let identity: IdentityKeyPair
    public let profile: SessionProfile
    private let limits: Limits
    private(set) var records: [String: DeviceRecord]

    /// - Parameter identity: this device's own.
    public init(identity: IdentityKeyPair, profile: SessionProfile, limits: Limits = Limits()) {
        self.init(identity, profile, limits, [:])
    }

    private init(
        _ identity: IdentityKeyPair,
        _ profile: SessionProfile,
        _ limits: Limits,
        _ records: [String: DeviceRecord]
    ) {
        self.identity = identity
        self.profile = profile
        self.limits = limits
        self.records = records
    }

    /// The devices known, in order of their names.
    public var devices: [String] { records.keys.sorted() }

    /// The identity a device is known by.
    public func identity(of device: String) -> IdentityKey? { records[device]?.identity }

    public func hasSession(with device: String) -> Bool { records[device]?.sessions.isEmpty == false }

    /// Forgets a device and all its keys; also how a changed identity is accepted, once a person has.
    public mutating func forget(_ device: String) { records[device] = nil }

    /// Begins a session. It is spoken in at once; the device needs nothing but the first message that arrives.
    ///
    /// - Throws: `identityChanged` when the device is known under another key, `limitReached` with too many devices.
    public mutating func begin(
        with device: String,
        _ bundle: VerifiedPreKeyBundle,
        using random: inout some RandomNumberGenerator
    ) throws(RatchetError) {
        guard bundle.profile == profile.agreement else {
            throw RatchetError(.profileMismatch, "the bundle was verified under another profile")
        }
        var record = try self.record(of: device, bundle.bundle.identity)
        record.begin(try Session(to: bundle, identity, profile, using: &random))
        records[device] = record
    }

    /// - Throws: `noSession` when none was begun; then fetch a bundle and `begin`.
    public mutating func encrypt(
        _ text: some Collection<UInt8>,
        to device: String,
        using random: inout some RandomNumberGenerator
    ) throws(RatchetError) -> [UInt8] {
        var plaintext: [UInt8] = [0]
        plaintext.reserveCapacity(text.count + 1)
        plaintext.append(contentsOf: text)
        return try encrypt(framed: plaintext, to: device, using: &random)
    }

    /// One message for each device there is a session with.
    public mutating func encryptToAll(
        _ text: some Collection<UInt8>,
        using random: inout some RandomNumberGenerator
    ) throws(RatchetError) -> [(device: String, message: [UInt8])] {
        var messages: [(device: String, message: [UInt8])] = []
        for device in devices where hasSession(with: device) {
            messages.append((device, try encrypt(text, to: device, using: &random)))
        }
        return messages
    }

    private mutating func encrypt(
        framed: [UInt8],
        to device: String,
        using random: inout some RandomNumberGenerator
    ) throws(RatchetError) -> [UInt8] {
        guard let message = try records[device]?.encrypt(framed, using: &random) else {
            throw RatchetError(.noSession, "no session with the device")
        }
        return message
    }

    /// Opens a message.
    ///
    /// - Parameters:
    ///   - known: the identity the device must have, when it is known from elsewhere, as from a DID document.
    ///   - preKeys: used when the message begins a session; a one-time prekey is deleted only if the message authenticates.
    /// - Throws: and then nothing has changed. When the error's `callsForReset` is true, a `reset` heals the session.
    public mutating func decrypt(
        _ bytes: [UInt8],
        from device: String,
        known: IdentityKey? = nil,
        preKeys: inout PreKeyRing
    ) throws(RatchetError) -> Received {
        let message = try SessionMessage(bytes)
        if let known, let held = records[device]?.identity, held != known {
            throw RatchetError(.identityChanged, "the device is known under another key")
        }
        if let handshake = message.handshake,
            records[device]?.sessions.contains(where: { $0.id == handshake.ephemeralKey }) != true
        {
            return try receivedInitial(message, handshake, device, known, &preKeys)
        }
        guard let identity = records[device]?.identity, let plaintext = try records[device]?.decrypt(message) else {
            throw RatchetError(.noSession, "no session with the device")
        }
        return Received(content: Self.content(plaintext), beganSession: false, identity: identity)
    }

    private mutating func receivedInitial(
        _ message: SessionMessage,
        _ handshake: Handshake,
        _ device: String,
        _ known: IdentityKey?,
        _ preKeys: inout PreKeyRing
    ) throws(RatchetError) -> Received {
        if let known, handshake.identity != known {
            throw RatchetError(.identityChanged, "the message is of another identity")
        }
        var record = try record(of: device, handshake.identity)
        var session = try Session(answering: handshake, preKeys, profile)
        let content = Self.content(try session.decrypt(message.ratcheted))
        try preKeys.consume(handshake)
        record.accept(session, message, isReset: content == .reset)
        records[device] = record
        return Received(content: content, beganSession: true, identity: record.identity)
    }

    /// Begins anew with a device whose messages cannot be opened, and tells it so.
    ///
    /// - Returns: the message to send; nil when the last reset is too recent, so that two sides do not chase each other.
    public mutating func reset(
        _ device: String,
        _ bundle: VerifiedPreKeyBundle,
        at now: Int64,
        using random: inout some RandomNumberGenerator
    ) throws(RatchetError) -> [UInt8]? {
        if let last = records[device]?.lastReset, now - last < limits.resetInterval { return nil }
        try begin(with: device, bundle, using: &random)
        records[device]?.lastReset = now
        return try encrypt(framed: [1], to: device, using: &random)
    }

    private func record(of device: String, _ identity: IdentityKey) throws(RatchetError) -> DeviceRecord {
        if let record = records[device] {
            guard record.identity == identity else {
                throw RatchetError(.identityChanged, "the device is known under another key")
            }
            return record
        }
        guard records.count < limits.devices, device.utf8.count <= Self.longestName else {
            throw RatchetError(.limitReached, "too many devices, or too long a name")
        }
        return DeviceRecord(identity: identity)
    }

    private static func content(_ plaintext: [UInt8]) -> Received.Content {
        switch plaintext.first {
        case 0: .message(Array(plaintext.dropFirst()))
        case 1: .reset
        default: .unknown
        }
    }

    private static let longestName = 512

    // MARK: Saving

    /// Everything but the identity, secrets included: encrypt it before it is stored.
    public func save() -> [UInt8] {
        var writer = ByteWriter()
        writer.append(byte: 1)
        writer.append(profile.mark)
        writer.append(count: records.count)
        for (device, record) in records.sorted(by: { $0.key < $1.key }) {
            writer.append(counted: device.utf8)
            record.write(to: &writer)
        }
        return writer.bytes
    }

    /// - Throws: `malformed` unless `saved` is what `save` gave, `profileMismatch` when under another profile.
    public init(
        restoring saved: [UInt8],
        identity: IdentityKeyPair,
        profile: SessionProfile,
        limits: Limits = Limits()
    ) throws(RatchetError) {
        var reader = ByteReader(saved)
        guard try reader.byte() == 1 else { throw RatchetError(.malformed, "another version") }
        guard Array(try reader.bytes(4)) == profile.mark else {
            throw RatchetError(.profileMismatch, "saved under another profile")
        }
        var records: [String: DeviceRecord] = [:]
        for _ in 0..<(try reader.count(atMost: limits.devices)) {
            let name = String(decoding: try reader.counted(atMost: Self.longestName), as: UTF8.self)
            records[name] = try DeviceRecord(from: &reader, profile)
        }
        try reader.end()
        self.init(identity, profile, limits, records)
    }
}
