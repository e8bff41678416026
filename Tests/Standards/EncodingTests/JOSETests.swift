import Encoding
import Testing

@Suite("JOSE") struct JOSETests {
    private let payload = Array("$.02".utf8)

    private func compact(_ header: String, _ payload: String = "e30", _ signature: String = "AAAA") -> String {
        Base64URL.encode(Array(header.utf8)) + "." + payload + "." + signature
    }

    @Test("an unencoded payload is signed as it is")
    func unencoded() throws {
        // RFC 7797 §4.2.
        var input: [UInt8] = []
        let header = JOSEHeader(protected: ["alg": "HS256", "b64": false, "crit": ["b64"]])
        let jws = JWS(signing: payload, header: header) {
            input = $0
            return [1, 2, 3]
        }
        let protected = "eyJhbGciOiJIUzI1NiIsImI2NCI6ZmFsc2UsImNyaXQiOlsiYjY0Il19"
        #expect(String(decoding: input, as: UTF8.self) == protected + ".$.02")
        #expect(try jws.compact(detached: true) == protected + "..AQID")
        #expect(try JWS(compact: jws.compact(detached: true), detached: payload) == jws)
        #expect(try jws.json()["payload"] == "$.02")
        #expect(try JWS(json: jws.json()) == jws)
        #expect(try JWS(json: jws.json(detached: true), detached: payload) == jws)
        // A point would end it (RFC 7797 §5.2).
        #expect(throws: EncodingError(.structure, "")) { try jws.compact() }
    }

    @Test("an encoded payload, in every serialization")
    func encoded() throws {
        let header = JOSEHeader(protected: ["alg": "EdDSA", "typ": "x"])
        var jws = JWS(signing: payload, header: header) { _ in [1] }
        #expect(jws.signingInput() == Array("eyJhbGciOiJFZERTQSIsInR5cCI6IngifQ.JC4wMg".utf8))
        #expect(try JWS(compact: jws.compact()) == jws)
        #expect(try JWS(json: jws.json().utf8) == jws)
        try jws.sign(header: JOSEHeader(protected: [:], unprotected: ["alg": "ES256", "kid": "k"])) { _ in [2] }
        let general = try jws.json()
        #expect(general["signatures"]?.array?.count == 2)
        #expect(try JWS(json: general) == jws)
        #expect(throws: EncodingError(.structure, "")) { try jws.compact() }
        #expect(throws: EncodingError(.structure, "")) {
            try jws.sign(header: JOSEHeader(protected: ["alg": "HS256", "b64": false, "crit": ["b64"]])) { _ in [] }
        }
    }

    @Test(
        "headers that break a rule are refused",
        arguments: [
            #"{}"#, #"{"alg":1}"#, #"{"alg":"HS256","alg":"none"}"#, #"{"alg":"HS256","b64":false}"#,
            #"{"alg":"HS256","b64":"no","crit":["b64"]}"#, #"{"alg":"HS256","crit":[]}"#,
            #"{"alg":"HS256","crit":["alg"]}"#, #"{"alg":"HS256","crit":["x"]}"#,
            #"{"alg":"HS256","x":1,"crit":["x","x"]}"#, #"{"alg":"HS256","crit":"x","x":1}"#, #"["alg"]"#,
            #"{"alg":"HS256","kid":7}"#, "",
        ]
    )
    func headers(header: String) throws {
        #expect(throws: (any Error).self) { try JWS(compact: compact(header)) }
    }

    @Test("a critical parameter must be understood")
    func critical() throws {
        let jws = try JWS(compact: compact(#"{"alg":"HS256","exp":1,"crit":["exp"]}"#))
        #expect(throws: EncodingError(.critical, "")) { try jws.signatures[0].header.checkCritical() }
        #expect(throws: Never.self) { try jws.signatures[0].header.checkCritical(understood: ["exp"]) }
    }

    @Test(
        "compact text that is not three parts of base64url is refused",
        arguments: ["", "a", "a.b", "..", "eyJhbGciOiJIUzI1NiJ9.e30.AAAA.AAAA", "eyJhbGciOiJIUzI1NiJ9.e30=.AAAA"]
    )
    func compactShape(text: String) {
        #expect(throws: (any Error).self) { try JWS(compact: text) }
    }

    @Test("forms are not mixed, signatures are few, parameters stand in one part")
    func jsonShape() throws {
        let one: JSONValue = ["protected": "eyJhbGciOiJIUzI1NiJ9", "signature": "AAAA"]
        #expect(throws: Never.self) { try JWS(json: ["payload": "e30", "signatures": [one]]) }
        #expect(throws: EncodingError(.structure, "")) {
            try JWS(json: ["payload": "e30", "signatures": [one], "signature": "AAAA"])
        }
        #expect(throws: EncodingError(.limit, "")) {
            try JWS(json: ["payload": "e30", "signatures": .array(Array(repeating: one, count: 17))])
        }
        #expect(throws: EncodingError(.duplicateKey, "")) {
            try JWS(
                json: [
                    "payload": "e30", "protected": "eyJhbGciOiJIUzI1NiJ9", "signature": "AAAA",
                    "header": ["alg": "none"],
                ]
            )
        }
        #expect(throws: EncodingError(.structure, "")) {
            try JWS(json: ["protected": "eyJhbGciOiJIUzI1NiJ9", "signature": "AAAA"])
        }
        #expect(throws: EncodingError(.structure, "")) {
            try JWS(json: ["payload": "e30", "protected": "eyJhbGciOiJIUzI1NiJ9", "signature": "AAAA"], detached: [])
        }
    }

    @Test("keys keep their numbers, and a thumbprint covers the required members in order")
    func keys() throws {
        // RFC 8037 Appendix A.3.
        let json: JSONValue = [
            "kty": "OKP", "crv": "Ed25519", "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo",
            "d": "nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A", "kid": "k",
        ]
        let key = try JWK(json)
        #expect(key.json == json && key.isPrivate)
        #expect(key.publicKey?.json["d"] == nil && key.publicKey?.isPrivate == false)
        #expect(
            String(decoding: key.thumbprintInput, as: UTF8.self)
                == #"{"crv":"Ed25519","kty":"OKP","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}"#
        )
    }

    @Test(
        "malformed keys are refused",
        arguments: [
            #"{}"#, #"[]"#, #"{"kty":"EC"}"#, #"{"kty":"OKP","crv":"P-256","x":"AA"}"#,
            #"{"kty":"OKP","crv":"Ed25519","x":"AA"}"#, #"{"kty":"OKP","crv":"Ed25519","x":"=="}"#,
            #"{"kty":"oct"}"#, #"{"kty":"oct","k":""}"#, #"{"kty":"RSA","n":"AAEC","e":"AQAB"}"#, #"{"kty":"x"}"#,
            #"{"kty":"oct","k":"AAAA","kid":1}"#, #"{"kty":"oct","k":"AAAA","key_ops":[1]}"#,
        ]
    )
    func malformedKeys(text: String) throws {
        let json = try JSONValue(parsing: text)
        #expect(throws: (any Error).self) { try JWK(json) }
    }
}
