import DSIPIdentity

/// A device as one leaf of a group, with the identity that delegated it.
public struct Leaf: Hashable, Sendable {
    public var identity: DID
    public var device: DID
    /// Whether its delegation still stands; one that lapsed may be removed by anybody. M§7.3
    public var isAuthentic: Bool

    public init(identity: DID, device: DID, isAuthentic: Bool = true) {
        self.identity = identity
        self.device = device
        self.isAuthentic = isAuthentic
    }
}

/// Who is in a group: the devices of each identity.
public struct Roster: Hashable, Sendable {
    public private(set) var devices: [DID: Set<DID>]

    public init(_ devices: [DID: Set<DID>] = [:]) { self.devices = devices.filter { !$0.value.isEmpty } }

    public var identities: Set<DID> { Set(devices.keys) }

    public func contains(_ identity: DID) -> Bool { devices[identity] != nil }

    public func devices(of identity: DID) -> Set<DID> { devices[identity] ?? [] }

    mutating func apply(adds: [Leaf], removes: [Leaf]) {
        for leaf in removes {
            devices[leaf.identity]?.remove(leaf.device)
            if devices[leaf.identity]?.isEmpty == true { devices[leaf.identity] = nil }
        }
        for leaf in adds { devices[leaf.identity, default: []].insert(leaf.device) }
    }

    /// Whether a member may change the group so. M§7.3
    ///
    /// Any member adds and removes identities; the devices of an identity are its own affair, but for leaves whose delegation
    /// lapsed.
    func permits(adds: [Leaf], removes: [Leaf], by identity: DID) -> Bool {
        for leaf in adds where leaf.identity != identity && contains(leaf.identity) { return false }
        for (owner, leaves) in Dictionary(grouping: removes, by: \.identity) where owner != identity {
            let authentic = Set(leaves.filter(\.isAuthentic).map(\.device))
            let removed = Set(leaves.map(\.device))
            // All of an identity may go, or what no longer authenticates; a living device alone may not.
            guard authentic.isEmpty || devices(of: owner).isSubset(of: removed) else { return false }
        }
        return true
    }
}
