import Crypto
import CryptoExtras
import Encoding
import FoundationEssentials

/// What a wallet or a backup is locked with.
public enum WalletSecret: Sendable {
    /// UTF-8 text of any length but none.
    case passphrase(String)
    /// 32 random bytes kept in a file of their own; see `KeyFile`.
    case key([UInt8])
}

/// The encrypted form of a wallet or a backup.
///
///     {
///       "checksum": base64url(SHA-256 of the canonical object without this member),
///       "contents": base64url(nonce 12 ‖ AES-256-GCM ciphertext ‖ tag 16),
///       "format":   "dsip-wallet" | "dsip-backup",
///       "key":      base64url(nonce 12 ‖ AES-256-GCM of the 32-byte data key ‖ tag 16),
///       "lock":     {"kind": "scrypt", "log_n": 15, "p": 1, "r": 8, "salt": base64url(16)}
///                 | {"kind": "key-file", "salt": base64url(16)},
///       "version":  1
///     }
///
/// The text is canonical JSON (RFC 8785) to the byte, so that every changed byte is noticed by the checksum, before any
/// passphrase is tried: a damaged file and a wrong passphrase are told apart. The checksum protects against accidents,
/// the two GCM tags against people. The data key is drawn once; a new passphrase wraps it anew. `format`, `version` and
/// `lock` are associated data of the wrapped key.
struct SealedContainer {
    enum Format: String {
        case wallet = "dsip-wallet"
        case backup = "dsip-backup"

        var noun: String { self == .wallet ? "wallet" : "backup" }
    }

    static let version: Int64 = 1
    static let maximumBytes = 32 << 20

    let format: Format
    let lock: Lock
    let wrappedKey: [UInt8]
    let contents: [UInt8]

    /// The data key and what it is wrapped in, kept while a wallet is open, so that saving does not ask for the
    /// passphrase again.
    struct OpenKey: Sendable {
        fileprivate let dataKey: SymmetricKey
        fileprivate let lock: Lock
        fileprivate let wrapped: [UInt8]
        fileprivate let format: Format
    }

    // MARK: Writing

    /// Draws a data key and wraps it.
    static func newKey(
        for secret: WalletSecret,
        format: Format,
        cost: ScryptCost = .standard,
        dataKey: SymmetricKey = SymmetricKey(size: .bits256)
    ) throws(IdentityError) -> OpenKey {
        let salt = (0..<16).map { _ in UInt8.random(in: 0...255) }
        let lock: Lock =
            switch secret {
            case .passphrase: .scrypt(cost, salt: salt)
            case .key: .keyFile(salt: salt)
            }
        let wrapping = try lock.wrappingKey(secret, noun: format.noun)
        var raw = dataKey.withUnsafeBytes { Array($0) }
        defer { raw.zeroize() }
        let wrapped = try seal(raw, under: wrapping, authenticating: lock.associatedData(format))
        return OpenKey(dataKey: dataKey, lock: lock, wrapped: wrapped, format: format)
    }

    /// The same data key under a new secret.
    static func rewrapped(
        _ key: OpenKey,
        for secret: WalletSecret,
        cost: ScryptCost = .standard
    ) throws(IdentityError) -> OpenKey {
        try newKey(for: secret, format: key.format, cost: cost, dataKey: key.dataKey)
    }

    /// - Parameter plaintext: zeroised by the caller.
    static func seal(_ plaintext: [UInt8], with key: OpenKey) throws(IdentityError) -> [UInt8] {
        let contents = try seal(
            plaintext,
            under: key.dataKey,
            authenticating: Array("\(key.format.rawValue) contents 1".utf8)
        )
        var object: JSONObject = [
            "format": .string(key.format.rawValue), "version": .int(version), "lock": key.lock.json,
            "key": .string(Base64URL.encode(key.wrapped)), "contents": .string(Base64URL.encode(contents)),
        ]
        object["checksum"] = .string(checksum(of: object))
        return JSONValue.object(object).canonical
    }

    // MARK: Reading

    /// - Throws: `.unsupported` for a newer version, `.damaged` for everything else that is not as it was written.
    init(_ bytes: [UInt8], format: Format) throws(IdentityError) {
        let damaged = IdentityError(.damaged, "the \(format.noun) is damaged; nothing was changed")
        guard bytes.count <= SealedContainer.maximumBytes,
            let json = try? JSONValue(
                parsing: bytes,
                limits: .init(bytes: SealedContainer.maximumBytes, depth: 3, members: 16)
            ),
            var object = json.object
        else { throw damaged }
        if let name = object["format"]?.string, name == format.rawValue, let version = object["version"]?.int,
            version > SealedContainer.version
        {
            throw IdentityError(.unsupported, "the \(format.noun) was written by a newer version of the program")
        }
        let checksum = object["checksum"]?.string
        object["checksum"] = nil
        guard json.canonical == bytes, checksum == SealedContainer.checksum(of: object) else { throw damaged }
        guard object["format"]?.string == format.rawValue else {
            throw IdentityError(.malformed, "this is not a \(format.noun)")
        }
        guard object["version"]?.int == SealedContainer.version, let lock = object["lock"].flatMap(Lock.init),
            let key = object["key"]?.string.flatMap({ Base64URL.decode($0) }),
            let contents = object["contents"]?.string.flatMap({ Base64URL.decode($0) })
        else { throw damaged }
        self.format = format
        self.lock = lock
        self.wrappedKey = key
        self.contents = contents
    }

    /// - Returns: the plaintext, which the caller zeroises, and the key to save with.
    /// - Throws: `.wrongPassphrase`, `.refused` when the file is locked another way, `.damaged`.
    func open(with secret: WalletSecret) throws(IdentityError) -> (plaintext: [UInt8], key: OpenKey) {
        let wrapping = try lock.wrappingKey(secret, noun: format.noun)
        guard var raw = SealedContainer.open(wrappedKey, under: wrapping, authenticating: lock.associatedData(format))
        else {
            throw IdentityError(
                .wrongPassphrase,
                lock.isKeyFile
                    ? "the key file does not belong to this \(format.noun)"
                    : "the passphrase of the \(format.noun) is wrong"
            )
        }
        defer { raw.zeroize() }
        let dataKey = SymmetricKey(data: raw)
        guard
            let plaintext = SealedContainer.open(
                contents,
                under: dataKey,
                authenticating: Array("\(format.rawValue) contents 1".utf8)
            )
        else { throw IdentityError(.damaged, "the \(format.noun) is damaged; nothing was changed") }
        return (plaintext, OpenKey(dataKey: dataKey, lock: lock, wrapped: wrappedKey, format: format))
    }

    // MARK: Parts

    private static func checksum(of object: JSONObject) -> String {
        Base64URL.encode(Array(SHA256.hash(data: JSONValue.object(object).canonical)))
    }

    private static func seal(
        _ plaintext: [UInt8],
        under key: SymmetricKey,
        authenticating data: [UInt8]
    ) throws(IdentityError) -> [UInt8] {
        guard let box = try? AES.GCM.seal(plaintext, using: key, authenticating: data), let combined = box.combined
        else {
            throw IdentityError(.storage, "the contents could not be encrypted")
        }
        return Array(combined)
    }

    private static func open(_ sealed: [UInt8], under key: SymmetricKey, authenticating data: [UInt8]) -> [UInt8]? {
        guard let box = try? AES.GCM.SealedBox(combined: sealed),
            var plain = try? AES.GCM.open(box, using: key, authenticating: data)
        else { return nil }
        defer { plain.resetBytes(in: 0..<plain.count) }
        return Array(plain)
    }
}

/// The work that one try of a passphrase costs (RFC 7914 §2).
struct ScryptCost: Hashable, Sendable {
    /// Log₂ of N.
    var logN: Int
    var r: Int
    var p: Int

    /// 32 MiB, about a tenth of a second.
    static let standard = ScryptCost(logN: 15, r: 8, p: 1)

    /// Bounds on what a file may ask for: at most 512 MiB, and no N so small that the passphrase is as good as bare.
    var isAcceptable: Bool {
        (10...20).contains(logN) && (1...16).contains(r) && (1...4).contains(p) && (128 * r) << logN <= 512 << 20
    }
}

/// How the data key is wrapped.
enum Lock: Hashable, Sendable {
    case scrypt(ScryptCost, salt: [UInt8])
    case keyFile(salt: [UInt8])

    init?(_ json: JSONValue) {
        guard let salt = json["salt"]?.string.flatMap({ Base64URL.decode($0) }), (16...64).contains(salt.count) else {
            return nil
        }
        switch json["kind"]?.string {
        case "scrypt":
            guard json.object?.count == 5, let logN = json["log_n"]?.int, let r = json["r"]?.int,
                let p = json["p"]?.int,
                (0...64).contains(logN), (0...64).contains(r), (0...64).contains(p)
            else { return nil }
            let cost = ScryptCost(logN: Int(logN), r: Int(r), p: Int(p))
            guard cost.isAcceptable else { return nil }
            self = .scrypt(cost, salt: salt)
        case "key-file":
            guard json.object?.count == 2 else { return nil }
            self = .keyFile(salt: salt)
        default: return nil
        }
    }

    var json: JSONValue {
        switch self {
        case .scrypt(let cost, let salt):
            [
                "kind": "scrypt", "log_n": .int(Int64(cost.logN)), "r": .int(Int64(cost.r)), "p": .int(Int64(cost.p)),
                "salt": .string(Base64URL.encode(salt)),
            ]
        case .keyFile(let salt): ["kind": "key-file", "salt": .string(Base64URL.encode(salt))]
        }
    }

    var isKeyFile: Bool { if case .keyFile = self { true } else { false } }

    func associatedData(_ format: SealedContainer.Format) -> [UInt8] {
        JSONValue.object(["format": .string(format.rawValue), "lock": json, "version": .int(SealedContainer.version)])
            .canonical
    }

    func wrappingKey(_ secret: WalletSecret, noun: String) throws(IdentityError) -> SymmetricKey {
        switch (self, secret) {
        case (.scrypt(let cost, let salt), .passphrase(let text)):
            guard !text.isEmpty else { throw IdentityError(.wrongPassphrase, "the passphrase is empty") }
            var passphrase = Array(text.utf8)
            defer { passphrase.zeroize() }
            guard
                let key = try? KDF.Scrypt.deriveKey(
                    from: passphrase,
                    salt: salt,
                    outputByteCount: 32,
                    rounds: 1 << cost.logN,
                    blockSize: cost.r,
                    parallelism: cost.p,
                    maxMemory: 1 << 30
                )
            else { throw IdentityError(.storage, "there is not enough memory to check the passphrase") }
            return key
        case (.keyFile(let salt), .key(let bytes)):
            guard bytes.count == 32 else { throw IdentityError(.malformed, "the key file does not hold a key") }
            return HKDF<SHA256>.deriveKey(
                inputKeyMaterial: SymmetricKey(data: bytes),
                salt: salt,
                info: Array("dsip key file 1".utf8),
                outputByteCount: 32
            )
        case (.scrypt, .key): throw IdentityError(.refused, "the \(noun) is locked by a passphrase, not by a key file")
        case (.keyFile, .passphrase):
            throw IdentityError(.refused, "the \(noun) is locked by a key file, not by a passphrase")
        }
    }
}
