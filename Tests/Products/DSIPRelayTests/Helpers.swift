import Crypto
import DSIPIdentity
import Encoding
import Foundation
import Support

@testable import DSIPRelay

func did(_ name: String) -> DID { DID("did:example:\(name)")! }

func privateKey(_ name: String) -> Curve25519.Signing.PrivateKey {
    let seed = SHA256.hash(data: Data("relay-test:\(name)".utf8))
    return try! Curve25519.Signing.PrivateKey(rawRepresentation: Data(seed))
}

/// A did:key of its own; the same name is the same key.
func key(_ name: String) -> SigningKey { SigningKey(selfIssued: privateKey(name)) }

func ulid(_ seconds: Int64 = Int64(Date().timeIntervalSince1970)) -> ULID {
    var generator = SystemRandomNumberGenerator()
    return ULID(milliseconds: UInt64(seconds) * 1000, using: &generator)
}

func unixNow() -> Int64 { Int64(Date().timeIntervalSince1970) }

/// A folder that goes when the test does.
final class TemporaryFolder: Sendable {
    let path: String

    init() throws {
        path = NSTemporaryDirectory() + "dsip-relay-\(UUID().uuidString.prefix(8))"
        try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
    }

    deinit { try? FileManager.default.removeItem(atPath: path) }
}
