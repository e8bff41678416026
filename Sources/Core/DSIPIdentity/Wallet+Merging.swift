extension Wallet {
    /// Takes the identities of a restored backup that are not here yet; those that are stay as they are, and so do pins.
    ///
    /// - Returns: the DIDs taken.
    /// - Throws: `.tooLarge`; nothing is changed then.
    @discardableResult
    public mutating func merge(_ restored: Wallet, at now: Int64) throws(IdentityError) -> [DID] {
        var merged = self
        var taken: [DID] = []
        for identity in restored.identities where merged[identity.did] == nil {
            try merged.add(identity, at: now)
            taken.append(identity.did)
        }
        if merged.pins.count == 0 { merged.pins = restored.pins }
        self = merged
        return taken
    }
}

extension WalletIdentity {
    /// Calls one of the known devices by another name.
    public mutating func rename(device: DID, to name: String) {
        guard let i = devices.firstIndex(where: { $0.did == device }) else { return }
        devices[i].description.name = name
    }
}

extension PendingPairing {
    /// What the device signs with, so that it can be reached at a relay while it waits.
    public var deviceKey: SigningKey { key }
}
