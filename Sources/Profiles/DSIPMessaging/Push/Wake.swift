import DSIPIdentity
import Encoding

/// One push that is to be sent.
public struct Wake: Hashable, Sendable {
    /// Unique within a ``WakePlan``.
    public struct ID: Hashable, Sendable {
        let number: UInt64
    }

    /// What waits for the device, as far as the push service learns it: how urgent it is.
    public enum Kind: String, Hashable, Sendable {
        case message
        case call
    }

    public var id: ID
    public var device: DID
    public var target: PushTarget
    public var envelope: ULID
    public var kind: Kind
}

/// All that a push says (proposal 0.3 §21.B): `{"relay": …, "envelope_id": …}`. Not who sent what; the device asks the relay.
public struct WakePayload: Hashable, Sendable {
    public var relay: DID
    public var envelope: ULID

    public init(relay: DID, envelope: ULID) {
        self.relay = relay
        self.envelope = envelope
    }

    /// - Returns: nil unless it is these two members.
    public init?(_ bytes: [UInt8]) {
        guard let json = try? JSONValue(parsing: bytes, limits: .init(bytes: 4096, depth: 4, members: 8)),
            json.object?.count == 2, let relay = json["relay"]?.string.flatMap({ DID($0) }),
            let envelope = json["envelope_id"]?.string.flatMap({ ULID($0) })
        else { return nil }
        self.init(relay: relay, envelope: envelope)
    }

    public var bytes: [UInt8] {
        let json: JSONValue = ["relay": .string(relay.string), "envelope_id": .string(envelope.description)]
        return json.utf8
    }
}

/// What became of a push.
public enum PushOutcome: Hashable, Sendable {
    /// The push service has it.
    case accepted
    /// The target is no more.
    case gone
    /// Not now; after so many seconds, if the service said.
    case later(after: Int64?)
    /// Never in this form.
    case refused
}

public enum WakeAction: Hashable, Sendable {
    case send(Wake)
    /// The target is no more: forget it, also after a restart.
    case drop(DID, PushTarget)
}
