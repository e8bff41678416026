import Support
import Testing

@testable import DoubleRatchet

@Suite("The Double Ratchet")
struct RatchetTests {
    static let ratchetProfiles: [RatchetProfile] =
        profiles.map(\.ratchet) + [
            RatchetProfile(root: .hkdf(.sha256, info: [1]), cipher: .aes256GCM, encryptsHeaders: true),
            RatchetProfile(root: .hkdf(.sha256, info: [1]), cipher: .chaCha20Poly1305),
        ]

    /// Two ends of a session.
    struct Pair: ~Copyable {
        var a: Ratchet
        var b: Ratchet
        var random: SeededRandom

        init(_ profile: RatchetProfile, seed: UInt64 = 1) throws {
            var random = SeededRandom(seed: seed)
            let agreed = try AgreedSecret(secret: Secret(using: &random).bytes, associatedData: [9, 9])
            let key = AgreementKey(using: &random)
            let a = try Ratchet(initiator: agreed, peer: key.publicKey, profile: profile, using: &random)
            let b = try Ratchet(responder: agreed, ownKey: key.secret.bytes, profile: profile)
            self.init(a, b, random)
        }

        private init(_ a: consuming Ratchet, _ b: consuming Ratchet, _ random: SeededRandom) {
            self.random = random
            self.a = a
            self.b = b
        }

        mutating func fromA(_ text: [UInt8]) throws -> Ratchet.Message { try a.encrypt(text, using: &random) }
        mutating func fromB(_ text: [UInt8]) throws -> Ratchet.Message { try b.encrypt(text, using: &random) }
    }

    @Test("Both sides talk in turns, in rows and of nothing", arguments: ratchetProfiles)
    func conversation(_ profile: RatchetProfile) throws {
        var pair = try Pair(profile)
        for turn in 0..<10 {
            for index in 0..<(turn % 3 + 1) {
                let text = [UInt8](repeating: UInt8(turn), count: index * 700)
                let message = try pair.fromA(text)
                #expect(try pair.b.decrypt(message) == text)
            }
            let answer = try pair.fromB([UInt8(turn)])
            #expect(try pair.a.decrypt(answer) == [UInt8(turn)])
        }
        #expect(pair.a.skippedCount == 0 && pair.b.skippedCount == 0)
    }

    @Test("A responder has nothing to send with before the first message", arguments: ratchetProfiles)
    func notYet(_ profile: RatchetProfile) throws {
        var pair = try Pair(profile)
        #expect(refusal { _ = try pair.fromB([1]) } == .notYetReceived)
        let message = try pair.fromA([1])
        _ = try pair.b.decrypt(message)
        _ = try pair.fromB([1])
    }

    @Test("Messages of several chains arrive in any order, each once", arguments: ratchetProfiles)
    func outOfOrder(_ profile: RatchetProfile) throws {
        for seed in 1...10 as ClosedRange<UInt64> {
            var pair = try Pair(profile, seed: seed)
            let first = try pair.fromA([0])
            _ = try pair.b.decrypt(first)
            var late: [(text: [UInt8], message: Ratchet.Message)] = []
            for turn in 0..<4 as Range<UInt8> {
                for index in 0..<5 as Range<UInt8> {
                    let message = try pair.fromA([turn, index])
                    if index == 2 {
                        #expect(try pair.b.decrypt(message) == [turn, index])
                    } else {
                        late.append(([turn, index], message))
                    }
                }
                let answer = try pair.fromB([turn])
                #expect(try pair.a.decrypt(answer) == [turn])
            }
            late.shuffle(using: &pair.random)
            for (text, message) in late { #expect(try pair.b.decrypt(message) == text) }
            #expect(pair.b.skippedCount == 0)
            for (_, message) in late { #expect(refusal { _ = try pair.b.decrypt(message) } != nil) }
        }
    }

    @Test("A duplicate is refused as one, and changes nothing", arguments: ratchetProfiles)
    func duplicate(_ profile: RatchetProfile) throws {
        var pair = try Pair(profile)
        let messages = try (0..<3 as Range<UInt8>).map { try pair.fromA([$0]) }
        for message in messages.reversed() { _ = try pair.b.decrypt(message) }
        let before = pair.b.save()
        for message in messages { #expect(refusal { _ = try pair.b.decrypt(message) } == .duplicate) }
        #expect(pair.b.save() == before)
    }

    @Test(
        "Whatever bit is flipped, the message is refused and the state is the same byte for byte",
        arguments: ratchetProfiles
    )
    func flipped(_ profile: RatchetProfile) throws {
        var pair = try Pair(profile)
        let opening = try pair.fromA([1])
        _ = try pair.b.decrypt(opening)
        let answer = try pair.fromB([2])
        _ = try pair.a.decrypt(answer)
        // One in the current chain, one that turns the ratchet.
        for turn in 0..<2 {
            if turn == 1 {
                let more = try pair.fromB([3])
                _ = try pair.a.decrypt(more)
            }
            _ = try pair.fromA([4])
            let message = try pair.fromA([5, 6])
            let before = pair.b.save()
            for bit in 0..<(message.header.count * 8) {
                var changed = message
                changed.header[bit / 8] ^= 1 << UInt8(bit % 8)
                #expect(refusal { _ = try pair.b.decrypt(changed) } != nil, "header bit \(bit)")
            }
            for bit in 0..<(message.sealed.count * 8) {
                var changed = message
                changed.sealed[bit / 8] ^= 1 << UInt8(bit % 8)
                #expect(refusal { _ = try pair.b.decrypt(changed) } != nil, "bit \(bit)")
            }
            for length in 0..<message.sealed.count {
                let cut = Ratchet.Message(header: message.header, sealed: Array(message.sealed.prefix(length)))
                #expect(refusal { _ = try pair.b.decrypt(cut) } != nil, "cut to \(length)")
            }
            #expect(pair.b.save() == before)
            #expect(try pair.b.decrypt(message) == [5, 6])
        }
    }

    @Test(
        "More messages in between than the limit are refused, and the limit itself is not",
        arguments: ratchetProfiles
    )
    func skipLimit(_ profile: RatchetProfile) throws {
        var profile = profile
        profile.limits = .init(skippedAtOnce: 10, skipped: 15, skippedChains: 2)
        var pair = try Pair(profile)
        let messages = try (0..<12 as Range<UInt8>).map { try pair.fromA([$0]) }
        #expect(refusal { _ = try pair.b.decrypt(messages[11]) } == .tooManySkipped)
        #expect(try pair.b.decrypt(messages[10]) == [10])
        #expect(pair.b.skippedCount == 10)
        #expect(try pair.b.decrypt(messages[11]) == [11])
        #expect(try pair.b.decrypt(messages[0]) == [0])
    }

    @Test(
        "Keys kept for late messages are bounded in number and in chains; the oldest give way",
        arguments: ratchetProfiles
    )
    func keptLimit(_ profile: RatchetProfile) throws {
        var profile = profile
        profile.limits = .init(skippedAtOnce: 10, skipped: 15, skippedChains: 2)
        var pair = try Pair(profile)
        var first: [Ratchet.Message] = []
        for turn in 0..<6 {
            var messages: [Ratchet.Message] = []
            for _ in 0..<9 { messages.append(try pair.fromA([1])) }
            if turn == 0 { first = messages }
            _ = try pair.b.decrypt(messages[8])
            #expect(pair.b.skippedCount <= 15)
            let answer = try pair.fromB([2])
            _ = try pair.a.decrypt(answer)
        }
        #expect(pair.b.skippedCount == 15)
        #expect(refusal { _ = try pair.b.decrypt(first[0]) } != nil)
    }

    @Test("Saved and restored after every step, the session goes on", arguments: ratchetProfiles)
    func saving(_ profile: RatchetProfile) throws {
        var pair = try Pair(profile)
        var late: [Ratchet.Message] = []
        for turn in 0..<6 as Range<UInt8> {
            late.append(try pair.fromA([turn, 1]))
            let message = try pair.fromA([turn, 2])
            pair.a = try Ratchet(restoring: pair.a.save(), profile: profile)
            #expect(try pair.b.decrypt(message) == [turn, 2])
            pair.b = try Ratchet(restoring: pair.b.save(), profile: profile)
            let answer = try pair.fromB([turn])
            pair.b = try Ratchet(restoring: pair.b.save(), profile: profile)
            #expect(try pair.a.decrypt(answer) == [turn])
        }
        for (turn, message) in late.enumerated() { #expect(try pair.b.decrypt(message) == [UInt8(turn), 1]) }
    }

    @Test("Keys that did their work are in no saved state", arguments: ratchetProfiles)
    func deletion(_ profile: RatchetProfile) throws {
        var pair = try Pair(profile)
        var keys: [[UInt8]] = []
        for turn in 0..<5 as Range<UInt8> {
            let before = pair.b.save()
            let message = try pair.fromA([turn])
            _ = try pair.b.decrypt(message)
            let state = try Ratchet(restoring: pair.b.save(), profile: profile).chainKeys
            _ = before
            keys += state
            let answer = try pair.fromB([turn])
            _ = try pair.a.decrypt(answer)
        }
        // The keys after the last step are still needed; all older ones are gone.
        let last = try Ratchet(restoring: pair.b.save(), profile: profile).chainKeys
        let saved = pair.b.save()
        for key in keys where !last.contains(key) { #expect(!contains(saved, key)) }
    }

    @Test("Encrypted headers of one chain share no byte pattern, and show neither key nor number")
    func headers() throws {
        var pair = try Pair(.standard("test"))
        let a = try pair.fromA([1])
        let b = try pair.fromA([1])
        #expect(a.header.count == 56)
        #expect(zip(a.header, b.header).filter { $0 == $1 }.count < 8)
    }

    @Test("Other associated data, another profile, or another secret: nothing opens")
    func binding() throws {
        var random = SeededRandom(seed: 1)
        let secret = Secret(using: &random).bytes
        let key = AgreementKey(using: &random)
        let profile = RatchetProfile.standard("one")
        var a = try Ratchet(
            initiator: AgreedSecret(secret: secret, associatedData: [1]),
            peer: key.publicKey,
            profile: profile,
            using: &random
        )
        let message = try a.encrypt([1], using: &random)
        var other = try Ratchet(
            responder: AgreedSecret(secret: secret, associatedData: [2]),
            ownKey: key.secret.bytes,
            profile: profile
        )
        #expect(refusal { _ = try other.decrypt(message) } == .authenticationFailed)
        var elsewhere = try Ratchet(
            responder: AgreedSecret(secret: secret, associatedData: [1]),
            ownKey: key.secret.bytes,
            profile: .standard("two")
        )
        #expect(refusal { _ = try elsewhere.decrypt(message) } == .authenticationFailed)
    }

    private func contains(_ bytes: [UInt8], _ part: [UInt8]) -> Bool {
        guard bytes.count >= part.count else { return false }
        return (0...(bytes.count - part.count)).contains { bytes[$0..<$0 + part.count].elementsEqual(part) }
    }
}

extension Ratchet {
    /// Chain and root keys as they are now.
    fileprivate var chainKeys: [[UInt8]] {
        [state.root.bytes] + [state.sending, state.receiving].compactMap { $0?.key.bytes }
    }
}

/// The code of the error `body` throws.
func refusal(_ body: () throws -> Void) -> RatchetError.Code? {
    do {
        try body()
        return nil
    } catch {
        return (error as? RatchetError)?.code
    }
}
