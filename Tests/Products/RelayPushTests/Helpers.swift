import DSIPIdentity
import DSIPMessaging
import DSIPRelay
import Encoding
import Foundation
import Testing

let relay = DID("did:web:relay.example")!
/// Unix seconds at which these tests take place.
let start: Int64 = 1_760_000_000

/// A wake as a plan makes it.
func wake(_ target: PushTarget, _ kind: Wake.Kind = .message) throws -> Wake {
    let device = DID("did:web:phone.example")!
    var random = SystemRandomNumberGenerator()
    var plan = WakePlan()
    plan.configured(device, [target], isBound: false, at: start)
    let envelope = ULID(milliseconds: UInt64(start) * 1000, using: &random)
    guard case .send(let wake)? = plan.stored(envelope, for: device, kind, at: start).first else {
        throw RelayError(.refused, "no wake")
    }
    return wake
}

/// A folder that goes when the test does.
final class TemporaryFolder: Sendable {
    let path: String

    init() throws {
        path = NSTemporaryDirectory() + "dsip-push-\(UUID().uuidString.prefix(8))"
        try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
    }

    deinit { try? FileManager.default.removeItem(atPath: path) }
}
