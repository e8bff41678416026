import DSIPIdentity
import DSIPSignaling
import Encoding

/// Every decoder of peer input. A new decoder joins here; what fuzzing finds becomes a named test beside the decoder.
let fuzzEntries: [FuzzEntry] =
    [
        FuzzEntry("json", seeds: [#"{"a":[1,-2,{"b":"\u00e9\ud83d\ude00"}],"c":null,"d":true}"#, "[[[[1]]],0.5,1e9]"]) {
            bytes in
            guard let document = try? JSONDocument(scanning: bytes) else { return }
            // What was accepted must survive being written and read again.
            guard document.firstNonInteger == nil else { return }
            let value = document.root.value
            precondition((try? JSONValue(parsing: value.utf8)) == value, "a JSON value changed when written and read")
        },
        FuzzEntry("envelope", seeds: [#"{"protected":"eyJhbGciOiJFZERTQSJ9","payload":"e30","signature":"AAAA"}"#]) {
            bytes in
            guard let envelope = Envelope(bytes) else { return }
            _ = (
                envelope.decodedProtected(), envelope.decodedPayload(), envelope.decodedSignature(),
                envelope.signingInput
            )
        },
        FuzzEntry(
            "did",
            seeds: [
                "did:web:example.com%3A8443:users:bob#key-1",
                "did:key:z6MkrgXgMcSfqUQ6bhMEL1dhqvPYU4YaueY56Mw8aee9YN4R",
            ]
        ) { bytes in
            let text = String(decoding: bytes, as: UTF8.self)
            _ = DIDURL(text)
            if let did = DID(text) { _ = DIDKey.publicKey(of: did) }
            _ = Multibase.decode(text)
            _ = ULID(text)
        },
        FuzzEntry(
            "document",
            seeds: [
                #"{"id":"did:web:example.com","verificationMethod":[{"id":"did:web:example.com#key-1","type":"Multikey","controller":"did:web:example.com","publicKeyMultibase":"z6MkrgXgMcSfqUQ6bhMEL1dhqvPYU4YaueY56Mw8aee9YN4R"}],"service":[{"id":"did:web:example.com#s","type":"DSIPSignaling","serviceEndpoint":{"uri":"wss://r.example/dsip","bindings":["ws/1.0"]}}]}"#
            ]
        ) { bytes in
            guard let did = DID("did:web:example.com") else { return }
            _ = try? DIDDocument(parsing: bytes, expecting: did)
        },
        FuzzEntry(
            "link",
            seeds: [
                "dsip:did:key:z6MkrgXgMcSfqUQ6bhMEL1dhqvPYU4YaueY56Mw8aee9YN4R?relay=wss%3A%2F%2Fr.example%2Fdsip&name=Bob",
                "alice@example.com",
            ]
        ) { bytes in
            let text = String(decoding: bytes, as: UTF8.self)
            _ = try? IdentityURI(entered: text)
            _ = try? PairingRequest(parsing: text)
            _ = Alias(text)
            _ = Alias(ledger: text)
        },
        FuzzEntry(
            "message",
            seeds: [
                #"{"dsip":{"core":"1.0","min_core":"1.0","profiles":[],"extensions":[],"critical":[]},"type":"hello","id":"01J5Y0QBD8EF9GH0JK1MN2PQ3R","from":"did:key:z6MkrgXgMcSfqUQ6bhMEL1dhqvPYU4YaueY56Mw8aee9YN4R","bindings":["ws/1.0"],"issued_at":1760000000,"expires_at":1760000030}"#
            ]
        ) { bytes in
            // Signed here, so that what lies behind the signature is reached.
            guard let key = fuzzKey, let envelope = try? Envelope(signing: bytes, by: key) else { return }
            var verifier = EnvelopeVerifier()
            var replay = ReplayWindow()
            _ = verifier.verify(envelope.bytes, at: 1_760_000_010, replay: &replay, documents: { _ in .unresolvable })
        },
    ] + binaryFuzzEntries + broadcastFuzzEntries + mediaFuzzEntries + ratchetFuzzEntries + mlsFuzzEntries
    + peerToPeerFuzzEntries
    + messagingFuzzEntries + webPushFuzzEntries + extensionFuzzEntries + discoveryFuzzEntries + transportFuzzEntries
    + wireFuzzEntries

private let fuzzKey: SigningKey? = SigningKey()
