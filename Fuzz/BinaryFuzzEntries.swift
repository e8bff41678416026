import Encoding

/// CBOR, COSE and JOSE: what the binary binding and others' tokens are made of.
let binaryFuzzEntries: [FuzzEntry] = [
    FuzzEntry(
        "cbor",
        seeds: [
            "a56161614161626142616361436164614461656145", "bf61610161629f0203ffff", "5f42010243030405ff",
            "c249010000000000000000",
            "83fb3ff199999999999af93c00fa7f7fffff", "d818456449455446", "7f657374726561646d696e67ff",
        ].map { Hex.decode($0) ?? [] }
    ) { bytes in
        _ = try? CBORDiagnostic.text(of: bytes)
        guard let value = try? CBORValue(decoding: bytes, as: .valid) else { return }
        let encoded = value.encoded
        // A bignum that is too long keeps its bytes, which deterministic reading refuses; all else is deterministic now.
        let limits = CBORReader.Limits(bytes: encoded.count)
        let again = try? CBORValue(decoding: encoded, as: .valid, limits: limits)
        precondition(again == value, "a CBOR value changed when written and read")
        if let json = try? JSONValue(value) {
            precondition(CBORValue(json) == value, "a CBOR value changed as JSON")
        }
        let deterministic = (try? CBORValue(decoding: bytes)) != nil
        // One value has one deterministic encoding.
        precondition(!deterministic || encoded == bytes, "two deterministic encodings of one value")
    },
    FuzzEntry("cose", seeds: coseSeeds) { bytes in
        guard let message = try? COSEMessage(decoding: bytes) else {
            _ = try? COSESign1(decoding: bytes)
            return
        }
        try? message.structure.headers.checkCritical()
        if case .sign1(let sign1) = message { _ = try? sign1.signingInput(external: [1]) }
        precondition(
            (try? COSEMessage(decoding: message.structure.encoded())) == message,
            "a COSE message changed when written and read"
        )
    },
    FuzzEntry(
        "jose",
        seeds: [
            "eyJhbGciOiJFZERTQSJ9.RXhhbXBsZQ.hgyY0il_MGCjP0JzlnLWG1PPOt7-09PGcvMg3AIbQR6dWbhijcNR4ki4iylGjg5BhVsPt9g7sVvpAr_MuM0KAg",
            "eyJhbGciOiJIUzI1NiIsImI2NCI6ZmFsc2UsImNyaXQiOlsiYjY0Il19..AQID",
            #"{"payload":"e30","signatures":[{"protected":"eyJhbGciOiJIUzI1NiJ9","header":{"kid":"k"},"signature":"AAAA"}]}"#,
            #"{"kty":"OKP","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo","key_ops":["verify"]}"#,
        ]
    ) { bytes in
        let text = String(decoding: bytes, as: UTF8.self)
        for detached in [nil, Array("payload".utf8)] {
            for jws in [try? JWS(compact: text, detached: detached), try? JWS(json: bytes, detached: detached)] {
                guard let jws else { continue }
                try? jws.signatures[0].header.checkCritical()
                _ = (jws.signingInput(), try? jws.compact())
                if let json = try? jws.json() {
                    precondition((try? JWS(json: json)) == jws, "a JWS changed when written and read")
                }
            }
        }
        guard let json = try? JSONValue(parsing: bytes), let key = try? JWK(json) else { return }
        _ = key.thumbprintInput
        precondition((try? JWK(key.json)) == key, "a JWK changed when written and read")
    },
    FuzzEntry("json-tolerant", seeds: [#"{"a":[1,-2.5e3,{"b":"\u00e9\ud83d\ude00"}],"a":null,"d":true}"#]) { bytes in
        guard let value = try? JSONValue(tolerating: bytes) else { return }
        precondition(
            (try? JSONValue(parsing: value.utf8))?.canonical == value.canonical,
            "a JSON value changed when written and read"
        )
    },
]

private let coseSeeds: [[UInt8]] = {
    let headers = COSEHeaders(protected: [1: -8, 2: ["x"], "x": 1], unprotected: [4: .bytes([1, 2, 3])])
    let recipient = COSERecipient(
        headers: COSEHeaders(unprotected: [1: -6]),
        recipients: [COSERecipient(headers: COSEHeaders(), ciphertext: nil)]
    )
    return [
        COSESign1(signing: [1, 2, 3], headers: headers) { _ in [4, 5] }.encoded(),
        COSEMac(authenticating: [1], headers: headers, recipients: [recipient]) { _ in [2] }.encoded(),
        COSEEncrypt(headers: headers, recipients: [recipient]) { _ in [3] }.encoded(),
        COSEEncrypt0(headers: headers) { _ in [3] }.encoded(),
        Hex.decode(
            "d8628440a054546869732069732074686520636f6e74656e742e818343a10126a1044231314141"
        ) ?? [],
    ]
}()
