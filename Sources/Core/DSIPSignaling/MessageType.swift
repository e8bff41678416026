/// The message types of DSIP §12.1, with `hello` of the transport binding (§13.2) and the hint of §8.5.
public enum MessageType: String, Hashable, Sendable, CaseIterable {
    case invite, progress, answer, reject, cancel, update, info, bye
    case introduction, grant
    case publish, subscribe, notify, unpublish, provenance
    case keyRotation = "key-rotation"
    case delegationRevocation = "delegation-revocation"
    case error
    case hello
    case reachabilityHint = "reachability-hint"
}
