import DoubleRatchet
import Testing

@Suite("Safety numbers")
struct SafetyNumberTests {
    private let alice = SafetyNumber.Party(
        name: Array("+14152222222".utf8),
        keys: [hex("0506863bc66d02b40d27b8d49ca7c09e9239236f9d7d25d6fcca5ce13c7064d868")]
    )
    private let bob = SafetyNumber.Party(
        name: Array("+14153333333".utf8),
        keys: [hex("05f781b6fb32fed9ba1cf2de978d4d5da28dc34046ae814402b5c0dbd96fda907b")]
    )

    @Test("The published sample keys give the published digits, on both sides")
    func published() {
        let digits = "300354477692869396892869876765458257569162576843440918079131"
        #expect(SafetyNumber(local: alice, remote: bob).digits == digits)
        #expect(SafetyNumber(local: bob, remote: alice).digits == digits)
        #expect(SafetyNumber(local: alice, remote: bob).grouped.hasPrefix("30035 44776 92869"))
    }

    @Test("A scanned code is the same on the right phone, different with another key, incomparable in another version")
    func scanning() {
        let mine = SafetyNumber(local: alice, remote: bob, rounds: 10)
        let theirs = SafetyNumber(local: bob, remote: alice, rounds: 10)
        #expect(mine.compare(scanned: theirs.scannable) == .same)
        #expect(mine.compare(scanned: mine.scannable) == .different)
        let mallory = SafetyNumber.Party(name: bob.name, keys: [[5] + [UInt8](repeating: 9, count: 32)])
        let between = SafetyNumber(local: mallory, remote: alice, rounds: 10)
        #expect(mine.compare(scanned: between.scannable) == .different)
        #expect(mine.compare(scanned: [2] + theirs.scannable.dropFirst()) == .incomparable)
        #expect(mine.compare(scanned: []) == .incomparable)
    }

    @Test("The order of a person's devices does not matter, and each of them does")
    func devices() {
        let keys = [[1], [2], [3]] as [[UInt8]]
        let number = SafetyNumber(local: .init(name: [1], keys: keys), remote: bob, rounds: 3)
        #expect(number == SafetyNumber(local: .init(name: [1], keys: keys.reversed()), remote: bob, rounds: 3))
        #expect(number != SafetyNumber(local: .init(name: [1], keys: [[1], [2]]), remote: bob, rounds: 3))
    }
}
