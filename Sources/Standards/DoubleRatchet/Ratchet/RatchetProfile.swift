/// What both ends of a ratchet must have in common (Double Ratchet §5.2), and the limits of this end.
public struct RatchetProfile: Hashable, Sendable {
    /// How a header is laid out, in a message and in what is authenticated.
    public enum HeaderLayout: UInt8, Hashable, Sendable {
        /// Ratchet key (32), previous count (4), number (4).
        case compact = 1
        /// Ratchet key (32), number (8), previous count (8).
        case wide = 2

        var size: Int { self == .compact ? 40 : 48 }
    }

    /// What this end keeps and computes at most.
    public struct Limits: Hashable, Sendable {
        /// Keys derived for messages in between, for one received message (MAX_SKIP).
        public var skippedAtOnce = 1000
        /// Keys kept for messages still to come; the oldest give way.
        public var skipped = 2000
        /// Chains those keys may belong to; the oldest gives way.
        public var skippedChains = 8

        public init(skippedAtOnce: Int = 1000, skipped: Int = 2000, skippedChains: Int = 8) {
            self.skippedAtOnce = skippedAtOnce
            self.skipped = skipped
            self.skippedChains = skippedChains
        }
    }

    public var root: RootDerivation
    public var chain: ChainDerivation
    public var cipher: MessageCipher
    public var header: HeaderLayout
    /// Whether headers are encrypted (Double Ratchet §4).
    public var encryptsHeaders: Bool
    public var limits = Limits()

    public init(
        root: RootDerivation,
        chain: ChainDerivation = .hmac(message: 1, chain: 2),
        cipher: MessageCipher = .aes256GCMSIV,
        header: HeaderLayout = .compact,
        encryptsHeaders: Bool = false
    ) {
        self.root = root
        self.chain = chain
        self.cipher = cipher
        self.header = header
        self.encryptsHeaders = encryptsHeaders
    }

    /// The profile of an application: one SHA-512 a step, AES-256-GCM-SIV.
    ///
    /// - Parameter application: sets its keys apart from every other application's.
    public static func standard(_ application: String, encryptsHeaders: Bool = true) -> RatchetProfile {
        RatchetProfile(
            root: .oneStep(info: Array("\(application) ratchet".utf8)),
            chain: .oneStep(constant: 1),
            encryptsHeaders: encryptsHeaders
        )
    }

    /// KDF_RK and KDF_RK_HE: the next root key, a chain key and, with encrypted headers, the next header key.
    func rootStep(_ root: Secret, _ agreed: Secret) -> (root: Secret, chain: Secret, header: Secret?) {
        let keys = self.root.step(root, agreed, count: encryptsHeaders ? 3 : 2)
        return (keys[0], keys[1], encryptsHeaders ? keys[2] : nil)
    }
}
