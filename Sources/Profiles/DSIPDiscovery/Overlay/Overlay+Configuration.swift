import Libp2p

extension Overlay {
    public struct Configuration: Sendable {
        /// The host's own key; whoever is to be found again keeps it.
        public var identity: IdentityKey
        /// TCP addresses to listen on. A host without any asks, and stores nothing for others.
        public var listen: [Multiaddr]
        /// Hosts to begin with; each address names its peer at its end.
        public var bootstrap: [Multiaddr]
        /// Meets hosts of the own network by multicast DNS, listens and serves there; nil when it does not.
        public var local: LocalNetwork?
        /// Connects hosts that cannot be dialled with each other, within these bounds; nil when it does not.
        public var circuits: CircuitRelay.Limits?
        /// Milliseconds of a lookup, after which it ends with what it has.
        public var lookupTime: Int64 = 4_000
        /// Hosts that must agree whether this one can be dialled. Fewer than four (AutoNAT) are for networks of one's own.
        public var witnesses = 4

        public init(
            identity: IdentityKey = IdentityKey(),
            listen: [Multiaddr] = [],
            bootstrap: [Multiaddr] = [],
            local: LocalNetwork? = nil
        ) {
            self.identity = identity
            self.listen = listen
            self.bootstrap = bootstrap
            self.local = local
        }

        /// A client beyond the own network, unless it listens for everybody.
        var mode: KademliaConfiguration.Mode { listen.isEmpty ? local == nil ? .client : .local : .server }
    }

    /// The networks of this machine.
    public struct LocalNetwork: Sendable {
        /// Addresses of the interfaces to speak on; all that can do multicast when nil.
        public var interfaces: [IPAddress]?
        public var port = 5353
        public var limits = LocalDiscovery.Limits()

        public init() {}

        /// This machine alone, on a port of its own.
        public static func loopback(port: Int) -> LocalNetwork {
            var local = LocalNetwork()
            local.interfaces = [IPAddress("127.0.0.1")!]
            local.port = port
            local.limits.allowsLoopback = true
            return local
        }
    }
}
