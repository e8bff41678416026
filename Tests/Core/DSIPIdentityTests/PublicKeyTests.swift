import Crypto
import Encoding
import Foundation
import Support
import Testing

@testable import DSIPIdentity

@Suite("Public keys") struct PublicKeyTests {
    @Test("Ed25519 verdicts agree with Wycheproof")
    func wycheproof() throws {
        var checked = 0
        for file in Vectors.files("wycheproof") where file.lastPathComponent == "ed25519_test.json" {
            for group in try #require(Vectors.json(file)["testGroups"]?.array) {
                let key = PublicKey(ed25519: try hex(group["publicKey"]?["pk"]))
                for test in group["tests"]?.array ?? [] {
                    let message = try hex(test["msg"])
                    let signature = try hex(test["sig"])
                    let valid = key?.isValidSignature(signature, for: message) ?? false
                    #expect(valid == (test["result"]?.string == "valid"), "tcId \(test["tcId"]?.int ?? 0)")
                    checked += 1
                }
            }
        }
        #expect(checked >= 140 || Vectors.root == nil)
    }

    @Test("P-256 verdicts agree with Wycheproof")
    func wycheproofP256() throws {
        var checked = 0
        for file in Vectors.files("wycheproof") where file.lastPathComponent == "ecdsa_secp256r1_sha256_p1363_test.json"
        {
            for group in try #require(Vectors.json(file)["testGroups"]?.array) {
                let point = try hex(group["publicKey"]?["uncompressed"])
                let key = PublicKey.p256(try P256.Signing.PublicKey(x963Representation: point))
                for test in group["tests"]?.array ?? [] where test["result"]?.string != "acceptable" {
                    let message = try hex(test["msg"])
                    let signature = try hex(test["sig"])
                    #expect(
                        key.isValidSignature(signature, for: message) == (test["result"]?.string == "valid"),
                        "tcId \(test["tcId"]?.int ?? 0)"
                    )
                    checked += 1
                }
            }
        }
        #expect(checked >= 200 || Vectors.root == nil)
    }

    /// The twelve signatures on which Ed25519 libraries differ. Cases 0, 1, 10 and 11 have a key of small order: no key
    /// here. 2 and 3 satisfy the equation without cofactor; 4 and 5 do not; 6 and 7 have S ≥ L; 8 and 9 have a
    /// non-canonical R.
    @Test("signatures on which libraries differ: strict on keys, cofactorless, S reduced")
    func speccheck() throws {
        for file in Vectors.files("ed25519") where file.lastPathComponent == "cases.json" {
            let verdicts = try #require(Vectors.json(file).array).map { test -> Bool in
                let message = try hex(test["message"])
                let signature = try hex(test["signature"])
                let key = PublicKey(ed25519: try hex(test["pub_key"]))
                return key?.isValidSignature(signature, for: message) ?? false
            }
            #expect(
                verdicts == [false, false, true, true] + [Bool](repeating: false, count: 8)
            )
        }
    }

    @Test("signatures of the Ed25519 authors' list verify")
    func signInput() throws {
        for file in Vectors.files("ed25519") where file.lastPathComponent == "sign-input-128.json" {
            for test in try #require(Vectors.json(file).array) {
                let key = SigningKey(
                    selfIssued: try Curve25519.Signing.PrivateKey(rawRepresentation: hex(test["seed"]))
                )
                #expect(try key.publicKeyBytes == hex(test["public"]))
                #expect(try key.publicKey.isValidSignature(hex(test["signature"]), for: hex(test["message"])))
            }
        }
    }

    @Test("multibase text reads back, and malformed text does not read")
    func multibase() {
        let ed = SigningKey(seeded: 4).publicKey
        let p256 = PublicKey.p256(P256.Signing.PrivateKey().publicKey)
        for key in [ed, p256] { #expect(PublicKey(multibase: key.multibase) == key) }
        #expect(ed != p256 && Set([ed, p256, ed]).count == 2)
        for text in [
            "", "z", "z6Mk", String(ed.multibase.dropLast()), ed.multibase + "1", "x" + ed.multibase.dropFirst(),
        ] {
            #expect(PublicKey(multibase: text) == nil, "\(text)")
        }
    }
}
