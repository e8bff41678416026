import Crypto
import Foundation
import Support
import Testing

@testable import DoubleRatchet

@Suite("XEdDSA and the two curves")
struct CurveTests {
    @Test("A published XEdDSA signature verifies, and no signature with one bit flipped does")
    func published() {
        let key = hex("ab7e717d4a163b7d9a1d8071dfe9dcf8cdcd1cea3339b6356be84d887e322c64")
        let message = hex("05edce9d9c415ca78cb7252e72c2c4a554d3eb29485a0e1d503118d1a82d99fb4a")
        let signature = hex(
            "5de88ca9a89b4a115da79109c67c9c7464a3e4180274f1cb8c63c2984e286dfbede82deb9dcd9fae0bfbb821569b3d9001bd8130cd11d486cef047bd60b86e88"
        )
        #expect(XEdDSA.isValid(signature, for: message, publicKey: key, signBit: .inSignature))
        for bit in 0..<512 {
            var changed = signature
            changed[bit / 8] ^= 1 << UInt8(bit % 8)
            #expect(!XEdDSA.isValid(changed, for: message, publicKey: key, signBit: .inSignature), "bit \(bit)")
        }
    }

    @Test("What is signed with an X25519 key verifies with its public key, and with no other message or key")
    func signing() {
        var random = SeededRandom(seed: 1)
        for length in [0, 1, 33, 200] {
            for _ in 0..<8 {
                let key = AgreementKey(using: &random)
                let message = (0..<length).map { _ in UInt8.random(in: .min ... .max, using: &random) }
                let signature = XEdDSA.sign(message, privateKey: key.secret.bytes, using: &random)
                #expect(signature[63] & 0xe0 == 0, "the sign bit is zero and s below 2^253")
                #expect(XEdDSA.isValid(signature, for: message, publicKey: key.publicKey))
                #expect(!XEdDSA.isValid(signature, for: message + [0], publicKey: key.publicKey))
                let other = AgreementKey(using: &random).publicKey
                #expect(!XEdDSA.isValid(signature, for: message, publicKey: other))
                #expect(XEdDSA.sign(message, privateKey: key.secret.bytes, using: &random) != signature)
            }
        }
    }

    @Test("The same scalar gives the public key Ed25519 gives, times the base point")
    func basePoint() {
        var random = SeededRandom(seed: 2)
        for _ in 0..<20 {
            let seed = Secret(using: &random)
            guard let key = try? Curve25519.Signing.PrivateKey(rawRepresentation: seed.bytes) else {
                Issue.record("a seed")
                return
            }
            let scalar = CurveConversion.x25519(seed: seed)
            #expect(EdwardsPoint.base(times: scalar.bytes).bytes == Array(key.publicKey.rawRepresentation))
        }
    }

    @Test("An Ed25519 key and its X25519 image belong together")
    func conversion() throws {
        var random = SeededRandom(seed: 3)
        for _ in 0..<20 {
            let seed = Secret(using: &random).bytes
            let ed25519 = try Curve25519.Signing.PrivateKey(rawRepresentation: seed).publicKey.rawRepresentation
            let x25519 = try #require(CurveConversion.x25519(fromEd25519Seed: seed))
            let expected = try Curve25519.KeyAgreement.PrivateKey(rawRepresentation: x25519).publicKey.rawRepresentation
            #expect(CurveConversion.x25519(fromEd25519: Array(ed25519)) == Array(expected))
        }
    }

    @Test("Points off the curve, of small order, or written unusually are refused")
    func refused() {
        #expect(CurveConversion.x25519(fromEd25519: [UInt8](repeating: 0, count: 31)) == nil)
        // The identity, the point of order two, one of order four, y = p + 1.
        #expect(CurveConversion.x25519(fromEd25519: [1] + [UInt8](repeating: 0, count: 31)) == nil)
        #expect(CurveConversion.x25519(fromEd25519: [0xec] + [UInt8](repeating: 0xff, count: 30) + [0x7f]) == nil)
        #expect(CurveConversion.x25519(fromEd25519: [UInt8](repeating: 0, count: 32)) == nil)
        #expect(CurveConversion.x25519(fromEd25519: [0xee] + [UInt8](repeating: 0xff, count: 30) + [0x7f]) == nil)
        // Of order eight.
        let eight = hex("26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05")
        #expect(EdwardsPoint(eight) != nil && CurveConversion.x25519(fromEd25519: eight) == nil)
        // y = 2 is on no point.
        #expect(EdwardsPoint([2] + [UInt8](repeating: 0, count: 31)) == nil)
        // u = -1 has no image.
        #expect(
            CurveConversion.ed25519(fromX25519: [0xec] + [UInt8](repeating: 0xff, count: 30) + [0x7f], sign: 0) == nil
        )
    }

    @Test("An agreement with a point of small order is refused")
    func zeroAgreement() {
        var random = SeededRandom(seed: 4)
        let key = AgreementKey(using: &random)
        #expect(throws: RatchetError(.weakKey, "")) { try key.agree([UInt8](repeating: 0, count: 32)) }
        #expect(throws: RatchetError(.weakKey, "")) { try key.agree([1] + [UInt8](repeating: 0, count: 31)) }
    }

    @Test("Scalars multiply, add, negate and reduce modulo the group order")
    func scalars() {
        let order = hex("edd3f55c1a631258d69cf7a2def9de1400000000000000000000000000000010")
        #expect(Scalar25519(reducing: order).bytes == [UInt8](repeating: 0, count: 32))
        let one = Scalar25519(reducing: [1])
        var minusOne = order
        minusOne[0] -= 1
        #expect(one.negated(1).bytes == minusOne)
        #expect(one.negated(0).bytes == one.bytes)
        #expect(Scalar25519(reducing: order).negated(1).bytes == [UInt8](repeating: 0, count: 32))
        // (-1)(-1) + (-1) = 0
        let minus = Scalar25519(reducing: minusOne)
        #expect(Scalar25519.multiply(minus, minus, adding: minus).bytes == [UInt8](repeating: 0, count: 32))
        // 2^512 - 1 mod L, against 512 doublings in the group: (2^512 - 1) B.
        let all = Scalar25519(reducing: [UInt8](repeating: 0xff, count: 64))
        var point = EdwardsPoint.identity
        for _ in 0..<512 { point = point.doubled + EdwardsPoint.base }
        #expect(EdwardsPoint.base(times: all.bytes).bytes == point.bytes)
    }

    @Test("HMAC and HKDF agree with the library's, for both hashes")
    func derivation() {
        var random = SeededRandom(seed: 5)
        for _ in 0..<10 {
            let salt = Secret(using: &random)
            let material = Secret(using: &random).bytes
            let info = Array("info".utf8)
            let expected256 = HKDF<SHA256>.deriveKey(
                inputKeyMaterial: SymmetricKey(data: material),
                salt: salt.bytes,
                info: info,
                outputByteCount: 96
            ).withUnsafeBytes { Array($0) }
            let expected512 = HKDF<SHA512>.deriveKey(
                inputKeyMaterial: SymmetricKey(data: material),
                salt: salt.bytes,
                info: info,
                outputByteCount: 96
            ).withUnsafeBytes { Array($0) }
            func derive(_ hash: KDFHash) -> [UInt8] {
                material.withUnsafeBytes { hash.derive(salt: salt, material: $0, info: info, count: 3) }
                    .flatMap(\.bytes)
            }
            #expect(derive(.sha256) == expected256)
            #expect(derive(.sha512) == expected512)
            let step = ChainDerivation.hmac(message: 1, chain: 2).step(salt)
            #expect(
                step.message.bytes
                    == Array(HMAC<SHA256>.authenticationCode(for: [1], using: SymmetricKey(data: salt.bytes)))
            )
            #expect(
                step.chain.bytes
                    == Array(HMAC<SHA256>.authenticationCode(for: [2], using: SymmetricKey(data: salt.bytes)))
            )
        }
    }

    @Test("The one-step derivation is SHA-512 of counter, key and constant, the next chain key first")
    func oneStep() {
        var random = SeededRandom(seed: 6)
        let chain = Secret(using: &random)
        let digest = Array(SHA512.hash(data: [0, 0, 0, 1] + chain.bytes + [7]))
        let step = ChainDerivation.oneStep(constant: 7).step(chain)
        #expect(step.chain.bytes == Array(digest[..<32]))
        #expect(step.message.bytes == Array(digest[32...]))
    }

    @Test("A step of the root is SHA-512 of counter, agreement, root key and name")
    func oneStepRoot() {
        var random = SeededRandom(seed: 7)
        let (root, agreed) = (Secret(using: &random), Secret(using: &random))
        func digest(_ counter: UInt8) -> [UInt8] {
            Array(SHA512.hash(data: [0, 0, 0, counter] + agreed.bytes + root.bytes + Array("name".utf8)))
        }
        let expected = digest(1) + digest(2)
        for count in 2...4 {
            let keys = RootDerivation.oneStep(info: Array("name".utf8)).step(root, agreed, count: count)
            #expect(keys.flatMap(\.bytes) == Array(expected[..<(32 * count)]))
        }
    }

    @Test("A wiped buffer holds zeros")
    func wiping() {
        var bytes = [UInt8](repeating: 7, count: 32)
        bytes.withUnsafeMutableBytes { Secret.wipe($0) }
        #expect(bytes == [UInt8](repeating: 0, count: 32))
    }
}
