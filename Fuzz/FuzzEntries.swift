import DSIPIdentity
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
    ] + mediaFuzzEntries
