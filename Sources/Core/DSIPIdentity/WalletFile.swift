import Encoding

/// A wallet on disk: opened with a secret, saved whole or not at all.
///
/// What a save left behind that was killed in the middle is removed when the file is next opened. The file belongs to one program at a
/// time. Two that have it open do not overwrite each other: a save finds that the
/// file is no longer the one that was read, changes nothing and says so; open it again then.
public struct WalletFile: Sendable {
    public let path: String
    private var key: SealedContainer.OpenKey
    /// The text last read or written.
    private var current: [UInt8]

    /// Makes the file, mode 0600.
    ///
    /// - Throws: `.refused` when there is a file of that name, `.storage`, `.wrongPassphrase` for an empty passphrase.
    public static func create(at path: String, _ wallet: Wallet, secret: WalletSecret) throws(IdentityError)
        -> WalletFile
    {
        try create(at: path, wallet, secret: secret, cost: .standard)
    }

    static func create(
        at path: String,
        _ wallet: Wallet,
        secret: WalletSecret,
        cost: ScryptCost
    ) throws(IdentityError) -> WalletFile {
        let key = try SealedContainer.newKey(for: secret, format: .wallet, cost: cost)
        let sealed = try WalletFile.sealed(wallet, key)
        try AtomicFile.write(sealed, to: path, exclusive: true)
        return WalletFile(path: path, key: key, current: sealed)
    }

    /// - Throws: `.notFound`, `.damaged`, `.wrongPassphrase`, `.unsupported` for a newer version, `.refused` when the
    ///   secret is of the wrong kind, `.storage`. The file is never changed.
    public static func open(_ path: String, secret: WalletSecret) throws(IdentityError) -> (
        file: WalletFile, wallet: Wallet
    ) {
        AtomicFile.sweep(path)
        let bytes = try AtomicFile.read(path, limit: SealedContainer.maximumBytes)
        var (plaintext, key) = try SealedContainer(bytes, format: .wallet).open(with: secret)
        defer { plaintext.zeroize() }
        return (WalletFile(path: path, key: key, current: bytes), try Wallet(plaintext: plaintext))
    }

    /// Whether the file asks for a passphrase, for a key file, or is not there (nil).
    ///
    /// - Throws: `.damaged`, `.unsupported`, `.storage`.
    public static func wantsPassphrase(_ path: String) throws(IdentityError) -> Bool? {
        do {
            return try !SealedContainer(AtomicFile.read(path, limit: SealedContainer.maximumBytes), format: .wallet)
                .lock.isKeyFile
        } catch {
            if error.code == .notFound { return nil }
            throw error
        }
    }

    /// - Throws: `.refused` when another program has changed the file since, `.storage`; the file is as it was then.
    public mutating func save(_ wallet: Wallet) throws(IdentityError) {
        try replace(with: WalletFile.sealed(wallet, key), key)
    }

    /// Locks the file with another secret from now on.
    public mutating func change(secret: WalletSecret, _ wallet: Wallet) throws(IdentityError) {
        let key = try SealedContainer.rewrapped(key, for: secret)
        try replace(with: WalletFile.sealed(wallet, key), key)
    }

    private mutating func replace(with sealed: [UInt8], _ key: SealedContainer.OpenKey) throws(IdentityError) {
        let (path, current) = (path, current)
        try AtomicFile.locked(path) { () throws(IdentityError) in
            guard try AtomicFile.read(path, limit: SealedContainer.maximumBytes) == current else {
                throw IdentityError(.refused, "another program has changed the wallet; nothing was overwritten")
            }
            try AtomicFile.write(sealed, to: path)
        }
        self.current = sealed
        self.key = key
    }

    private static func sealed(_ wallet: Wallet, _ key: SealedContainer.OpenKey) throws(IdentityError) -> [UInt8] {
        var plaintext = wallet.plaintext(.everything)
        defer { plaintext.zeroize() }
        return try SealedContainer.seal(plaintext, with: key)
    }
}

/// A file of 32 random bytes, in base64url, that opens a wallet without a passphrase: for services and demonstrations.
public enum KeyFile {
    /// Makes the file, mode 0600. - Throws: `.refused` when there is one, `.storage`.
    public static func create(at path: String) throws(IdentityError) -> WalletSecret {
        let key = (0..<32).map { _ in UInt8.random(in: 0...255) }
        var text = Base64URL.encodeBytes(key)
        defer { text.zeroize() }
        try AtomicFile.write(text, to: path, exclusive: true)
        return .key(key)
    }

    /// - Throws: `.refused` for a file that others can read or that belongs to another user, `.notFound`, `.malformed`.
    public static func read(_ path: String) throws(IdentityError) -> WalletSecret {
        AtomicFile.sweep(path)
        var text = try AtomicFile.read(path, limit: 256, privateTo: true)
        defer { text.zeroize() }
        if text.last == 0x0a { text.removeLast() }
        guard let key = text.withUnsafeBytes({ Base64URL.decode($0) }), key.count == 32 else {
            throw IdentityError(.malformed, "the key file does not hold a key")
        }
        return .key(key)
    }
}
