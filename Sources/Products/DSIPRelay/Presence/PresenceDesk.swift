import DSIPIdentity
import DSIPMessaging
import DSIPSession
import DSIPSignaling
import DSIPTransport
import Encoding
import NIOConcurrencyHelpers

/// The relay as the authority of presence (DSIP §9.3): it tells whom a person names (`presence-policy/1.0`) whether the person is here.
///
/// What it asserts is its own word: that a device is bound to it, or none. Who may not see somebody and who asks for somebody who is not
/// there get one answer. Audiences and subscriptions are soft state and gone with the process; agents say both again when they are back.
final class PresenceDesk: Sendable {
    struct Limits: Sendable {
        /// People with an audience, and the tags of all of them.
        var people = 20_000
        var tags = 2_000_000
        /// Seconds for which somebody whose connection is lost is not away yet: most are back by then.
        var grace: Int64 = 15
        var authority = SubscriptionAuthority.Limits()

        init() {
            authority.subscriptions = 50_000
            authority.subscriptionsPerDevice = 160
        }
    }

    private struct State {
        var authority: SubscriptionAuthority
        /// How many each person lists.
        var listed: [DID: Int] = [:]
        var tags = 0
        /// Devices that are gone, and when that is said. Unix seconds.
        var leaving: [DID: Int64] = [:]

        mutating func note(_ count: Int?, of person: DID) {
            tags += (count ?? 0) - (listed[person] ?? 0)
            listed[person] = count
        }
    }

    private let limits: Limits
    private let voice: RelayVoice
    private let scope: ServiceScope
    private let state: NIOLockedValueBox<State>

    init(_ voice: RelayVoice, _ scope: ServiceScope, limits: Limits = Limits()) {
        (self.voice, self.scope, self.limits) = (voice, scope, limits)
        state = NIOLockedValueBox(State(authority: SubscriptionAuthority(limits: limits.authority)))
    }

    /// A device says who may see its identity. It speaks on its own connection.
    func configured(_ message: Verified<PresenceConfig>, on connection: SignalingConnection) -> [AuthorityWord] {
        let (head, person) = (message.body.head, message.principal)
        guard head.from == connection.device?.device, head.to == voice.key.did, scope.serves(person) else {
            return [AuthorityWord(.error(head.id, .policyBlocked), to: head.from)]
        }
        let (policy, count) = message.body.policy
        return state.withLockedValue { state in
            var actions: [SubscriptionAuthorityAction] = []
            let isNew = state.listed[person] == nil
            if isNew, state.listed.count >= limits.people,
                let away = state.listed.keys.first(where: { !state.authority.isPresent($0) })
            {
                state.note(nil, of: away)
                actions += state.authority.handle(.forget(target: away.string), at: voice.clock())
            }
            guard !isNew || state.listed.count < limits.people,
                state.tags - (state.listed[person] ?? 0) + count <= limits.tags
            else { return words(actions) + [AuthorityWord(.error(head.id, .policyRateLimited), to: head.from)] }
            state.note(count, of: person)
            actions += state.authority.handle(.setPolicy(target: person.string, policy), at: voice.clock())
            return words(actions)
        }
    }

    /// A `subscribe` to presence and nothing else, to this relay.
    func received(_ message: Verified<Message>) -> [AuthorityWord] {
        guard let event = SubscriptionAuthorityEvent(message) else { return [] }
        let now = voice.clock()
        return state.withLockedValue { state in
            if state.authority.isFull {
                for device in state.authority.subscribers where !state.authority.isBound(device) {
                    _ = state.authority.handle(.gone(device: device), at: now)
                }
            }
            return words(state.authority.handle(event, at: now))
        }
    }

    func bound(_ device: DID, _ identity: DID) -> [AuthorityWord] {
        state.withLockedValue { state in
            state.leaving[device] = nil
            return words(state.authority.handle(.bound(device: device, identity: identity), at: voice.clock()))
        }
    }

    func unbound(_ device: DID) {
        state.withLockedValue { $0.leaving[device] = voice.clock() + limits.grace }
    }

    /// Once a second: who has not come back, and what has run out.
    func tick() -> [AuthorityWord] {
        let now = voice.clock()
        return state.withLockedValue { state in
            var actions: [SubscriptionAuthorityAction] = []
            for (device, end) in state.leaving where end <= now {
                state.leaving[device] = nil
                actions += state.authority.handle(.unbound(device: device), at: now)
            }
            return words(actions + state.authority.advance(to: now))
        }
    }

    private func words(_ actions: [SubscriptionAuthorityAction]) -> [AuthorityWord] {
        actions.compactMap { AuthorityWord($0) }
    }
}

extension PresenceConfig {
    /// What it says, and how many are listed.
    fileprivate var policy: (SubscriptionPolicy, Int) {
        switch audience {
        case .nobody: (.only([]), 0)
        case .everyone: (.everyone, 0)
        case .listed(let salt, let tags): (.listed(ListedAudience(salt: salt, tags: tags)), tags.count)
        }
    }
}

extension ProfileReader {
    /// Reads what devices say of who may see them.
    static let presence = ProfileReader([PresenceConfig.type]) { payload throws(Refusal) in
        do throws(MessagingError) {
            return try PresenceConfig(payload)
        } catch {
            throw Refusal(error.reason ?? .policyBlocked, error.code.rawValue)
        }
    }
}
