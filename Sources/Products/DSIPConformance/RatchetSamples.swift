import DoubleRatchet
import Encoding

/// An X25519 agreement and an XEdDSA signature.
enum XEdDSASample {
    static func expectation(_ file: JSONValue) -> JSONValue {
        [
            "publics": [
                file["x25519_agreement"]?["alice_public"] ?? .null, file["x25519_agreement"]?["bob_public"] ?? .null,
                file["xeddsa_signature"]?["alice_identity_public"] ?? .null,
            ],
            "shared": [file["x25519_agreement"]?["shared"] ?? .null, file["x25519_agreement"]?["shared"] ?? .null],
            "valid": true, "valid_flipped": .int(0), "own_valid": true,
        ]
    }

    static func run(_ file: JSONValue) throws -> JSONValue {
        let (agreement, signed) = (file["x25519_agreement"] ?? .null, file["xeddsa_signature"] ?? .null)
        let alice = AgreementKey(try RatchetArea.secret(RatchetArea.hex(agreement, "alice_private")))
        let bob = AgreementKey(try RatchetArea.secret(RatchetArea.hex(agreement, "bob_private")))
        let identity = try RatchetArea.hex(signed, "alice_identity_private")
        let key = AgreementKey(try RatchetArea.secret(identity)).publicKey
        let message = try RatchetArea.hex(signed, "alice_ephemeral_public")
        let signature = try RatchetArea.hex(signed, "alice_signature")
        let flipped = (0..<512).count { bit in
            var changed = signature
            changed[bit / 8] ^= 1 << UInt8(bit % 8)
            return XEdDSA.isValid(changed, for: message, publicKey: key, signBit: .inSignature)
        }
        var random = SystemRandomNumberGenerator()
        let own = XEdDSA.sign(message, privateKey: identity, using: &random)
        return [
            "publics": .array([alice.publicKey, bob.publicKey, key].map(RatchetArea.hex)),
            "shared": .array(
                try [alice.agree(bob.publicKey), bob.agree(alice.publicKey)].map { RatchetArea.hex($0.bytes) }
            ),
            "valid": .bool(XEdDSA.isValid(signature, for: message, publicKey: key, signBit: .inSignature)),
            "valid_flipped": .int(Int64(flipped)),
            "own_valid": .bool(XEdDSA.isValid(own, for: message, publicKey: key)),
        ]
    }
}

/// A whole session: agreement without one-time prekey, root and chain keys, the first message with its MAC.
enum SessionSample {
    private static let members = [
        "aliceRootKey", "aliceSendingChainKey", "aliceSendingCipherKey", "aliceSendingIVKey", "aliceSendingMacKey",
        "bobRootKey", "aliceCipherText", "AliceSerializedWhisperMessage", "alicePlaintext",
    ]

    static func expectation(_ file: JSONValue) -> JSONValue {
        .object(JSONObject(members.map { ($0, file[$0] ?? .null) }))
    }

    private static let agreement = AgreementProfile(info: Array("WhisperText".utf8))
    private static let cipher = MessageCipher.aes256CBC(.sha256, info: Array("WhisperMessageKeys".utf8), tag: 8)
    private static let ratchet = RatchetProfile(
        root: .hkdf(.sha256, info: Array("WhisperRatchet".utf8)),
        cipher: cipher
    )

    static func run(_ file: JSONValue) throws -> JSONValue {
        func key(_ name: String) throws -> AgreementKey {
            AgreementKey(try RatchetArea.secret(RatchetArea.hex(file, name)))
        }
        let alice = try IdentityKeyPair(x25519: RatchetArea.hex(file, "aliceIdentityPrivateKey"))
        let bob = try IdentityKeyPair(x25519: RatchetArea.hex(file, "bobIdentityPrivateKey"))
        let signed = try key("bobBasePrivateKey")
        // The sample has no signature; the bundle gets one of Bob's, as his device would make it.
        var random = SystemRandomNumberGenerator()
        let bundle = PreKeyBundle(
            identity: bob.publicKey,
            signed: .init(
                id: 1,
                key: signed.publicKey,
                signature: bob.sign([5] + signed.publicKey, using: &random)
            )
        )
        let (agreed, handshake) = try KeyAgreement.initiate(
            alice,
            with: bundle.verified(as: bob.publicKey, profile: agreement),
            ephemeral: key("aliceBasePrivateKey")
        )
        let answered = try KeyAgreement.respond(bob, to: handshake, signed: signed, oneTime: nil, profile: agreement)
        guard answered.secret.bytes == agreed.secret.bytes else { throw VectorFault("the two sides disagree") }

        var sender = RatchetState(
            profile: ratchet,
            root: agreed.secret,
            own: try key("aliceSendingRatchetPrivate"),
            peer: signed.publicKey,
            sending: nil,
            receiving: nil,
            previousCount: 0
        )
        try sender.turn(try key("aliceSendingRatchetPrivate"))
        guard let chain = sender.sending else { throw VectorFault("no sending chain") }
        let message = ratchet.chain.step(chain.key).message
        let keys = MessageCipher.keys(.sha256, Array("WhisperMessageKeys".utf8), message)

        // The frame of that program: version, protobuf of key, counter, previous counter and ciphertext, 8 bytes of MAC over
        // both identities and all of it.
        let plaintext = try RatchetArea.hex(file, "alicePlaintext")
        let size = (plaintext.count / 16 + 1) * 16
        let frame = [0x33, 0x0a, 0x21, 0x05] + sender.own.publicKey + [0x10, 0, 0x18, 0, 0x22, UInt8(size)]
        let data =
            [5] + (try alice.publicKey.agreementKey()) + [5] + (try bob.publicKey.agreementKey()) + frame
        let sealed = try cipher.seal(plaintext, key: message, authenticating: data)
        let opened = try cipher.open(sealed[...], key: message, authenticating: data)
        return [
            "aliceRootKey": RatchetArea.hex(sender.root.bytes),
            "aliceSendingChainKey": RatchetArea.hex(chain.key.bytes),
            "aliceSendingCipherKey": RatchetArea.hex(keys[0].bytes),
            "aliceSendingIVKey": RatchetArea.hex(Array(keys[2].bytes.prefix(16))),
            "aliceSendingMacKey": RatchetArea.hex(keys[1].bytes),
            "bobRootKey": RatchetArea.hex(answered.secret.bytes),
            "aliceCipherText": RatchetArea.hex(Array(sealed.dropLast(8))),
            "AliceSerializedWhisperMessage": RatchetArea.hex(frame + sealed),
            "alicePlaintext": RatchetArea.hex(opened),
        ]
    }
}

/// States of an older python-x3dh, and the secret of the agreement between them.
enum X3DHSample {
    private static let profile = AgreementProfile(
        info: Array("test_migrations".utf8),
        encoding: .init(prefix: [0x42], suffix: Array("\u{13}7Mont".utf8))
    )

    private static func key(_ json: JSONValue?) throws -> AgreementKey {
        AgreementKey(try RatchetArea.secret(RatchetArea.base64(json?["priv"])))
    }

    static func secret(_ file: JSONValue, alice: JSONValue, bob: JSONValue) throws -> JSONValue {
        let header = file["to_other"] ?? .null
        let identity = try IdentityKeyPair(x25519: RatchetArea.base64(bob["ik"]?["priv"]))
        let oneTime = try RatchetArea.base64(header["otpk"])
        let held = (bob["otpks"]?.array ?? []).first { (try? RatchetArea.base64($0["pub"])) == oneTime }
        let initiator = try RatchetArea.base64(header["ik"])
        guard try RatchetArea.base64(alice["ik"]?["pub"]) == initiator,
            try RatchetArea.base64(bob["spk"]?["key"]?["pub"]) == RatchetArea.base64(header["spk"])
        else { throw VectorFault("the states are of another agreement") }
        let handshake = Handshake(
            identity: .x25519(initiator),
            ephemeralKey: try RatchetArea.base64(header["ek"]),
            signedPreKey: 1,
            oneTimePreKey: 2
        )
        let agreed = try KeyAgreement.respond(
            identity,
            to: handshake,
            signed: key(bob["spk"]?["key"]),
            oneTime: key(held),
            profile: profile
        )
        // That version put the curve's name before each key.
        let name = Array("Curve25519".utf8)
        let half = agreed.associatedData.count / 2
        let data = name + agreed.associatedData.prefix(half) + name + agreed.associatedData.suffix(half)
        return ["sk": RatchetArea.base64(agreed.secret.bytes), "ad": RatchetArea.base64(data)]
    }

    /// Every private key has the public key beside it, and the signed prekey's signature verifies.
    static func state(_ file: JSONValue) throws -> JSONValue {
        let pairs = [file["ik"], file["spk"]?["key"]] + (file["otpks"]?.array ?? [])
        let matching = try pairs.count { try key($0).publicKey == RatchetArea.base64($0?["pub"]) }
        let identity = try RatchetArea.base64(file["ik"]?["pub"])
        let signed = try RatchetArea.base64(file["spk"]?["key"]?["pub"])
        let signature = try RatchetArea.base64(file["spk"]?["signature"])
        // The two states were saved by programs that encode keys differently.
        let messages = [
            Array("Curve25519".utf8) + profile.encoding.prefix + signed + profile.encoding.suffix,
            [5] + signed,
        ]
        let isValid = messages.contains { message in
            XEdDSA.isValid(signature, for: message, publicKey: identity, signBit: .inSignature)
        }
        return ["signature": .bool(isValid), "pairs": .int(Int64(matching))]
    }
}

/// States of an older python-doubleratchet, and messages sent but not delivered when they were saved.
enum RatchetSample {
    private static func text(_ text: String) -> [UInt8] { Array("test_double_ratchet \(text)".utf8) }

    private static let profile = RatchetProfile(
        root: .hkdf(.sha256, info: text("Root Chain KDF info")),
        chain: .hkdf(
            .sha512,
            info: text("Message Chain KDF info"),
            constant: text("Message Chain constant")
        ),
        cipher: .aes256CBC(.sha512, info: text("AEAD info"), tag: 64),
        header: .wide
    )

    /// - Returns: nil for a state that never sent nor received.
    private static func load(_ file: JSONValue) throws -> RatchetState? {
        let ratchet = file["super"] ?? .null
        func chain(_ name: String) throws -> RatchetState.Chain? {
            guard let chain = file["skr"]?[name], !chain.isNull else { return nil }
            return RatchetState.Chain(
                key: try RatchetArea.secret(RatchetArea.base64(chain["key"])),
                next: UInt32(clamping: chain["length"]?.int ?? 0),
                headerKey: nil
            )
        }
        guard let other = ratchet["other_pub"]?["pub"], !other.isNull else { return nil }
        // By ratchet key, in ascending order of the messages' numbers.
        var skipped: [(ratchetKey: [UInt8], keys: [(number: UInt32, key: Secret)])] = []
        for (name, value) in file["smks"]?.object?.members ?? [] {
            let place = try JSONValue(parsing: name)
            let key = try RatchetArea.base64(place["pub"])
            let entry = (
                number: UInt32(clamping: place["index"]?.int ?? 0),
                key: try RatchetArea.secret(RatchetArea.base64(value))
            )
            if let index = skipped.firstIndex(where: { $0.ratchetKey == key }) {
                skipped[index].keys.append(entry)
                skipped[index].keys.sort { $0.number < $1.number }
            } else {
                skipped.append((key, [entry]))
            }
        }
        return RatchetState(
            profile: profile,
            root: try RatchetArea.secret(RatchetArea.base64(ratchet["root_chain"]?["key"])),
            own: AgreementKey(try RatchetArea.secret(RatchetArea.base64(ratchet["own_key"]?["priv"]))),
            peer: try RatchetArea.base64(other),
            sending: try chain("schain"),
            receiving: try chain("rchain"),
            previousCount: UInt32(clamping: file["skr"]?["prev_schain_length"]?.int ?? 0),
            skipped: skipped
        )
    }

    /// The two sides go on talking from where they were saved.
    static func state(_ file: JSONValue, other: JSONValue) throws -> JSONValue {
        guard let own = try load(file) else { return ["refused": true] }
        guard let theirs = try load(other) else { throw VectorFault("the other side's state is missing") }
        let data = try RatchetArea.base64(file["ad"])
        var a = Ratchet(own, associatedData: data)
        var b = Ratchet(theirs, associatedData: data)
        var random = SystemRandomNumberGenerator()
        var (sent, received): (Int64, Int64) = (0, 0)
        for turn in 0..<3 as Range<UInt8> {
            if try b.decrypt(a.encrypt([turn], using: &random)) == [turn] { sent += 1 }
            if try a.decrypt(b.encrypt([turn], using: &random)) == [turn] { received += 1 }
        }
        return ["sent": .int(sent), "received": .int(received)]
    }

    static func skipped(_ file: JSONValue, holder: JSONValue) throws -> JSONValue {
        guard let state = try load(holder) else { throw VectorFault("the state that opens them is missing") }
        var ratchet = Ratchet(state, associatedData: try RatchetArea.base64(holder["ad"]))
        var texts: [JSONValue] = []
        for element in file.array ?? [] {
            guard let message = element[0], let header = message["header"] else { throw VectorFault("no message") }
            let bytes = RatchetHeader(
                ratchetKey: try RatchetArea.base64(header["ratchet_pub"]),
                previousCount: UInt32(clamping: header["pn"]?.int ?? 0),
                number: UInt32(clamping: header["n"]?.int ?? 0)
            ).bytes(.wide)
            let sealed = try RatchetArea.base64(message["ciphertext"])
            texts.append(RatchetArea.base64(try ratchet.decrypt(.init(header: bytes, sealed: sealed))))
        }
        return .array(texts)
    }
}
