import DSIPIdentity
import NIOConcurrencyHelpers
import NIOCore

/// The relay's rate limits (DSIP §13.2, §19.4), by device, identity, recipient and address. Usable from any thread.
///
/// A limit of 0 on envelopes, invites or connections means none; a limit of 0 on introductions means that none passes.
final class Gatekeeper: Sendable {
    private struct State {
        var invites: RateLimiter<DID>
        var introductions: RateLimiter<DID>
        var inboxes: RateLimiter<DID>
        var introducers: RateLimiter<AddressKey>
        var connects: RateLimiter<AddressKey>
        var messages: RateLimiter<DID>
        var fetches: RateLimiter<DID>
        var envelopes: RateLimiter<DID>
        var stored: RateLimiter<AddressKey>
        var open: [AddressKey: Int] = [:]
        var total = 0
    }

    /// Introductions one address may send, as a multiple of what one identity may: identities cost nothing to make.
    private static let identitiesPerAddress = 8

    private let limits: RelayConfiguration.Limits
    /// Nil when messaging is off.
    private let messaging: RelayConfiguration.Messaging?
    private let clock: @Sendable () -> Int64
    private let frames: NIOLockedValueBox<RateLimiter<DID>>
    private let state: NIOLockedValueBox<State>

    init(
        _ limits: RelayConfiguration.Limits,
        messaging: RelayConfiguration.Messaging? = nil,
        clock: @escaping @Sendable () -> Int64
    ) {
        self.limits = limits
        self.messaging = messaging
        self.clock = clock
        let n = limits.remembered
        self.frames = NIOLockedValueBox(RateLimiter(capacity: n))
        self.state = NIOLockedValueBox(
            State(
                invites: RateLimiter(capacity: n),
                introductions: RateLimiter(capacity: n),
                inboxes: RateLimiter(capacity: n),
                introducers: RateLimiter(capacity: n),
                connects: RateLimiter(capacity: n),
                messages: RateLimiter(capacity: n),
                fetches: RateLimiter(capacity: n),
                envelopes: RateLimiter(capacity: n),
                stored: RateLimiter(capacity: n)
            )
        )
    }

    private var now: Double { Double(clock()) }

    /// Whether `device` may send another frame, whatever is in it; asked before anything is verified.
    ///
    /// - Parameter isService: whether it speaks for a service (`admitsMessage`).
    func admitsFrame(from device: DID, isService: Bool = false) -> Bool {
        guard limits.envelopesPerMinute > 0 else { return true }
        var count = limits.envelopesPerMinute
        if let messaging {
            let messages = isService ? messaging.servicesPerMinute : messaging.messagesPerMinute
            guard messages > 0 else { return true }
            count += messages
        }
        let rate = Rate.perMinute(count)
        let now = now
        return frames.withLockedValue { $0.take(device, rate, at: now) } == nil
    }

    /// Whether `device` may send another envelope of the core, where a frame may be something else.
    /// - Returns: nil, or the seconds to wait.
    func admitsEnvelope(from device: DID) -> Int? {
        guard messaging != nil, limits.envelopesPerMinute > 0 else { return nil }
        let rate = Rate.perMinute(limits.envelopesPerMinute)
        let now = now
        return state.withLockedValue { $0.envelopes.take(device, rate, at: now) }
    }

    /// Whether `identity` may send another message of the messaging profile. M§14.3
    ///
    /// - Parameter isService: a did:web that speaks for itself carries the messages of many; a domain is what that costs.
    func admitsMessage(from identity: DID, isService: Bool) -> Int? {
        guard let messaging else { return nil }
        let count = isService ? messaging.servicesPerMinute : messaging.messagesPerMinute
        guard count > 0 else { return nil }
        let now = now
        return state.withLockedValue { $0.messages.take(identity, .perMinute(count), at: now) }
    }

    /// Whether `identity` may ask for KeyPackages again: draining them denies first contact to others. M§5.5
    func admitsFetch(from identity: DID) -> Int? {
        guard let messaging, messaging.fetchesPerMinute > 0 else { return nil }
        let now = now
        return state.withLockedValue { $0.fetches.take(identity, .perMinute(messaging.fetchesPerMinute), at: now) }
    }

    /// Whether another stored envelope may come from `address`: as many as messages of a few identities.
    /// - Returns: nil, or the seconds to wait.
    func admitsStored(at address: AddressKey) -> Int? {
        let count = messaging?.messagesPerMinute ?? limits.envelopesPerMinute
        guard count > 0 else { return nil }
        let now = now
        return state.withLockedValue {
            $0.stored.take(address, .perMinute(count * Gatekeeper.identitiesPerAddress), at: now)
        }
    }

    /// - Returns: nil, or the seconds to wait.
    func admitsInvite(from identity: DID) -> Int? {
        guard limits.invitesPerMinute > 0 else { return nil }
        let rate = Rate.perMinute(limits.invitesPerMinute)
        let now = now
        return state.withLockedValue { $0.invites.take(identity, rate, at: now) }
    }

    /// The same for an introduction: by sender, by address, by recipient. Whether the recipient exists plays no part (DSIP §19.4).
    func admitsIntroduction(from identity: DID, at address: AddressKey, to recipient: DID) -> Int? {
        // Tier-aware (DSIP §19.1): a did:key costs nothing, a domain does.
        let count = identity.method == "key" ? limits.introductionsPerDay : limits.introductionsPerDayDomain
        let now = now
        return state.withLockedValue { state in
            if let wait = state.introductions.take(identity, .perDay(count), at: now) { return wait }
            if let wait = state.introducers.take(address, .perDay(count * Gatekeeper.identitiesPerAddress), at: now) {
                return wait
            }
            return state.inboxes.take(recipient, .perDay(limits.introductionsPerRecipientPerDay), at: now)
        }
    }

    /// Whether `address` may open one more connection; `closed` gives it back.
    func opened(_ address: AddressKey) -> Bool {
        let now = now
        return state.withLockedValue { state in
            if limits.connections > 0, state.total >= limits.connections { return false }
            let open = state.open[address] ?? 0
            if limits.connectionsPerAddress > 0, open >= limits.connectionsPerAddress { return false }
            if limits.connectsPerMinutePerAddress > 0,
                state.connects.take(address, .perMinute(limits.connectsPerMinutePerAddress), at: now) != nil
            {
                return false
            }
            state.open[address] = open + 1
            state.total += 1
            return true
        }
    }

    func closed(_ address: AddressKey) {
        state.withLockedValue { state in
            state.total -= 1
            guard let open = state.open[address], open > 1 else { return state.open[address] = nil }
            state.open[address] = open - 1
        }
    }
}
