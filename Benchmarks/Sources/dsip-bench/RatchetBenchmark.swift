import Crypto
import DoubleRatchet
import Foundation

/// The Double Ratchet against libolm, and its turns against the key generation and the two agreements inside them.
enum RatchetBenchmark {
    static func run() throws {
        let rounds = Rounds()
        for encryptsHeaders in [false, true] {
            let suffix = encryptsHeaders ? ", encrypted headers" : ""
            let profile = SessionProfile.standard("bench", kem: nil, encryptsHeaders: encryptsHeaders)
            let pair = try RatchetPair(profile.ratchet)
            let floor = TurnFloor()
            let olm = OlmPair()
            var kinds: [(name: String, goal: Double, run: () throws -> Void, peer: (() -> Void)?)] = []
            for (size, goal) in [(1024, 20.0), (100, 6.0)] {
                let text = [UInt8](repeating: 0x78, count: size)
                kinds.append(
                    (
                        "ratchet \(size) B one way\(suffix)", goal, { try pair.oneWay(text) },
                        olm.map { olm in { olm.oneWay(text) } }
                    )
                )
            }
            let text = [UInt8](repeating: 0x78, count: 1024)
            kinds.append(
                ("ratchet turns\(suffix)", 7, { try pair.turn(text) }, olm.map { olm in { olm.turn(text) } })
            )
            for kind in kinds {
                let medians = try rounds.measure(
                    [kind.run, { floor.run() }] + (kind.peer.map { peer in [{ peer() }] } ?? [])
                )
                if kind.name.hasPrefix("ratchet turns") {
                    Report.line(
                        kind.name,
                        "\(Report.microseconds(medians[0])) a message, key generation and two agreements \(Report.microseconds(medians[1]))",
                        ratio: medians[0] / medians[1],
                        atMost: 1.15
                    )
                }
                guard medians.count == 3 else { continue }
                Report.line(
                    kind.name,
                    "\(Report.microseconds(medians[0])) sealed and opened, libolm \(Report.microseconds(medians[2]))",
                    ratio: medians[2] / medians[0],
                    atLeast: kind.goal
                )
            }
            if olm == nil { print("ratchet: libolm is not installed (Debian: libolm3); only the limit was measured") }
        }
        try setup()
    }

    /// From a bundle to the first message opened, both sides together, three agreements each as libolm makes them.
    private static func setup() throws {
        guard let olm = OlmPair() else { return }
        let kinds: [(name: String, kem: KEMAlgorithm?, goal: Double)] = [("X3DH", nil, 3.5), ("PQXDH", .mlKEM768, 2)]
        for kind in kinds {
            let profile = SessionProfile.standard("bench", kem: kind.kem)
            var random = SystemRandomNumberGenerator()
            let alice = IdentityKeyPair(using: &random)
            let bob = IdentityKeyPair(using: &random)
            var limits = PreKeyRing.Limits()
            limits.remembered = .max
            var preKeys = PreKeyRing(
                identity: bob,
                profile: profile.agreement,
                limits: limits,
                at: 0,
                using: &random
            )
            let bundle = preKeys.takeBundle()
            let medians = try Rounds().measure([
                {
                    var toBob = Correspondent(identity: alice, profile: profile)
                    var toAlice = Correspondent(identity: bob, profile: profile)
                    let verified = try bundle.verified(as: bob.publicKey, profile: profile.agreement)
                    try toBob.begin(with: "b", verified, using: &random)
                    let message = try toBob.encrypt([1], to: "b", using: &random)
                    keep(try toAlice.decrypt(message, from: "a", preKeys: &preKeys))
                },
                { olm.setup() },
            ])
            Report.line(
                "\(kind.name) both sides",
                "\(Report.microseconds(medians[0])) with the bundle's signatures, libolm \(Report.microseconds(medians[1])) without",
                ratio: medians[1] / medians[0],
                atLeast: kind.goal
            )
        }
    }
}

/// Two ends that have both spoken.
private final class RatchetPair {
    private var a: Ratchet
    private var b: Ratchet
    private var random = SystemRandomNumberGenerator()
    private var isAsTurn = true

    init(_ profile: RatchetProfile) throws {
        var random = SystemRandomNumberGenerator()
        let agreed = try AgreedSecret(secret: Array(1...32), associatedData: [UInt8](repeating: 1, count: 98))
        let key = Curve25519.KeyAgreement.PrivateKey()
        a = try Ratchet(
            initiator: agreed,
            peer: Array(key.publicKey.rawRepresentation),
            profile: profile,
            using: &random
        )
        b = try Ratchet(responder: agreed, ownKey: Array(key.rawRepresentation), profile: profile)
        _ = try b.decrypt(a.encrypt([1], using: &random))
    }

    func oneWay(_ text: [UInt8]) throws {
        guard try b.decrypt(a.encrypt(text, using: &random)).count == text.count else { fatalError("another text") }
    }

    /// One message, the sides in turn: each turns the ratchet.
    func turn(_ text: [UInt8]) throws {
        if isAsTurn {
            _ = try b.decrypt(a.encrypt(text, using: &random))
        } else {
            _ = try a.decrypt(b.encrypt(text, using: &random))
        }
        isAsTurn.toggle()
    }
}

/// What a turn cannot be cheaper than: a key generation and two agreements.
private struct TurnFloor {
    private let key = Curve25519.KeyAgreement.PrivateKey()
    private let other = Curve25519.KeyAgreement.PrivateKey().publicKey

    func run() {
        let fresh = Curve25519.KeyAgreement.PrivateKey()
        for private_ in [key, fresh] {
            guard let shared = try? private_.sharedSecretFromKeyAgreement(with: other) else {
                fatalError("an agreement")
            }
            keep(shared)
        }
    }
}
