import Testing

@testable import DSIPSignaling

@Suite struct GenerationalCacheTests {
    @Test("what is used survives, what is not goes, and the weights stay within the capacity") func generations() {
        var cache = GenerationalCache<Int, String>(capacity: 20)
        cache.insert("used", for: -1)
        for key in 0..<100 {
            cache.insert("\(key)", for: key)
            #expect(cache.value(for: -1) == "used")
            #expect(cache.count <= 20)
        }
        #expect(cache.value(for: 99) == "99")
        #expect(cache.value(for: 0) == nil)
    }

    @Test("a heavy value takes the room of many; one too heavy is not kept and pushes nothing out") func weights() {
        var cache = GenerationalCache<Int, String>(capacity: 20)
        for key in 0..<8 { cache.insert("light", for: key) }
        cache.insert("heavy", for: 8, weight: 9)
        cache.insert("too heavy", for: 9, weight: 11)
        #expect(cache.value(for: 9) == nil)
        #expect(cache.value(for: 8) == "heavy")
        #expect(cache.value(for: 0) == "light")
        // A generation full of heavy ones leaves nothing of the light.
        for key in 10..<14 { cache.insert("heavy", for: key, weight: 9) }
        #expect((0..<8).allSatisfy { cache.value(for: $0) == nil })
    }

    @Test("the same weight twice under one key counts once") func replacing() {
        var cache = GenerationalCache<Int, Int>(capacity: 20)
        cache.insert(0, for: 0, weight: 5)
        for value in 1...10 { cache.insert(value, for: 1, weight: 5) }
        #expect(cache.value(for: 0) == 0 && cache.value(for: 1) == 10 && cache.count == 2)
    }

    @Test("digests tell apart what differs in one byte") func digests() {
        let bytes = [UInt8](repeating: 7, count: 700)
        for place in stride(from: 0, to: 700, by: 50) {
            var other = bytes
            other[place] ^= 1
            #expect(DigestKey(other) != DigestKey(bytes))
        }
        #expect(DigestKey(bytes) == DigestKey(bytes))
    }
}
