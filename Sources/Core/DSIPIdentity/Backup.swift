/// A wallet made portable: one line of text, encrypted under a passphrase of its own.
///
/// A backup holds the identities, their controller keys where the wallet has them, known devices, revocations and pins.
/// It holds no device key: a device that is restored gets a new one, with a delegation from the controller key, or by
/// pairing when there is none.
public enum Backup {
    /// - Throws: `.wrongPassphrase` when the passphrase is empty.
    public static func export(_ wallet: Wallet, passphrase: String) throws(IdentityError) -> [UInt8] {
        try export(wallet, passphrase: passphrase, cost: .standard)
    }

    static func export(_ wallet: Wallet, passphrase: String, cost: ScryptCost) throws(IdentityError) -> [UInt8] {
        var plaintext = wallet.plaintext(.backup)
        defer { plaintext.zeroize() }
        let key = try SealedContainer.newKey(for: .passphrase(passphrase), format: .backup, cost: cost)
        return try SealedContainer.seal(plaintext, with: key)
    }

    /// - Parameters:
    ///   - bytes: as exported; space around the text is ignored.
    ///   - device: what this device is called from now on.
    /// - Throws: `.damaged`, `.wrongPassphrase`, `.unsupported` for a newer version, `.malformed` for another kind of
    ///   file.
    public static func restore(
        _ bytes: [UInt8],
        passphrase: String,
        device: DeviceDescription,
        at now: Int64
    ) throws(IdentityError) -> Wallet {
        let isSpace = { (byte: UInt8) in byte == 0x20 || (0x09...0x0d).contains(byte) }
        let text = Array(bytes.drop(while: isSpace).reversed().drop(while: isSpace).reversed())
        var (plaintext, _) = try SealedContainer(text, format: .backup).open(with: .passphrase(passphrase))
        defer { plaintext.zeroize() }
        let stored = try Wallet(plaintext: plaintext)
        var wallet = Wallet()
        wallet.pins = stored.pins
        for var identity in stored.identities {
            identity.deviceDescription = device
            try wallet.add(identity, at: now)
        }
        return wallet
    }
}
