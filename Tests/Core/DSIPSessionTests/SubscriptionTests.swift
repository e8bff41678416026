import DSIPIdentity
import DSIPSignaling
import Encoding
import Support
import Testing

@testable import DSIPSession

@Suite("Subscriptions and publications (DSIP §9.3, §22)")
struct SubscriptionTests {
    private func subscribe(
        _ number: UInt64,
        target: String = Cast.bob.string,
        events: [String] = ["presence"],
        expiresIn: Int64 = 600,
        capability: String? = nil
    ) -> SubscriptionAuthorityEvent {
        .receivedSubscribe(
            SubscribeRequest(
                id: Cast.id(number),
                device: Cast.alicePhone,
                identity: Cast.alice,
                target: target,
                events: events,
                expiresIn: expiresIn,
                capability: capability
            )
        )
    }

    private func notice(
        _ number: UInt64,
        _ seq: Int64,
        _ state: String,
        ending reason: Reason? = nil
    ) -> SubscriptionAuthorityAction {
        .notify(
            SubscriptionNotice(
                to: Cast.alicePhone,
                subscription: Cast.id(number),
                seq: seq,
                isTerminal: reason != nil,
                reason: reason,
                event: "presence",
                state: state,
                publication: nil,
                provenance: []
            )
        )
    }

    private func blocked(_ number: UInt64) -> SubscriptionAuthorityAction {
        .reject(to: Cast.alicePhone, subscription: Cast.id(number), reason: .policyBlocked)
    }

    @Test("A closed target and one that does not exist get one answer")
    func antiEnumeration() {
        var authority = SubscriptionAuthority()
        _ = authority.handle(.setPolicy(target: Cast.bob.string, .only([Cast.carol])), at: Cast.start)
        #expect(authority.handle(subscribe(1), at: Cast.start) == [blocked(1)])
        #expect(authority.handle(subscribe(2, target: Cast.nobody.string), at: Cast.start) == [blocked(2)])
    }

    @Test("A capability opens its target and no other")
    func capability() {
        var authority = SubscriptionAuthority()
        _ = authority.handle(.issueCapability(token: "follow", target: Cast.bob.string), at: Cast.start)
        #expect(authority.handle(subscribe(1, capability: "follow"), at: Cast.start) == [notice(1, 1, "offline")])
        #expect(
            authority.handle(subscribe(2, target: Cast.carol.string, capability: "follow"), at: Cast.start) == [
                blocked(2)
            ]
        )
    }

    @Test("A renewal replaces, zero terminates, a lapse ends with session.expired")
    func lifetime() {
        var authority = SubscriptionAuthority()
        _ = authority.handle(.setPolicy(target: Cast.bob.string, .everyone), at: Cast.start)
        _ = authority.handle(subscribe(1), at: Cast.start)
        #expect(
            authority.handle(subscribe(2), at: Cast.start + 500) == [
                .subscription(Cast.id(1), .replaced), notice(2, 1, "offline"),
            ]
        )
        #expect(authority.advance(to: Cast.start + 600).isEmpty)
        #expect(authority.advance(to: Cast.start + 1100) == [notice(2, 2, "offline", ending: .sessionExpired)])
        _ = authority.handle(subscribe(3), at: Cast.start + 1100)
        #expect(
            authority.handle(subscribe(4, expiresIn: 0), at: Cast.start + 1100) == [
                .subscription(Cast.id(3), .terminated)
            ]
        )
        #expect(authority.subscriptionSnapshots.isEmpty && authority.nextDeadline == nil)
    }

    @Test("A lifetime over the tightest cap is refused, not clamped")
    func cap() {
        var authority = SubscriptionAuthority()
        _ = authority.handle(.setPolicy(target: Cast.bob.string, .everyone), at: Cast.start)
        #expect(
            authority.handle(subscribe(1, events: ["publication", "presence"], expiresIn: 3601), at: Cast.start) == [
                .error(to: Cast.alicePhone, inReplyTo: Cast.id(1), reason: .policySubscriptionLifetime)
            ]
        )
    }

    @Test("A revoked authorization ends the subscription with policy.terminated")
    func revoked() {
        var authority = SubscriptionAuthority()
        _ = authority.handle(.setPolicy(target: Cast.bob.string, .everyone), at: Cast.start)
        _ = authority.handle(subscribe(1), at: Cast.start)
        #expect(
            authority.handle(.setPolicy(target: Cast.bob.string, .only([])), at: Cast.start) == [
                notice(1, 2, "offline", ending: .policyTerminated)
            ]
        )
    }

    @Test("A list admits those on it, tells nothing of the others, and ends what it no longer admits")
    func listed() {
        var authority = SubscriptionAuthority()
        func policy(_ people: [DID]) -> SubscriptionAuthorityEvent {
            let salt = [UInt8](repeating: 5, count: ListedAudience.saltSize)
            return .setPolicy(target: Cast.bob.string, .listed(ListedAudience(salt: salt, of: people)))
        }
        _ = authority.handle(policy([Cast.carol, Cast.bob]), at: Cast.start)
        #expect(authority.handle(subscribe(1), at: Cast.start) == [blocked(1)])
        _ = authority.handle(policy([Cast.carol, Cast.alice, Cast.carol]), at: Cast.start)
        #expect(authority.handle(subscribe(2), at: Cast.start) == [notice(2, 1, "offline")])
        #expect(authority.handle(policy([]), at: Cast.start) == [notice(2, 2, "offline", ending: .policyTerminated)])
    }

    @Test("Presence follows the first and the last device")
    func presence() {
        var authority = SubscriptionAuthority()
        _ = authority.handle(.setPolicy(target: Cast.bob.string, .everyone), at: Cast.start)
        _ = authority.handle(subscribe(1), at: Cast.start)
        #expect(
            authority.handle(.bound(device: Cast.bobPhone, identity: Cast.bob), at: Cast.start) == [
                notice(1, 2, "available")
            ]
        )
        #expect(authority.handle(.bound(device: Cast.bobLaptop, identity: Cast.bob), at: Cast.start).isEmpty)
        #expect(authority.handle(.unbound(device: Cast.bobPhone), at: Cast.start).isEmpty)
        #expect(authority.handle(.unbound(device: Cast.bobLaptop), at: Cast.start) == [notice(1, 3, "offline")])
    }

    @Test("Subscriptions of one device are bounded, and refused like any other")
    func bounds() {
        var limits = SubscriptionAuthority.Limits()
        limits.subscriptionsPerDevice = 2
        var authority = SubscriptionAuthority(limits: limits)
        for number in 1...3 as ClosedRange<UInt64> {
            let target = Cast.did("target\(number)").string
            _ = authority.handle(.setPolicy(target: target, .everyone), at: Cast.start)
            let actions = authority.handle(subscribe(number, target: target), at: Cast.start)
            #expect((actions == [blocked(number)]) == (number == 3))
        }
    }

    @Test("A target that is forgotten ends its subscriptions, makes room, and is as one that never was")
    func forgotten() {
        var limits = SubscriptionAuthority.Limits()
        limits.publicationsPerPublisher = 1
        var authority = SubscriptionAuthority(limits: limits)
        func publish(_ number: UInt64, _ name: String) -> SubscriptionAuthorityEvent {
            .receivedPublish(
                Publication(
                    id: Cast.id(number),
                    identity: Cast.bob,
                    publisher: Cast.bob,
                    stream: "\(Cast.bob):\(name)",
                    state: "live",
                    variants: ["main"],
                    expiresAt: Cast.start + 600
                )
            )
        }
        let stream = "\(Cast.bob):a"
        _ = authority.handle(publish(1, "a"), at: Cast.start)
        _ = authority.handle(.setPolicy(target: stream, .everyone), at: Cast.start)
        _ = authority.handle(.issueCapability(token: "follow", target: stream), at: Cast.start)
        _ = authority.handle(subscribe(2, target: stream, events: ["publication"]), at: Cast.start)
        #expect(authority.stream(of: Cast.id(1)) == stream)
        #expect(authority.handle(publish(3, "b"), at: Cast.start) == [.drop(.tooMany)])
        let end = authority.handle(.forget(target: stream), at: Cast.start)
        guard case .notify(let notice)? = end.first, end.count == 1 else { return #expect(Bool(false), "\(end)") }
        #expect(notice.isTerminal && notice.reason == .sessionExpired && notice.subscription == Cast.id(2))
        #expect(authority.publicationSnapshots.isEmpty && authority.subscriptionSnapshots.isEmpty)
        #expect(authority.stream(of: Cast.id(1)) == nil)
        let again = subscribe(4, target: stream, events: ["publication"], capability: "follow")
        #expect(authority.handle(again, at: Cast.start) == [blocked(4)])
        #expect(authority.handle(publish(5, "b"), at: Cast.start).count == 1)
        #expect(authority.advance(to: Cast.start + 599).isEmpty)
    }

    @Test("A device that is gone gives its subscriptions back, without a word")
    func gone() {
        var limits = SubscriptionAuthority.Limits()
        limits.subscriptions = 1
        var authority = SubscriptionAuthority(limits: limits)
        _ = authority.handle(.setPolicy(target: Cast.bob.string, .everyone), at: Cast.start)
        #expect(!authority.isFull)
        _ = authority.handle(subscribe(1), at: Cast.start)
        #expect(authority.isFull && authority.subscribers == [Cast.alicePhone])
        #expect(authority.handle(.gone(device: Cast.alicePhone), at: Cast.start).isEmpty)
        #expect(!authority.isFull && authority.subscribers.isEmpty)
        #expect(authority.advance(to: Cast.start + 600).isEmpty)
    }

    @Test("A subscriber takes its authority's word only")
    func subscriberSender() {
        var subscriber = Subscriber()
        _ = subscriber.handle(
            .subscribe(id: Cast.id(1), to: Cast.relay, target: "t", events: ["presence"], expiresIn: 60),
            at: Cast.start
        )
        #expect(
            subscriber.handle(
                .receivedNotify(
                    subscription: Cast.id(1),
                    from: Cast.carolPhone,
                    identity: Cast.carol,
                    seq: 1,
                    isTerminal: false,
                    reason: nil,
                    event: "presence",
                    state: "available"
                ),
                at: Cast.start
            ) == [.drop(.unknownSubscription)]
        )
    }
}

@Suite("Deadlines")
struct DeadlineQueueTests {
    @Test("It gives what a sorted list would, whatever is set, moved and cancelled")
    func law() {
        for seed in 1...50 as ClosedRange<UInt64> {
            var random = SeededRandom(seed: seed)
            var queue = DeadlineQueue<Int>()
            var model: [Int: (deadline: Int64, order: Int)] = [:]
            for step in 0..<400 {
                let key = Int.random(in: 0..<40, using: &random)
                switch Int.random(in: 0..<4, using: &random) {
                case 0...1:
                    let deadline = Int64.random(in: 0..<100, using: &random)
                    queue.set(key, to: deadline)
                    model[key] = (deadline, step)
                case 2:
                    queue.cancel(key)
                    model[key] = nil
                default:
                    let now = Int64.random(in: 0..<100, using: &random)
                    let due = model.filter { $0.value.deadline <= now }
                        .min { ($0.value.deadline, $0.value.order) < ($1.value.deadline, $1.value.order) }
                    let popped = queue.pop(at: now)
                    #expect(popped == due?.key, "seed \(seed), step \(step)")
                    if let key = due?.key { model[key] = nil }
                }
                let next = queue.next
                #expect(next == model.values.map(\.deadline).min(), "seed \(seed), step \(step)")
                #expect(queue.count == model.count)
            }
        }
    }
}
