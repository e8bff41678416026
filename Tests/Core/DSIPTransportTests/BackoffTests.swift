import Support
import Testing

@testable import DSIPTransport

@Suite struct BackoffTests {
    @Test("the bound doubles from one second to sixty") func bounds() {
        var backoff = Backoff()
        var random = SeededRandom(seed: 1)
        var bounds: [Duration] = []
        for _ in 0..<9 {
            bounds.append(backoff.bound)
            _ = backoff.connectionLost(after: .zero, using: &random)
        }
        #expect(bounds == [1, 2, 4, 8, 16, 32, 60, 60, 60].map { .seconds($0) })
    }

    @Test("delays fill the whole range from zero to the bound: full jitter") func jitter() {
        var random = SeededRandom(seed: 2)
        var buckets = [Int](repeating: 0, count: 10)
        for _ in 0..<2000 {
            var backoff = Backoff()
            let delay = backoff.connectionLost(after: .zero, using: &random)
            #expect(delay >= .zero && delay <= .seconds(1))
            buckets[min(9, Int(delay / .milliseconds(100)))] += 1
        }
        #expect(buckets.allSatisfy { $0 > 120 })
    }

    @Test("a connection that lasted starts over, one that was dropped at once does not") func settling() {
        var backoff = Backoff()
        var random = SeededRandom(seed: 3)
        for _ in 0..<5 { _ = backoff.connectionLost(after: .seconds(1), using: &random) }
        #expect(backoff.bound == .seconds(32))
        _ = backoff.connectionLost(after: .seconds(10), using: &random)
        #expect(backoff.bound == .seconds(2))
    }

    @Test("ten thousand failures overflow nothing") func endless() {
        var backoff = Backoff()
        var random = SeededRandom(seed: 4)
        for _ in 0..<10_000 { #expect(backoff.connectionLost(after: .zero, using: &random) <= .seconds(60)) }
    }
}

@Suite struct LivenessTests {
    private let second: UInt64 = 1_000_000_000

    @Test("silence is asked about at 30 s and 60 s and ends at 90 s") func silence() {
        var liveness = Liveness(at: 0)
        var pings: [UInt64] = []
        for now in 1...89 {
            if liveness.check(at: UInt64(now) * second, .client) == .ping { pings.append(UInt64(now)) }
        }
        #expect(pings == [30, 60])
        #expect(liveness.check(at: 90 * second, .client) == .close)
    }

    @Test("anything heard begins the count anew") func heard() {
        var liveness = Liveness(at: 0)
        liveness.received(at: 80 * second)
        #expect(liveness.check(at: 100 * second, .client) == .none)
        #expect(liveness.check(at: 110 * second, .client) == .ping)
        #expect(liveness.check(at: 170 * second, .client) == .close)
    }

    @Test("a clock that stands still or steps back is no silence") func backwards() {
        var liveness = Liveness(at: 100 * second)
        #expect(liveness.check(at: 100 * second, .server) == .none)
        #expect(liveness.check(at: 0, .server) == .none)
    }
}
