/// A peer as routing knows it: who, and where it may be reached.
public struct KademliaPeer: Hashable, Sendable {
    /// Addresses kept of one peer.
    public static let maximumAddresses = 16

    public let id: PeerID
    public var addresses: [Multiaddr]

    public init(id: PeerID, addresses: [Multiaddr]) {
        self.id = id
        self.addresses = Array(addresses.prefix(KademliaPeer.maximumAddresses))
    }

    /// The address ranges it is counted under: of its IP addresses, or those of them that are public.
    func ranges(countingPrivate: Bool) -> Set<AddressRange> {
        Set(addresses.compactMap(\.ipAddress).filter { countingPrivate || !$0.isPrivate }.map(\.range))
    }
}
