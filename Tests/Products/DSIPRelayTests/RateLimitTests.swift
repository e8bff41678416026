import DSIPIdentity
import NIOCore
import Testing

@testable import DSIPRelay

@Suite("Rate limits")
struct RateLimitTests {
    @Test("a bucket lets its burst through, then one a refill")
    func bucket() {
        let rate = Rate(3, per: 60)
        var bucket = TokenBucket(rate, at: 100)
        for _ in 0..<3 { #expect(bucket.take(rate, at: 100) == nil) }
        #expect(bucket.take(rate, at: 100) == 20)
        #expect(bucket.take(rate, at: 119) == 1)
        #expect(bucket.take(rate, at: 120) == nil)
        #expect(bucket.take(rate, at: 120) == 20)
    }

    @Test("a clock that steps back neither refills nor takes")
    func clockBack() {
        let rate = Rate(1, per: 10)
        var bucket = TokenBucket(rate, at: 100)
        #expect(bucket.take(rate, at: 100) == nil)
        #expect(bucket.take(rate, at: 50) == 10)
        #expect(bucket.take(rate, at: 110) == nil)
    }

    @Test("a rate of zero lets nothing through")
    func zero() {
        let rate = Rate.perDay(0)
        var bucket = TokenBucket(rate, at: 0)
        #expect(bucket.take(rate, at: 0) == 86_400)
    }

    @Test("a limiter remembers no more keys than its capacity, and the ones in use longest")
    func bounded() {
        var limiter = RateLimiter<Int>(capacity: 100)
        let rate = Rate(1, per: 1000)
        #expect(limiter.take(-1, rate, at: 0) == nil)
        for key in 0..<10_000 {
            _ = limiter.take(key, rate, at: 0)
            #expect(limiter.take(-1, rate, at: 0) != nil)
            #expect(limiter.count <= 100)
        }
    }

    @Test("an IPv6 address counts as its /64, a mapped one as IPv4")
    func addresses() throws {
        func key(_ text: String) throws -> AddressKey { AddressKey(try SocketAddress(ipAddress: text, port: 1)) }
        #expect(try key("2001:db8::1") == key("2001:db8::ffff"))
        #expect(try key("2001:db8::1") != key("2001:db8:0:1::1"))
        #expect(try key("::ffff:192.0.2.1") == key("192.0.2.1"))
        #expect(try key("192.0.2.1") != key("192.0.2.2"))
        #expect(AddressKey([192, 0, 2, 1]) == (try key("192.0.2.1")))
    }

    @Test("introductions are limited by sender, by address and by recipient")
    func introductions() {
        var limits = RelayConfiguration.Limits()
        limits.introductionsPerDay = 2
        limits.introductionsPerRecipientPerDay = 3
        let gate = Gatekeeper(limits) { 1000 }
        let home = AddressKey([192, 0, 2, 1])
        #expect(gate.admitsIntroduction(from: key("a").did, at: home, to: did("r")) == nil)
        #expect(gate.admitsIntroduction(from: key("a").did, at: home, to: did("r")) == nil)
        #expect(gate.admitsIntroduction(from: key("a").did, at: home, to: did("s")) == 43_200)
        #expect(gate.admitsIntroduction(from: key("b").did, at: home, to: did("r")) == nil)
        #expect(gate.admitsIntroduction(from: key("c").did, at: home, to: did("r")) == 28_800)
    }

    @Test("connections are limited by address and given back when they close")
    func connections() {
        var limits = RelayConfiguration.Limits()
        limits.connectionsPerAddress = 2
        let gate = Gatekeeper(limits) { 0 }
        let home = AddressKey([192, 0, 2, 1])
        #expect(gate.opened(home) && gate.opened(home))
        #expect(!gate.opened(home))
        #expect(gate.opened(AddressKey([192, 0, 2, 2])))
        gate.closed(home)
        #expect(gate.opened(home))
    }
}
