/// A JSON Web Key (RFC 7517, RFC 7518 §6, RFC 8037): numbers of the right length, nothing said about whether they make a key.
public struct JWK: Hashable, Sendable {
    public enum Curve: String, Hashable, Sendable {
        case p256 = "P-256"
        case p384 = "P-384"
        case p521 = "P-521"
        case secp256k1
        case ed25519 = "Ed25519"
        case ed448 = "Ed448"
        case x25519 = "X25519"
        case x448 = "X448"

        /// Bytes of a coordinate, and of a private number.
        public var size: Int {
            switch self {
            case .p256, .secp256k1, .ed25519, .x25519: 32
            case .p384: 48
            case .p521: 66
            case .ed448: 57
            case .x448: 56
            }
        }

        /// Whether a public key has two coordinates.
        var isWeierstrass: Bool {
            switch self {
            case .p256, .p384, .p521, .secp256k1: true
            case .ed25519, .ed448, .x25519, .x448: false
            }
        }
    }

    public enum Material: Hashable, Sendable {
        /// `kty` EC: affine coordinates.
        case ellipticCurve(Curve, x: [UInt8], y: [UInt8], private: [UInt8]?)
        /// `kty` OKP.
        case octetKeyPair(Curve, x: [UInt8], private: [UInt8]?)
        /// `kty` RSA: big-endian, no leading zeros. Of a private key `d` alone is kept.
        case rsa(modulus: [UInt8], exponent: [UInt8], private: [UInt8]?)
        /// `kty` oct.
        case symmetric([UInt8])
    }

    public var material: Material
    public var keyIdentifier: String?
    public var use: String?
    public var algorithm: String?
    public var operations: [String]?

    public init(_ material: Material, keyIdentifier: String? = nil) {
        self.material = material
        self.keyIdentifier = keyIdentifier
    }

    /// - Throws: `.structure` for an unknown type or curve and for members missing or malformed, `.range` for a number of the wrong length.
    public init(_ json: JSONValue) throws(EncodingError) {
        guard let object = json.object, let type = object["kty"]?.string else {
            throw EncodingError(.structure, "a JWK has a kty")
        }
        let reader = Reader(object: object)
        switch type {
        case "EC":
            let curve = try reader.curve(weierstrass: true)
            self.material = .ellipticCurve(
                curve,
                x: try reader.number("x", curve.size),
                y: try reader.number("y", curve.size),
                private: try reader.optional("d", curve.size)
            )
        case "OKP":
            let curve = try reader.curve(weierstrass: false)
            self.material = .octetKeyPair(
                curve,
                x: try reader.number("x", curve.size),
                private: try reader.optional("d", curve.size)
            )
        case "RSA":
            self.material = .rsa(
                modulus: try reader.integer("n"),
                exponent: try reader.integer("e"),
                private: object["d"] == nil ? nil : try reader.integer("d")
            )
        case "oct": self.material = .symmetric(try reader.bytes("k"))
        default: throw EncodingError(.structure, "an unknown key type")
        }
        self.keyIdentifier = try reader.text("kid")
        self.use = try reader.text("use")
        self.algorithm = try reader.text("alg")
        if let value = object["key_ops"] {
            guard let list = value.array, list.allSatisfy({ $0.string != nil }) else {
                throw EncodingError(.structure, "a malformed key_ops")
            }
            self.operations = list.compactMap(\.string)
        }
    }

    public var isPrivate: Bool {
        switch material {
        case .ellipticCurve(_, _, _, let secret), .octetKeyPair(_, _, let secret), .rsa(_, _, let secret):
            secret != nil
        case .symmetric: true
        }
    }

    /// The public half; nil for a symmetric key.
    public var publicKey: JWK? {
        var copy = self
        switch material {
        case .ellipticCurve(let curve, let x, let y, _):
            copy.material = .ellipticCurve(curve, x: x, y: y, private: nil)
        case .octetKeyPair(let curve, let x, _): copy.material = .octetKeyPair(curve, x: x, private: nil)
        case .rsa(let modulus, let exponent, _):
            copy.material = .rsa(modulus: modulus, exponent: exponent, private: nil)
        case .symmetric: return nil
        }
        copy.operations = nil
        return copy
    }

    public var json: JSONValue {
        var object = required
        switch material {
        case .ellipticCurve(_, _, _, let secret?), .octetKeyPair(_, _, let secret?), .rsa(_, _, let secret?):
            object["d"] = .string(Base64URL.encode(secret))
        default: break
        }
        object["kid"] = keyIdentifier.map { .string($0) }
        object["use"] = use.map { .string($0) }
        object["alg"] = algorithm.map { .string($0) }
        object["key_ops"] = operations.map { .array($0.map { .string($0) }) }
        return .object(object)
    }

    /// What a thumbprint is the hash of (RFC 7638 §3): the required members alone, in order.
    public var thumbprintInput: [UInt8] { JSONValue.object(required).canonical }

    private var required: JSONObject {
        func text(_ bytes: [UInt8]) -> JSONValue { .string(Base64URL.encode(bytes)) }
        return switch material {
        case .ellipticCurve(let curve, let x, let y, _):
            ["kty": "EC", "crv": .string(curve.rawValue), "x": text(x), "y": text(y)]
        case .octetKeyPair(let curve, let x, _): ["kty": "OKP", "crv": .string(curve.rawValue), "x": text(x)]
        case .rsa(let modulus, let exponent, _): ["kty": "RSA", "n": text(modulus), "e": text(exponent)]
        case .symmetric(let key): ["kty": "oct", "k": text(key)]
        }
    }
}

private struct Reader {
    let object: JSONObject

    func curve(weierstrass: Bool) throws(EncodingError) -> JWK.Curve {
        guard let curve = object["crv"]?.string.flatMap(JWK.Curve.init(rawValue:)), curve.isWeierstrass == weierstrass
        else { throw EncodingError(.structure, "an unknown curve") }
        return curve
    }

    func bytes(_ name: String) throws(EncodingError) -> [UInt8] {
        guard let text = object[name]?.string, let bytes = Base64URL.decode(text), !bytes.isEmpty else {
            throw EncodingError(.structure, "\(name) is missing or not base64url")
        }
        return bytes
    }

    // RFC 7518 §6.2.1.2: the full size of the curve, leading zeros included.
    func number(_ name: String, _ size: Int) throws(EncodingError) -> [UInt8] {
        let bytes = try bytes(name)
        guard bytes.count == size else { throw EncodingError(.range, "\(name) is not \(size) bytes long") }
        return bytes
    }

    func optional(_ name: String, _ size: Int) throws(EncodingError) -> [UInt8]? {
        object[name] == nil ? nil : try number(name, size)
    }

    // RFC 7518 §2, Base64urlUInt: no leading zeros. Bounded: arithmetic on it grows faster than its length.
    func integer(_ name: String) throws(EncodingError) -> [UInt8] {
        let bytes = try bytes(name)
        guard bytes[0] != 0, bytes.count <= 2048 else { throw EncodingError(.range, "\(name) is no such integer") }
        return bytes
    }

    func text(_ name: String) throws(EncodingError) -> String? {
        guard let value = object[name] else { return nil }
        guard let text = value.string else { throw EncodingError(.structure, "\(name) is no text") }
        return text
    }
}
