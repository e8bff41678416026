import DoubleRatchet

/// What a correspondent sends, what a server hands out as a device's bundle, and states read back from a disk.
let ratchetFuzzEntries: [FuzzEntry] = [
    FuzzEntry(
        "ratchet-header",
        seeds: [RatchetHeader(ratchetKey: Array(1...32), previousCount: 1, number: 2).bytes(.compact)]
    ) {
        for layout in [RatchetProfile.HeaderLayout.compact, .wide] {
            guard let header = try? RatchetHeader($0[...], layout: layout) else { continue }
            precondition(header.bytes(layout) == $0, "a header changed when read and written")
        }
    },
    FuzzEntry("ratchet-bundle", seeds: [sample.bundle]) { bytes in
        guard let bundle = try? PreKeyBundle(bytes) else { return }
        precondition(bundle.bytes == bytes, "a bundle changed when read and written")
        _ = try? bundle.verified(as: nil, profile: sample.profile.agreement)
    },
    FuzzEntry("ratchet-message", seeds: [sample.initial, sample.answer]) { bytes in
        if let message = try? SessionMessage(bytes) {
            precondition(message.bytes == bytes, "a message changed when read and written")
        }
        guard
            var preKeys = try? PreKeyRing(
                restoring: sample.savedPreKeys,
                identity: sample.bob,
                profile: sample.profile.agreement
            ),
            var alice = try? Correspondent(
                restoring: sample.savedSession,
                identity: sample.alice,
                profile: sample.profile
            )
        else { preconditionFailure("the samples restore") }
        var unknown = Correspondent(identity: sample.bob, profile: sample.profile)
        _ = try? unknown.decrypt(bytes, from: "a", preKeys: &preKeys)
        _ = try? alice.decrypt(bytes, from: "b", preKeys: &preKeys)
    },
    FuzzEntry("ratchet-saved", seeds: [sample.savedSession]) { bytes in
        guard var saved = try? Correspondent(restoring: bytes, identity: sample.alice, profile: sample.profile),
            var preKeys = try? PreKeyRing(
                restoring: sample.savedPreKeys,
                identity: sample.bob,
                profile: sample.profile.agreement
            )
        else { return }
        var random = SystemRandomNumberGenerator()
        _ = try? saved.encrypt([1], to: "b", using: &random)
        _ = try? saved.decrypt(sample.answer, from: "b", preKeys: &preKeys)
        _ = saved.save()
    },
    FuzzEntry("ratchet-prekeys", seeds: [sample.savedPreKeys]) { bytes in
        guard var ring = try? PreKeyRing(restoring: bytes, identity: sample.bob, profile: sample.profile.agreement)
        else {
            return
        }
        var random = SystemRandomNumberGenerator()
        _ = ring.takeBundle()
        ring.rotate(at: 1, using: &random)
        _ = ring.save()
    },
    FuzzEntry("safety-number", seeds: [safetyNumber.scannable]) { _ = safetyNumber.compare(scanned: $0) },
    FuzzEntry("xeddsa", seeds: [Array(1...96)]) {
        guard $0.count >= 96 else { return }
        let (key, signature) = (Array($0[..<32]), Array($0[32..<96]))
        _ = XEdDSA.isValid(signature, for: Array($0[96...]), publicKey: key)
        _ = XEdDSA.isValid(signature, for: [], publicKey: key, signBit: .inSignature)
        _ = CurveConversion.x25519(fromEd25519: key)
    },
]

private let safetyNumber = SafetyNumber(
    local: .init(name: [1], keys: [[1]]),
    remote: .init(name: [2], keys: [[2]]),
    rounds: 2
)

/// A conversation between two devices, as bytes.
private struct RatchetSample: Sendable {
    let profile = SessionProfile.standard("fuzz", encryptsHeaders: false)
    let alice: IdentityKeyPair
    let bob: IdentityKeyPair
    let bundle: [UInt8]
    let initial: [UInt8]
    let answer: [UInt8]
    let savedSession: [UInt8]
    let savedPreKeys: [UInt8]

    init() throws {
        var random = Counter()
        alice = IdentityKeyPair(using: &random)
        bob = IdentityKeyPair(using: &random)
        var preKeys = PreKeyRing(identity: bob, profile: profile.agreement, at: 0, using: &random)
        preKeys.replenish(to: 1, using: &random)
        let bundle = preKeys.takeBundle()
        self.bundle = bundle.bytes
        savedPreKeys = preKeys.save()
        var toBob = Correspondent(identity: alice, profile: profile)
        try toBob.begin(with: "b", bundle.verified(as: bob.publicKey, profile: profile.agreement), using: &random)
        initial = try toBob.encrypt([1, 2, 3], to: "b", using: &random)
        savedSession = toBob.save()
        var toAlice = Correspondent(identity: bob, profile: profile)
        _ = try toAlice.decrypt(initial, from: "a", preKeys: &preKeys)
        answer = try toAlice.encrypt([4, 5, 6], to: "a", using: &random)
    }
}

private let sample: RatchetSample = {
    do { return try RatchetSample() } catch { preconditionFailure("the sample conversation: \(error)") }
}()

/// The same keys in every run, so that a run is repeated from its seed; only the KEM's randomness is the system's.
private struct Counter: RandomNumberGenerator {
    private var state: UInt64 = 7

    mutating func next() -> UInt64 {
        state &+= 0x9e37_79b9_7f4a_7c15
        return (state ^ (state >> 29)) &* 0xbf58_476d_1ce4_e5b9
    }
}
