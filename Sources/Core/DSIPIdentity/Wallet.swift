import Crypto
import Encoding
import FoundationEssentials

/// What a person owns on this device: identities with their keys, and the keys their contacts were first seen with.
///
/// A value in memory; `WalletFile` keeps it on disk, `Backup` carries it elsewhere. It holds private keys: they are in
/// no description.
public struct Wallet: Sendable {
    public static let maximumIdentities = 256

    public private(set) var identities: [WalletIdentity] = []
    public var pins = PinStore()
    /// Requests shown by this device that no other device has answered yet; at most 8.
    public internal(set) var pendingPairings: [PendingPairing] = []

    public init() {}

    init(identities: [WalletIdentity], pins: PinStore, pendingPairings: [PendingPairing]) {
        self.identities = identities
        self.pins = pins
        self.pendingPairings = pendingPairings
    }

    public subscript(did: DID) -> WalletIdentity? { identities.first { $0.did == did } }

    /// Makes a did:key identity with a phrase of its own, and this device's first delegation.
    ///
    /// - Parameters:
    ///   - name: for the owner and, where asked for, for contacts; printable, at most 128 bytes.
    ///   - contact: makes the identity a throw-away for this one contact: it shares no key with any other identity.
    ///   - now: Unix seconds.
    /// - Throws: `.malformed` name, `.tooLarge` wallet.
    @discardableResult
    public mutating func createIdentity(
        name: String,
        device: DeviceDescription,
        relay: String? = nil,
        for contact: DID? = nil,
        at now: Int64
    ) throws(IdentityError) -> WalletIdentity {
        try restoreIdentity(
            from: RecoveryPhrase.generate(),
            name: name,
            device: device,
            relay: relay,
            for: contact,
            at: now
        )
    }

    /// Makes the identity of a phrase: the same did:key that the phrase gave before, with a new device key.
    @discardableResult
    public mutating func restoreIdentity(
        from phrase: RecoveryPhrase,
        name: String,
        device: DeviceDescription,
        relay: String? = nil,
        for contact: DID? = nil,
        at now: Int64
    ) throws(IdentityError) -> WalletIdentity {
        let did = SigningKey(selfIssued: try phrase.controllerKey()).did
        return try add(
            WalletIdentity(
                did: did,
                name: name,
                relay: relay,
                contact: contact,
                controller: .init(phrase: phrase),
                device: SigningKey(),
                deviceDescription: device,
                createdAt: now
            ),
            at: now
        )
    }

    /// Makes the identity of a phrase that is a method of a published document, such as `did:web:example.com#key-1`.
    @discardableResult
    public mutating func restoreIdentity(
        from phrase: RecoveryPhrase,
        publishedAs kid: DIDURL,
        name: String,
        device: DeviceDescription,
        relay: String? = nil,
        at now: Int64
    ) throws(IdentityError) -> WalletIdentity {
        guard kid.did.method != "key" else {
            throw IdentityError(.unsupported, "a did:key is made from its key, not chosen")
        }
        return try add(
            WalletIdentity(
                did: kid.did,
                name: name,
                relay: relay,
                contact: nil,
                controller: .init(phrase: phrase, kid: kid),
                device: SigningKey(),
                deviceDescription: device,
                createdAt: now
            ),
            at: now
        )
    }

    /// Makes an identity whose document is published elsewhere, such as a did:web; the key will be its method `#key-1`.
    @discardableResult
    public mutating func createIdentity(
        publishedAs did: DID,
        name: String,
        device: DeviceDescription,
        relay: String? = nil,
        at now: Int64
    ) throws(IdentityError) -> WalletIdentity {
        try restoreIdentity(
            from: RecoveryPhrase.generate(),
            publishedAs: DIDURL(did: did, fragment: "key-1"),
            name: name,
            device: device,
            relay: relay,
            at: now
        )
    }

    /// Changes an identity in place.
    ///
    /// - Throws: `.notFound`, or what `body` throws; then nothing is changed.
    public mutating func update<R>(
        _ did: DID,
        _ body: (inout WalletIdentity) throws(IdentityError) -> R
    ) throws(IdentityError) -> R {
        guard let i = identities.firstIndex(where: { $0.did == did }) else {
            throw IdentityError(.notFound, "the wallet holds no such identity")
        }
        var identity = identities[i]
        let result = try body(&identity)
        guard identity.did == did else { throw IdentityError(.refused, "an identity cannot become another") }
        identities[i] = identity
        return result
    }

    /// Forgets an identity and its keys. - Returns: false when there was none.
    @discardableResult
    public mutating func remove(_ did: DID) -> Bool {
        let before = identities.count
        identities.removeAll { $0.did == did }
        return identities.count < before
    }

    @discardableResult
    mutating func add(_ identity: WalletIdentity, at now: Int64) throws(IdentityError) -> WalletIdentity {
        var identity = identity
        guard DisplayText.isValid(identity.name) else {
            throw IdentityError(.malformed, "the name is empty or not printable")
        }
        guard identity.relay.map(RelayURL.isValid) ?? true else {
            throw IdentityError(.malformed, "the relay is not a wss URL")
        }
        guard self[identity.did] == nil else { throw IdentityError(.refused, "the wallet holds this identity already") }
        guard identities.count < Wallet.maximumIdentities else {
            throw IdentityError(.tooLarge, "the wallet holds too many identities")
        }
        if identity.controller != nil, identity.delegation == nil { try identity.renewDelegation(at: now) }
        identities.append(identity)
        return identity
    }
}

/// What this device calls itself to its owner's other devices.
public struct DeviceDescription: Hashable, Sendable {
    public var name: String
    public var kind: Delegation.DeviceClass

    public init(name: String, kind: Delegation.DeviceClass) {
        self.name = name
        self.kind = kind
    }
}
