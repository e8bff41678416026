import DSIPIdentity
import Encoding

/// An introduction, received or sent (DSIP §19.4). Never a call: it does not ring and is not in the call log.
public struct ContactRequest: Sendable, Hashable {
    public enum State: String, Sendable { case pending, granted, declined }
    public enum Direction: String, Sendable { case incoming, outgoing }

    /// The introduction's ULID.
    public var id: String
    public var owner: DID
    public var did: DID
    /// The introducer's claim, or for an outgoing request the name we know the other by.
    public var name: String
    public var purpose: String
    public var receivedAt: Int64
    public var expiresAt: Int64
    public var state: State
    public var direction: Direction
    /// Where the other can be reached, when that is known.
    public var relay: String?

    public init(
        id: String,
        owner: DID,
        did: DID,
        name: String,
        purpose: String,
        receivedAt: Int64,
        expiresAt: Int64,
        state: State,
        direction: Direction,
        relay: String?
    ) {
        self.id = id
        self.owner = owner
        self.did = did
        self.name = name
        self.purpose = purpose
        self.receivedAt = receivedAt
        self.expiresAt = expiresAt
        self.state = state
        self.direction = direction
        self.relay = relay
    }

    public func json(peer: Peer) -> JSONValue {
        [
            "id": .string(id), "peer": peer.json, "purpose": .string(purpose), "received_at": .int(receivedAt),
            "expires_at": .int(expiresAt), "state": .string(state.rawValue), "direction": .string(direction.rawValue),
        ]
    }
}
