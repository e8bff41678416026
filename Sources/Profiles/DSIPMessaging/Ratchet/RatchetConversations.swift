import DSIPIdentity
import DSIPSignaling
import DoubleRatchet
import Encoding

/// What carries one device's conversations (proposal 0.3 §8) with people who have prekeys and no mailbox of the profile.
///
/// ```
/// Messenger ── carry ──► send ─► encrypted for each device ─► outbox ─► relay ── accepted ──► taken ──► Messenger
/// Messenger ◄── arrived ── opened, on the disk ── acknowledge ──► relay
/// ```
///
/// Synchronous and pure: time, randomness and messages are passed in, and what is to be done comes back as ``RatchetAction``s. Each call
/// is one event and one `commit`: the ratchet's state, what came and what is to be sent are on the disk together, or nothing happened.
/// So a device may be stopped at any moment: what was said is sent again, what came is delivered again and known by its reference.
///
/// What cannot be opened is not shown and not lost: the session is begun anew with a fresh bundle, and the sender is asked for the message.
public struct RatchetConversations<Store: RatchetStore>: Sendable {
    struct Flight: Sendable {
        var reference: String
        var at: Int64
        var form = WireForm.jose
    }

    struct Fetch: Sendable {
        var person: DID
        var device: DID?
        var at: Int64
    }

    struct Want: Sendable {
        var attempts = 0
        var nextAt: Int64
    }

    public internal(set) var configuration: RatchetConfiguration
    let keys: IdentityKeyPair
    var ledger: RatchetLedger<Store>
    var random: Entropy
    var isBound = false
    /// Where bundles are left; nil while there is no such place.
    var shelf: DID?
    var inFlight: [ULID: Flight] = [:]
    var fetching: [ULID: Fetch] = [:]
    var publishing: [ULID: Int64] = [:]
    var wanted: [DID: Want] = [:]
    /// Own devices that are there, and have left no bundles yet.
    var expected: Set<DID> = []
    var sweepAt: Int64 = 0
    var actions: [RatchetAction] = []
    /// A ring without one-time prekeys, for messages that begin no session: the real one is large.
    private let spareRing: [UInt8]

    /// - Throws: `store-failed`, or `refused` when the device's key is none the ratchet can use.
    public init(
        _ configuration: RatchetConfiguration,
        store: Store,
        random: some RandomNumberGenerator & Sendable = SystemRandomNumberGenerator(),
        at now: Int64
    ) throws(MessagingError) {
        self.configuration = configuration
        do throws(RatchetError) {
            keys = try IdentityKeyPair(ed25519Seed: configuration.device.rawRepresentation)
        } catch {
            throw MessagingError(.refused, "the device's key cannot be used in a ratchet")
        }
        ledger = RatchetLedger(store)
        self.random = Entropy(random)
        let agreement = RatchetConfiguration.profile.agreement
        spareRing = PreKeyRing(identity: keys, profile: agreement, at: now, using: &self.random).save()
        // Whoever was waited for when the program ended is asked for again.
        for row in try ledger.rows(.wanted, "", limit: 4096) {
            if let person = DID(row.key) { wanted[person] = Want(nextAt: now) }
        }
        sweepAt = now + 3600
    }

    public var store: Store { ledger.store }

    // MARK: Transport

    /// The connection to the own relay is up: what waits is sent, and prekeys are published where they run out.
    ///
    /// - Parameter shelf: the relay, when it hands out prekeys. One that is new has none of them yet.
    public mutating func bound(_ shelf: DID?, at now: Int64) throws(MessagingError) -> [RatchetAction] {
        try event { (me: inout Self) throws(MessagingError) in
            me.isBound = true
            me.shelf = shelf
            if let shelf, try me.ledger.json(.setting, "", "shelf")?["value"]?.string != shelf.string {
                me.ledger.set(.setting, "", "shelf", json: ["value": .string(shelf.string)])
                me.set("rotated", 0)
            }
            (me.inFlight, me.fetching, me.publishing) = ([:], [:], [:])
            try me.tellArrivals()
            try me.tellMet()
            try me.publish(at: now)
            try me.transmit(at: now)
            try me.askForBundles(at: now)
        }
    }

    public mutating func unbound() { isBound = false }

    /// The relay answered `accepted`.
    public mutating func accepted(_ id: ULID, at now: Int64) throws(MessagingError) -> [RatchetAction] {
        try event { (me: inout Self) throws(MessagingError) in
            if me.publishing.removeValue(forKey: id) != nil { return try me.published(at: now) }
            guard let flight = me.inFlight.removeValue(forKey: id) else { return }
            try me.taken(flight.reference)
            try me.transmit(at: now)
        }
    }

    /// The relay answered `error`.
    ///
    /// - Parameters:
    ///   - reason: `transport.unknown-recipient` says that the device is not there any more, `session.unsupported-wire-format` that
    ///     it reads another form.
    ///   - wasSealed: whether it went in a stored envelope.
    ///   - retryAfter: seconds, where the reason allows another attempt; nil ends it.
    public mutating func refused(
        _ id: ULID,
        _ reason: Reason,
        wasSealed: Bool = false,
        retryAfter: Int64?,
        at now: Int64
    ) throws(MessagingError) -> [RatchetAction] {
        try event { (me: inout Self) throws(MessagingError) in
            me.publishing[id] = nil
            if let fetch = me.fetching.removeValue(forKey: id) {
                try me.put(off: fetch.person, retryAfter, at: now)
            } else if let flight = me.inFlight[id] {
                var retryAfter = retryAfter
                if reason == .sessionUnsupportedWireFormat {
                    if try wasSealed ? me.speakOpenly(flight) : me.speakOtherwise(flight) {
                        me.inFlight[id] = nil
                        return try me.transmit(at: now)
                    }
                    // The device says otherwise; it may be back in time.
                    if wasSealed { retryAfter = Self.resealAfter }
                }
                guard let retryAfter else {
                    me.inFlight[id] = nil
                    try me.undeliverable(flight.reference, isGone: reason == .transportUnknownRecipient, at: now)
                    return try me.transmit(at: now)
                }
                // Its place is kept until then, so that it is not sent before.
                me.inFlight[id]?.at = now + min(max(retryAfter, 1), 86_400) - me.configuration.limits.answerTime
            }
        }
    }

    /// Whether this identity has other devices, by which delegation this one speaks, and where the identity is reached.
    public mutating func update(hasSiblings: Bool, delegation: String?, relay: String?) {
        (configuration.hasSiblings, configuration.delegation) = (hasSiblings, delegation)
        configuration.relay = relay
    }

    // MARK: Time

    /// Whether an answer to this is waited for.
    public func awaits(_ id: ULID) -> Bool {
        inFlight[id] != nil || fetching[id] != nil || publishing[id] != nil
    }

    /// When ``advance(to:)`` has something to do.
    public var deadline: Int64? {
        let patience = configuration.limits.answerTime
        var times = inFlight.values.map { $0.at + patience } + fetching.values.map { $0.at + patience }
        times += publishing.values.map { $0 + patience } + [sweepAt]
        if isBound {
            let asked = Set(fetching.values.map(\.person))
            times += wanted.filter { !asked.contains($0.key) }.map(\.value.nextAt)
        }
        return times.min()
    }

    public mutating func advance(to now: Int64) throws(MessagingError) -> [RatchetAction] {
        try event { (me: inout Self) throws(MessagingError) in
            let patience = me.configuration.limits.answerTime
            me.inFlight = me.inFlight.filter { now < $0.value.at + patience }
            me.publishing = me.publishing.filter { now < $0.value + patience }
            for (id, fetch) in me.fetching where now >= fetch.at + patience {
                me.fetching[id] = nil
                try me.put(off: fetch.person, nil, at: now)
            }
            if now >= me.sweepAt {
                me.sweepAt = now + 3600
                try me.sweep(at: now)
            }
            if me.isBound { try me.publish(at: now) }
            try me.transmit(at: now)
            try me.askForBundles(at: now)
        }
    }

    // MARK: One event

    mutating func event(
        _ body: (inout Self) throws(MessagingError) -> Void
    ) throws(MessagingError) -> [RatchetAction] {
        let before = self
        actions = []
        do throws(MessagingError) {
            try body(&self)
            try ledger.commit()
            defer { actions = [] }
            return actions
        } catch {
            // Drawn randomness stays drawn: nothing that was not committed left, and no key is made of the same bits twice.
            let random = random
            self = before
            self.random = random
            throw error
        }
    }

    mutating func newID(at now: Int64) -> ULID { ULID(milliseconds: UInt64(max(0, now)) * 1000, using: &random) }

    func conversation(with peer: DID) -> ULID { RatchetConfiguration.conversation(configuration.identity, peer) }

    // MARK: Keys

    /// The sessions with a person's devices.
    func sessions(with person: DID) throws(MessagingError) -> Correspondent {
        guard let saved = try ledger.row(.sessions, "", person.string) else {
            return Correspondent(identity: keys, profile: RatchetConfiguration.profile)
        }
        do throws(RatchetError) {
            return try Correspondent(restoring: saved, identity: keys, profile: RatchetConfiguration.profile)
        } catch {
            throw MessagingError(.storeFailed, "the sessions with somebody are damaged")
        }
    }

    mutating func save(_ sessions: borrowing Correspondent, with person: DID) {
        ledger.set(.sessions, "", person.string, sessions.save())
    }

    /// - Parameter message: what it is needed for; nil for the ring itself.
    mutating func ring(for message: SessionMessage? = nil, at now: Int64) throws(MessagingError) -> PreKeyRing {
        if let message, message.handshake == nil { return try restoredRing(spareRing) }
        let saved = try ledger.row(.ring, "", "ring")
        guard let saved else { return newRing(at: now) }
        return try restoredRing(saved)
    }

    private mutating func newRing(at now: Int64) -> PreKeyRing {
        PreKeyRing(identity: keys, profile: RatchetConfiguration.profile.agreement, at: now, using: &random)
    }

    private func restoredRing(_ saved: [UInt8]) throws(MessagingError) -> PreKeyRing {
        do throws(RatchetError) {
            return try PreKeyRing(restoring: saved, identity: keys, profile: RatchetConfiguration.profile.agreement)
        } catch {
            throw MessagingError(.storeFailed, "the prekeys are damaged")
        }
    }

    mutating func save(_ ring: borrowing PreKeyRing) { ledger.set(.ring, "", "ring", ring.save()) }

    func number(_ name: String) throws(MessagingError) -> Int64 {
        try ledger.json(.setting, "", name)?["value"]?.int ?? 0
    }

    mutating func set(_ name: String, _ value: Int64) {
        ledger.set(.setting, "", name, json: ["value": .int(value)])
    }
}
