import Crypto
import Encoding
import Foundation
import Support
import Testing

@testable import DSIPIdentity

extension SigningKey {
    init() { self.init(selfIssued: Curve25519.Signing.PrivateKey()) }

    init(seeded number: UInt8) {
        let seed = [UInt8](repeating: number, count: 32)
        self.init(selfIssued: try! Curve25519.Signing.PrivateKey(rawRepresentation: seed))
    }

    var publicKeyBytes: [UInt8] {
        guard case .ed25519(let key) = publicKey else { return [] }
        return Array(key.rawRepresentation)
    }
}

/// The bytes of a hexadecimal string of a vector.
func hex(_ value: JSONValue?) throws -> [UInt8] {
    let text = try #require(value?.string)
    return try #require(Hex.decode(text))
}

func did(_ text: String?) throws -> DID {
    let text = try #require(text)
    return try #require(DID(text))
}

/// Every string in `value`, member names included.
func strings(in value: JSONValue) -> [String] {
    switch value {
    case .string(let text): [text]
    case .array(let elements): elements.flatMap(strings)
    case .object(let object): object.members.flatMap { [$0.name] + strings(in: $0.value) }
    default: []
    }
}
