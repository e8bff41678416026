import Crypto
import DSIPIdentity
import DSIPMessaging
import Encoding
import Testing

@Suite("What is sealed") struct SealTests {
    private let key = Array(UInt8(0)..<32)
    private let nonce = Array(UInt8(100)..<112)
    private let group = Array("01K742SG00HAZZCKC131EC0PGS".utf8)

    @Test("M§8.4, M§11.1, M§12.2: a seal opens with its key, its group and its number, and with nothing else")
    func seals() throws {
        let uses: [Seal.Use] = [.blob, .activity(group: group, epoch: 7), .archive(group: group, seq: 7)]
        for use in uses {
            let sealed = try Seal.seal(Array("hello".utf8), key: key, nonce: nonce, use: use)
            #expect(sealed.count == 12 + 5 + 16 && sealed.starts(with: nonce))
            #expect(try Seal.open(sealed, key: key, use: use) == Array("hello".utf8))
            for index in sealed.indices {
                var changed = sealed
                changed[index] ^= 1
                #expect(throws: MessagingError(.aeadOpenFailed, "")) { try Seal.open(changed, key: key, use: use) }
            }
            #expect(throws: MessagingError(.sealedTooShort, "")) {
                try Seal.open(Array(sealed.prefix(27)), key: key, use: use)
            }
            #expect(throws: MessagingError(.aeadOpenFailed, "")) {
                try Seal.open(sealed, key: Array(key.dropLast()), use: use)
            }
        }
        let activity = try Seal.seal([1], key: key, nonce: nonce, use: .activity(group: group, epoch: 7))
        #expect(throws: MessagingError(.aeadOpenFailed, "")) {
            try Seal.open(activity, key: key, use: .activity(group: group, epoch: 8))
        }
    }

    @Test("M§8.4 rule 7: size and hash come before the key")
    func blob() throws {
        let sealed = try Seal.seal(Array("voice".utf8), key: key, nonce: nonce, use: .blob)
        let (size, sha) = (Int64(sealed.count), Seal.hash(sealed))
        #expect(try Seal.openBlob(sealed, size: size, sha256: sha, key: key) == Array("voice".utf8))
        #expect(throws: MessagingError(.blobSizeMismatch, "")) {
            try Seal.openBlob(sealed, size: size + 1, sha256: "", key: key)
        }
        #expect(throws: MessagingError(.blobHashMismatch, "")) {
            try Seal.openBlob(sealed, size: size, sha256: String(sha.reversed()), key: key)
        }
        #expect(Seal.hash(Array("abc".utf8)) == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad")
    }

    @Test("RFC 9180 A.1.1: the suite of M§6.9 derives its keys and opens its first message")
    func hpke() throws {
        try Scene.check(
            "hpke-derive-key-pair",
            #"{"ikm_hex":"7268600d403fce431561aef583ee1613527cff655c1343f29812e66706df3234"}"#,
            #"{"sk_hex":"52c4a758a802cd8b936eceea314432798d5baf2d7e9235dc084ab1b9cfa2f736","#
                + #""pk_hex":"37fda3567bdbd628e88668c3c8d7e97d1d1253b6d4ea6d44c150f741f1bf4431"}"#
        )
        let input =
            #"{"enc_hex":"37fda3567bdbd628e88668c3c8d7e97d1d1253b6d4ea6d44c150f741f1bf4431","#
            + #""sk_r_hex":"4612c550263fc8ad58375df3f557aac531d26850903e55a9f23f21d8534e8ac8","#
            + #""info_hex":"4f6465206f6e2061204772656369616e2055726e","aad_hex":"436f756e742d30","#
            + #""ct_hex":"f938558b5d72f1a23810b4be2ab4f84331acc02fc97babc53a52ae8218a355a96d8770ac83d07bea87e13c512a"}"#
        try Scene.check(
            "hpke-open",
            input,
            #"{"verdict":"accept","plaintext_hex":"4265617574792069732074727574682c20747275746820626561757479"}"#
        )
        try Scene.check(
            "hpke-open",
            input.replacing("436f756e742d30", with: "436f756e742d31"),
            #"{"verdict":"reject","code":"hpke-open-failed"}"#
        )
    }

    @Test("M§14.1: what an introduction says is for its recipient and for that introduction alone")
    func introduction() throws {
        let recipient = Curve25519.KeyAgreement.PrivateKey()
        let publicKey = Array(recipient.publicKey.rawRepresentation)
        let sealed = try SealedIntroduction.seal(
            purpose: "We met at the library",
            id: "i",
            from: "f",
            to: "t",
            publicKey: publicKey
        )
        let payload: JSONValue = ["id": "i", "from": "f", "to": "t", "sealed": sealed]
        #expect(try SealedIntroduction.purpose(of: payload, privateKey: recipient) == "We met at the library")
        let spliced: JSONValue = ["id": "j", "from": "f", "to": "t", "sealed": sealed]
        #expect(throws: MessagingError(.sealedOpenFailed, "")) {
            try SealedIntroduction.purpose(of: spliced, privateKey: recipient)
        }
        #expect(throws: MessagingError(.sealedOpenFailed, "")) {
            try SealedIntroduction.purpose(of: payload, privateKey: Curve25519.KeyAgreement.PrivateKey())
        }
        var suite = try #require(sealed.object)
        suite["alg"] = "rot13"
        #expect(throws: MessagingError(.sealedAlgUnsupported, "")) {
            try SealedIntroduction.purpose(of: ["sealed": .object(suite)], privateKey: recipient)
        }
        #expect(try SealedIntroduction.purpose(of: ["purpose": "plain"], privateKey: recipient) == "plain")
        #expect(try SealedIntroduction.purpose(of: [:], privateKey: recipient) == nil)
        #expect(throws: MessagingError(.purposeTooLong, "")) {
            try SealedIntroduction.seal(
                purpose: String(repeating: "x", count: 281),
                id: "i",
                from: "f",
                to: "t",
                publicKey: publicKey
            )
        }
        func sealedText(_ text: String) throws -> JSONValue {
            let (key, ciphertext) = try HPKESuite.seal(
                Array(text.utf8),
                to: publicKey,
                info: Array("dsip sealed introduction v1".utf8),
                additionalData: Array("i\0f\0t".utf8)
            )
            return [
                "id": "i", "from": "f", "to": "t",
                "sealed": [
                    "alg": .string(HPKESuite.identifier), "enc": .string(Base64URL.encode(key)),
                    "ct": .string(Base64URL.encode(ciphertext)),
                ],
            ]
        }
        for text in [#"{"purpose":"x","y":1}"#, #"{"purpose":7}"#, "[]", "x"] {
            let payload = try sealedText(text)
            #expect(throws: MessagingError(.sealedPlaintextInvalid, "")) {
                try SealedIntroduction.purpose(of: payload, privateKey: recipient)
            }
        }
        let long = try sealedText(#"{"purpose":"\#(String(repeating: "x", count: 281))"}"#)
        #expect(throws: MessagingError(.purposeTooLong, "")) {
            try SealedIntroduction.purpose(of: long, privateKey: recipient)
        }
    }

    @Test("M§6.9: a did:key's X25519 key is the one its Ed25519 key gives")
    func keyAgreement() throws {
        let seed = Array(repeating: UInt8(7), count: 32)
        let key = SigningKey(selfIssued: try Curve25519.Signing.PrivateKey(rawRepresentation: seed))
        let agreement = try #require(DIDKey.keyAgreement(of: key.did))
        let digits = seed.map { _ in "07" }.joined()
        let hex = agreement.publicKey.map { byte in (byte < 16 ? "0" : "") + String(byte, radix: 16) }.joined()
        try Scene.check("x25519-key-agreement", #"{"ed25519_seed_hex":"\#(digits)"}"#, #"{"x25519_pk_hex":"\#(hex)"}"#)
    }
}
