import Crypto
import Encoding

/// A DSIP-JOSE envelope: protected header, payload and signature, each base64url, as received (DSIP §10.2).
///
/// An `Envelope` has the right shape and nothing more: no part is decoded, nothing is verified. The signature covers the ASCII bytes
/// `protected.payload` exactly as they arrived, so an envelope is stored and forwarded as `bytes`, never written anew.
///
/// A message in another form is held whole: its parts are empty and are for whoever reads that form.
public struct Envelope: Sendable, Hashable {
    /// The frame, unchanged.
    public let bytes: [UInt8]
    public let form: WireForm
    /// Where the text of each part stands in `bytes`.
    public let protectedRange: Range<Int>
    public let payloadRange: Range<Int>
    public let signatureRange: Range<Int>

    /// - Returns: nil unless `bytes` is a JSON object of exactly `protected`, `payload` and `signature`, all base64url strings.
    public init?(_ bytes: [UInt8]) {
        if let parts = Envelope.compactParts(bytes) {
            self.init(bytes: bytes, parts)
            return
        }
        guard let document = try? JSONDocument(scanning: bytes, limits: .init(bytes: 1 << 17, depth: 1, members: 3))
        else {
            return nil
        }
        self.init(document.root, bytes: bytes)
    }

    /// A signed message in another form, as received.
    ///
    /// - Precondition: `form` is not `jose`.
    public init(_ bytes: [UInt8], form: WireForm) {
        precondition(form != .jose, "DSIP-JOSE has parts")
        self.bytes = bytes
        self.form = form
        self.protectedRange = 0..<0
        self.payloadRange = 0..<0
        // What tells one from another, and no part to decode.
        self.signatureRange = bytes.indices
    }

    /// An envelope inside a larger document, such as a delegation in a protected header. Its `bytes` are written compactly.
    public init?(_ view: JSONView) {
        guard view.isObject, view.count == 3, let protected = view["protected"]?.string,
            let payload = view["payload"]?.string, let signature = view["signature"]?.string
        else { return nil }
        self.init(protected: protected, payload: payload, signature: signature)
    }

    private init?(_ root: JSONView, bytes: [UInt8]) {
        guard root.isObject, root.count == 3, let protected = root["protected"], let payload = root["payload"],
            let signature = root["signature"]
        else { return nil }
        for part in [protected, payload, signature] {
            guard part.withPlainString(Envelope.isBase64URL) == true else { return nil }
        }
        self.init(bytes: bytes, (protected.range, payload.range, signature.range))
    }

    private init(bytes: [UInt8], _ parts: (protected: Range<Int>, payload: Range<Int>, signature: Range<Int>)) {
        self.bytes = bytes
        self.form = .jose
        self.protectedRange = parts.protected
        self.payloadRange = parts.payload
        self.signatureRange = parts.signature
    }

    /// - Returns: nil unless all three parts are base64url.
    public init?(protected: String, payload: String, signature: String) {
        self.init(
            Array("{\"protected\":\"\(protected)\",\"payload\":\"\(payload)\",\"signature\":\"\(signature)\"}".utf8)
        )
    }

    /// Signs `payload` under `header`, which gains `alg`, `kid` and `typ`.
    public init(signing payload: [UInt8], by key: SigningKey, delegations: [Envelope] = []) throws(IdentityError) {
        var header: JSONObject = [
            "alg": .string(SignatureAlgorithm.edDSA.rawValue), "kid": .string(key.kid.description), "typ": "dsip+json",
        ]
        if !delegations.isEmpty { header["delegations"] = .array(delegations.map(\.json)) }
        let protected = Base64URL.encodeBytes(JSONValue.object(header).utf8)
        let body = Base64URL.encodeBytes(payload)
        let signature = Base64URL.encodeBytes(try key.sign(protected + [UInt8(ascii: ".")] + body))
        var bytes: [UInt8] = []
        bytes.reserveCapacity(protected.count + body.count + signature.count + 48)
        func append(_ name: String, _ part: [UInt8]) -> Range<Int> {
            bytes.append(contentsOf: name.utf8)
            let start = bytes.count
            bytes.append(contentsOf: part)
            return start..<bytes.count
        }
        self.protectedRange = append("{\"protected\":\"", protected)
        self.payloadRange = append("\",\"payload\":\"", body)
        self.signatureRange = append("\",\"signature\":\"", signature)
        bytes.append(contentsOf: "\"}".utf8)
        self.bytes = bytes
        self.form = .jose
    }

    public var protectedText: String { String(decoding: bytes[protectedRange], as: UTF8.self) }
    public var payloadText: String { String(decoding: bytes[payloadRange], as: UTF8.self) }
    public var signatureText: String { String(decoding: bytes[signatureRange], as: UTF8.self) }

    public func decodedProtected() -> [UInt8] { decode(protectedRange) }
    public func decodedPayload() -> [UInt8] { decode(payloadRange) }
    public func decodedSignature() -> [UInt8] { form == .jose ? decode(signatureRange) : [] }

    /// The bytes the signature covers: `protected.payload`.
    public var signingInput: [UInt8] {
        var input: [UInt8] = []
        input.reserveCapacity(protectedRange.count + 1 + payloadRange.count)
        input.append(contentsOf: bytes[protectedRange])
        input.append(UInt8(ascii: "."))
        input.append(contentsOf: bytes[payloadRange])
        return input
    }

    /// - Precondition: the form is `jose`; the others have no such object.
    public var json: JSONValue {
        ["protected": .string(protectedText), "payload": .string(payloadText), "signature": .string(signatureText)]
    }

    public static func == (a: Envelope, b: Envelope) -> Bool {
        a.form == b.form && a.bytes[a.protectedRange] == b.bytes[b.protectedRange]
            && a.bytes[a.payloadRange] == b.bytes[b.payloadRange]
            && a.bytes[a.signatureRange] == b.bytes[b.signatureRange]
    }

    public func hash(into hasher: inout Hasher) { hasher.combine(bytes[signatureRange]) }

    private func decode(_ range: Range<Int>) -> [UInt8] {
        // The initialisers admit base64url only.
        bytes.withUnsafeBytes { Base64URL.decode(UnsafeRawBufferPointer(rebasing: $0[range])) } ?? []
    }

    /// The parts of the spelling that everybody sends: the three members in their order, without spaces. Nil for any other, which may
    /// still be an envelope.
    private static func compactParts(
        _ bytes: [UInt8]
    ) -> (protected: Range<Int>, payload: Range<Int>, signature: Range<Int>)? {
        bytes.withUnsafeBytes { text in
            var at = 0
            func skip(_ word: StaticString) -> Bool {
                let count = word.utf8CodeUnitCount
                guard at + count <= text.count else { return false }
                for i in 0..<count where text[at + i] != word.utf8Start[i] { return false }
                at += count
                return true
            }
            func part() -> Range<Int>? {
                let start = at
                at = Base64URL.span(of: text, from: start)
                guard at > start, Base64URL.endsWell(text, start..<at) else { return nil }
                return start..<at
            }
            guard skip("{\"protected\":\""), let protected = part(), skip("\",\"payload\":\""), let payload = part(),
                skip("\",\"signature\":\""), let signature = part(), skip("\"}"), at == text.count
            else { return nil }
            return (protected, payload, signature)
        }
    }

    /// What `decode` reads without fail, and not empty.
    private static func isBase64URL(_ text: UnsafeRawBufferPointer) -> Bool { !text.isEmpty && Base64URL.isValid(text) }
}
