import DSIPIdentity

/// Whom a relay serves (DSIP §13.6).
public enum ServiceScope: Hashable, Sendable {
    /// Every identity whose device completes a verified `hello`.
    case open
    /// These identities; others may bind to reach them, and nothing else.
    case `private`(Set<DID>)
    /// These identities; devices of others are refused at `hello`.
    case closed(Set<DID>)

    /// Whether the relay holds, forks and answers for `identity`.
    public func serves(_ identity: DID) -> Bool {
        switch self {
        case .open: true
        case .private(let served), .closed(let served): served.contains(identity)
        }
    }

    /// Whether a device of `identity` may bind.
    public func admitsHello(from identity: DID) -> Bool {
        switch self {
        case .open, .private: true
        case .closed(let served): served.contains(identity)
        }
    }
}
