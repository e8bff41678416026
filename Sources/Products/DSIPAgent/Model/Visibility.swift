/// Who may find this person, and what they learn. One choice for all identities; throw-away ones say nothing in any case.
public enum Visibility: String, Sendable, Hashable, CaseIterable {
    /// Nothing is published: people need a link.
    case nobody
    /// Whoever has an address learns the relay, and that somebody is there; no device's address and no place.
    case relay
    /// As `relay`; contacts learn the addresses of the devices as well, and the region.
    case contacts
    /// Everybody learns all of it.
    case everybody
}
