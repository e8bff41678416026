import DSIPIdentity
import Encoding
import Ethereum

/// What the registry's events say of an account, in their order (ERC-1056).
///
/// Keys that DSIP signs or agrees with are taken: Ed25519 and X25519 attributes. The account's own key and its delegates are of secp256k1,
/// which DSIP §10.2 does not sign with; they count, so that the others keep their numbers.
public struct EthrHistory: Hashable, Sendable {
    public enum Change: Hashable, Sendable {
        case owner(EthereumAddress)
        /// Of a key of secp256k1.
        case delegate(kind: String, EthereumAddress, until: Int64)
        case attribute(name: String, value: [UInt8], until: Int64)
    }

    public static let ownerTopic = ABICall.topic("DIDOwnerChanged(address,address,uint256)")
    public static let delegateTopic = ABICall.topic("DIDDelegateChanged(address,bytes32,address,uint256,uint256)")
    public static let attributeTopic = ABICall.topic("DIDAttributeChanged(address,bytes32,bytes,uint256,uint256)")

    /// Changes read; an account with more is not resolved.
    public static let maximumChanges = 512
    /// Bytes of an attribute; longer ones are passed over.
    private static let maximumValue = 4096

    public private(set) var changes: [Change] = []

    public init() {}

    public mutating func append(_ change: Change) { changes.append(change) }

    /// One event.
    ///
    /// - Returns: the change, and the block of the one before it; nil for another event, or what is none.
    public static func read(topic: [UInt8], data: [UInt8]) -> (change: Change, previous: Int64)? {
        let words = ABIReader(data)
        switch topic {
        case ownerTopic:
            guard let owner = words.address(0), let previous = words.number(1) else { return nil }
            return (.owner(owner), previous)
        case delegateTopic:
            guard let delegate = words.address(1), let until = words.saturated(2), let previous = words.number(3) else {
                return nil
            }
            return (.delegate(kind: words.shortText(0) ?? "", delegate, until: until), previous)
        case attributeTopic:
            guard let until = words.saturated(2), let previous = words.number(3) else { return nil }
            let value = words.dynamic(1).flatMap { $0.count <= maximumValue ? $0 : nil } ?? []
            return (.attribute(name: words.shortText(0) ?? "", value: value, until: until), previous)
        default: return nil
        }
    }

    /// The document at a moment.
    ///
    /// - Parameter now: Unix seconds.
    /// - Throws: `.notFound` for an account whose owner gave it up.
    public func document(of did: DID, at now: Int64) throws(IdentityError) -> DIDDocument {
        var builder = Builder(did: did, now: now)
        for change in changes { builder.apply(change) }
        guard !builder.isGivenUp else { throw IdentityError(.notFound, "the identity was deactivated by its owner") }
        return try DIDDocument(json: builder.json, expecting: did)
    }

    /// Entries by what they say, for a later event with the same name and value renews or revokes the earlier one.
    private struct Builder {
        let did: DID
        let now: Int64
        private(set) var isGivenUp = false
        private var keys: [(name: String, value: [UInt8], method: JSONValue, relationship: String)] = []
        private var services: [(name: String, value: [UInt8], service: JSONValue)] = []
        private var (keyCount, serviceCount) = (0, 0)

        init(did: DID, now: Int64) { (self.did, self.now) = (did, now) }

        mutating func apply(_ change: Change) {
            switch change {
            case .owner(let owner): isGivenUp = owner.isZero
            case .delegate: keyCount += 1
            case .attribute(let name, let value, let until):
                let parts = name.split(separator: "/", omittingEmptySubsequences: false)
                if parts.count >= 4, parts[0] == "did", parts[1] == "pub" {
                    keyCount += 1
                    keys.removeAll { $0.name == name && $0.value == value }
                    guard until >= now, let key = key(parts[2], purpose: parts[3], value) else { return }
                    keys.append((name, value, key.method, key.relationship))
                } else if parts.count == 3, parts[0] == "did", parts[1] == "svc" {
                    serviceCount += 1
                    services.removeAll { $0.name == name && $0.value == value }
                    guard until >= now, let text = String(validating: value, as: UTF8.self) else { return }
                    let endpoint = text.first == "{" || text.first == "[" ? IJSON.read(value, limits: .init()) : nil
                    let service: JSONValue = [
                        "id": .string("\(did)#service-\(serviceCount)"), "type": .string(String(parts[2])),
                        "serviceEndpoint": endpoint ?? .string(text),
                    ]
                    services.append((name, value, service))
                }
            }
        }

        /// Keys for verification and for authentication may sign; those that encrypt may not.
        private func key(
            _ algorithm: Substring,
            purpose: Substring,
            _ value: [UInt8]
        ) -> (method: JSONValue, relationship: String)? {
            let codec: Multicodec
            switch (algorithm, purpose) {
            case ("Ed25519", "veriKey"), ("Ed25519", "sigAuth"): codec = .ed25519Public
            case ("X25519", "enc"): codec = .x25519Public
            default: return nil
            }
            guard value.count == 32 else { return nil }
            let method: JSONValue = [
                "id": .string("\(did)#delegate-\(keyCount)"), "type": "Multikey", "controller": .string(did.string),
                "publicKeyMultibase": .string(Multibase.encode(codec.prefixed(value))),
            ]
            let relationship =
                purpose == "enc" ? "keyAgreement" : (purpose == "sigAuth" ? "authentication" : "assertionMethod")
            return (method, relationship)
        }

        var json: JSONValue {
            var object: JSONObject = [
                "id": .string(did.string),
                "verificationMethod": .array(keys.filter { $0.relationship != "keyAgreement" }.map(\.method)),
                "keyAgreement": .array(keys.filter { $0.relationship == "keyAgreement" }.map(\.method)),
                "service": .array(services.map(\.service)),
            ]
            for name in ["authentication", "assertionMethod"] {
                object[name] = .array(keys.filter { $0.relationship == name }.compactMap { $0.method["id"] })
            }
            return .object(object)
        }
    }
}
