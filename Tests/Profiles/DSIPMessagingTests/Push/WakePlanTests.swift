import DSIPIdentity
import DSIPMessaging
import Encoding
import Support
import Testing

@Suite("WakePlan: when a device is woken")
struct WakePlanTests {
    private let device = DID("did:web:phone.example")!
    private let browser = PushTarget.unifiedPush(endpoint: "https://p.example/1", nil)
    private let phone = PushTarget.fcm(token: "abcdefghijklmnop")

    private func envelope(_ number: UInt8) -> ULID {
        var random = SeededRandom(seed: UInt64(number))
        return ULID(milliseconds: 1_760_000_000_000, using: &random)
    }

    private func plan(_ targets: [PushTarget]) -> WakePlan {
        var plan = WakePlan()
        plan.configured(device, targets, isBound: false, at: 0)
        return plan
    }

    private func sent(_ actions: [WakeAction]) -> [Wake] {
        actions.compactMap { if case .send(let wake) = $0 { wake } else { nil } }
    }

    @Test("a device that is bound, or has no target, is not woken")
    func bound() {
        var plan = plan([browser])
        plan.bound(device)
        #expect(plan.stored(envelope(1), for: device, .message, at: 0).isEmpty)
        plan.unbound(device)
        #expect(sent(plan.stored(envelope(2), for: device, .message, at: 1)).map(\.envelope) == [envelope(2)])
        plan.configured(device, [], isBound: false, at: 2)
        #expect(plan.stored(envelope(3), for: device, .message, at: 90).isEmpty)
        #expect(plan.stored(envelope(4), for: DID("did:web:other.example")!, .message, at: 90).isEmpty)
    }

    @Test("a device that is here is woken when it asks, as often as any other")
    func requested() {
        var plan = plan([browser])
        plan.bound(device)
        let first = sent(plan.requested(envelope(1), by: device, .message, at: 0))
        #expect(first.map(\.envelope) == [envelope(1)])
        for wake in first { #expect(plan.answered(wake.id, .accepted, at: 0).isEmpty) }
        #expect(plan.requested(envelope(2), by: device, .message, at: 1).isEmpty)
        #expect(sent(plan.requested(envelope(3), by: device, .call, at: 2)).map(\.kind) == [.call])
        #expect(plan.requested(envelope(4), by: DID("did:web:other.example")!, .call, at: 3).isEmpty)
    }

    @Test("of many messages in thirty seconds the first wakes at once and the last of the rest once more")
    func coalescing() {
        var plan = plan([browser, phone])
        let first = sent(plan.stored(envelope(1), for: device, .message, at: 100))
        #expect(first.map(\.target) == [browser, phone])
        for wake in first { #expect(plan.answered(wake.id, .accepted, at: 100).isEmpty) }
        for second in 1..<30 {
            #expect(plan.stored(envelope(UInt8(second)), for: device, .message, at: 100 + Int64(second)).isEmpty)
        }
        #expect(plan.deadline == 130)
        #expect(plan.advance(to: 129).isEmpty)
        #expect(sent(plan.advance(to: 130)).map(\.envelope) == [envelope(29), envelope(29)])
    }

    @Test("binding ends the wait: nothing more is sent, and after it has gone the next message wakes at once")
    func bindingEnds() {
        var plan = plan([browser])
        let wake = sent(plan.stored(envelope(1), for: device, .message, at: 0))[0]
        _ = plan.stored(envelope(2), for: device, .message, at: 1)
        plan.bound(device)
        #expect(plan.answered(wake.id, .later(after: 5), at: 2).isEmpty)
        #expect(plan.advance(to: 1000).isEmpty)
        plan.unbound(device)
        #expect(sent(plan.stored(envelope(3), for: device, .message, at: 1001)).count == 1)
    }

    @Test("a call is not held back by a message before it, and stays a call")
    func calls() {
        var plan = plan([browser])
        let wake = sent(plan.stored(envelope(1), for: device, .message, at: 0))[0]
        _ = plan.answered(wake.id, .accepted, at: 0)
        #expect(sent(plan.stored(envelope(2), for: device, .call, at: 3)).map(\.kind) == [.call])
        _ = plan.advance(to: 3)
        #expect(plan.stored(envelope(3), for: device, .call, at: 4).isEmpty)
        #expect(plan.stored(envelope(4), for: device, .message, at: 4).isEmpty)
    }

    @Test(
        "a push that is refused for now is repeated with growing pauses, not before the service's own time, for a day"
    )
    func backoff() {
        var plan = plan([browser])
        var wake = sent(plan.stored(envelope(1), for: device, .message, at: 0))[0]
        #expect(plan.answered(wake.id, .later(after: 500), at: 0).isEmpty)
        #expect(plan.deadline == 500)
        var (now, tries, pauses): (Int64, Int, [Int64]) = (0, 0, [])
        while let next = plan.deadline {
            let again = sent(plan.advance(to: next))
            if let first = again.first {
                pauses.append(next - now)
                (wake, tries) = (first, tries + 1)
                _ = plan.answered(wake.id, .later(after: nil), at: next)
            }
            now = next
        }
        #expect((86_400..<93_000).contains(now) && tries < 60 && tries > 20)
        #expect(pauses.dropFirst(15).allSatisfy { (2700...4500).contains($0) })
    }

    @Test("an answer that never comes counts as a refusal for now; one that comes late changes nothing")
    func silence() {
        var plan = plan([browser])
        let wake = sent(plan.stored(envelope(1), for: device, .message, at: 0))[0]
        #expect(plan.deadline == 60)
        #expect(plan.advance(to: 60).isEmpty)
        let again = sent(plan.advance(to: plan.deadline ?? 0))
        #expect(again.count == 1)
        #expect(plan.answered(wake.id, .gone, at: 70).isEmpty)
        #expect(plan.answered(again[0].id, .accepted, at: 70).isEmpty)
        #expect(plan.deadline == nil)
    }

    @Test("a target that is gone is dropped, and the others go on")
    func gone() {
        var plan = plan([browser, phone])
        let wakes = sent(plan.stored(envelope(1), for: device, .message, at: 0))
        #expect(plan.answered(wakes[0].id, .gone, at: 0) == [.drop(device, browser)])
        #expect(plan.answered(wakes[1].id, .refused, at: 0).isEmpty)
        #expect(sent(plan.stored(envelope(2), for: device, .message, at: 60)).map(\.target) == [phone])
    }

    @Test("a configuration replaces the one before, and what was under way to a target that went is forgotten")
    func replaced() {
        var plan = plan([browser])
        let wake = sent(plan.stored(envelope(1), for: device, .message, at: 0))[0]
        plan.configured(device, [phone], isBound: false, at: 1)
        #expect(plan.answered(wake.id, .gone, at: 2).isEmpty)
        #expect(sent(plan.stored(envelope(2), for: device, .message, at: 40)).map(\.target) == [phone])
    }

    @Test("devices are bounded")
    func bounded() {
        var limits = WakePlan.Limits()
        limits.devices = 1
        var plan = WakePlan(limits: limits)
        let other = DID("did:web:other.example")!
        plan.configured(device, [browser], isBound: false, at: 0)
        #expect(plan.admits(device) && !plan.admits(other))
        plan.configured(other, [browser], isBound: false, at: 0)
        #expect(plan.stored(envelope(1), for: other, .message, at: 0).isEmpty)
    }

    @Test("whatever happens in whatever order, a bound device is not woken and deadlines lie ahead", arguments: 1...30)
    func law(seed: UInt64) {
        var random = SeededRandom(seed: seed)
        let devices = (0..<5).map { DID("did:web:d\($0).example")! }
        var plan = WakePlan()
        var bound: Set<DID> = []
        var open: [Wake] = []
        var now: Int64 = 0
        for step in 0..<400 {
            let device = devices.randomElement(using: &random) ?? self.device
            var actions: [WakeAction] = []
            switch Int.random(in: 0..<7, using: &random) {
            case 0:
                let isBound = bound.contains(device)
                plan.configured(device, [browser, phone].shuffled(using: &random), isBound: isBound, at: now)
            case 1:
                plan.bound(device)
                bound.insert(device)
            case 2:
                plan.unbound(device)
                bound.remove(device)
            case 3: actions = plan.stored(envelope(UInt8(step & 0xff)), for: device, .message, at: now)
            case 4 where !open.isEmpty:
                let wake = open.remove(at: Int.random(in: open.indices, using: &random))
                let outcomes: [PushOutcome] = [.accepted, .gone, .later(after: nil), .refused]
                actions = plan.answered(wake.id, outcomes.randomElement(using: &random) ?? .accepted, at: now)
            default:
                now += Int64.random(in: 0...40, using: &random)
                actions = plan.advance(to: now)
                #expect(plan.deadline ?? now + 1 > now, "seed \(seed)")
            }
            for wake in sent(actions) { #expect(!bound.contains(wake.device), "seed \(seed)") }
            open += sent(actions)
        }
    }
}
