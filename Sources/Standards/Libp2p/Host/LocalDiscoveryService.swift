import NIOCore
import NIOPosix

/// Multicast DNS on a host: it announces the host on the networks of this machine, and connects it to peers that announce themselves.
///
/// ```swift
/// let local = LocalDiscoveryService(host: host)
/// try await local.start()        // after `host.listen`
/// ```
///
/// One socket for each interface and family, joined to 224.0.0.251 or ff02::fb there and nowhere else. A network without one of the families
/// is spoken to in the other.
public actor LocalDiscoveryService {
    public nonisolated let host: PeerHost
    private let limits: LocalDiscovery.Limits
    private let port: Int
    private let interfaces: [IPAddress]?
    private var machine: LocalDiscovery?
    private var sockets: [(channel: any Channel, group: SocketAddress)] = []
    private var timer: Task<Void, Never>?
    private var receiver: Task<Void, Never>?
    private var dialling = 0

    private static let (groupV4, groupV6) = (IPAddress("224.0.0.251")!, IPAddress("ff02::fb")!)
    private static let maximumDialling = 8
    /// Datagrams that wait to be read; more are dropped.
    private static let maximumWaiting = 64

    /// - Parameter interfaces: addresses of the interfaces to speak on; all that can do multicast when nil.
    public init(
        host: PeerHost,
        limits: LocalDiscovery.Limits = .init(),
        interfaces: [IPAddress]? = nil,
        port: Int = 5353
    ) {
        self.host = host
        self.limits = limits
        self.interfaces = interfaces
        self.port = port
    }

    /// Peers whose announcements hold.
    public var peers: [LocalDiscovery.Found] { machine?.peers ?? [] }

    /// - Throws: an I/O error when no interface can be used.
    public func start() async throws {
        guard machine == nil else { return }
        var generator = SystemRandomNumberGenerator()
        machine = LocalDiscovery(
            peer: host.peerID,
            addresses: await host.listenAddresses,
            limits: limits,
            random: (0..<20).map { _ in UInt8.random(in: 0...255, using: &generator) },
            at: host.clock.now
        )
        let (datagrams, continuation) = AsyncStream.makeStream(
            of: [UInt8].self,
            bufferingPolicy: .bufferingOldest(LocalDiscoveryService.maximumWaiting)
        )
        var failure: any Error = Libp2pError(.unreachable, "no interface that can do multicast")
        for device in try devices() {
            do { sockets.append(try await open(device, continuation)) } catch { failure = error }
        }
        guard !sockets.isEmpty else {
            machine = nil
            throw failure
        }
        receiver = Task { [weak self] in for await datagram in datagrams { await self?.received(datagram) } }
        drain()
    }

    public func stop() async {
        timer?.cancel()
        machine?.leave()
        send()
        machine = nil
        for socket in sockets { try? await socket.channel.close() }
        sockets = []
        receiver?.cancel()
    }

    /// For IPv4 those with an address, which names the interface; for IPv6 one of each, for there its number does.
    private func devices() throws -> [NIONetworkDevice] {
        var numbered: Set<Int> = []
        return try System.enumerateDevices().filter { device in
            guard let address = device.address?.ipAddress.flatMap({ IPAddress(withoutZone: $0) }) else { return false }
            let isWanted = interfaces.map { $0.contains(address) } ?? (device.multicastSupported && !address.isLoopback)
            return isWanted && (address.isV4 || numbered.insert(device.interfaceIndex).inserted)
        }
    }

    private func open(
        _ device: NIONetworkDevice,
        _ datagrams: AsyncStream<[UInt8]>.Continuation
    ) async throws -> (channel: any Channel, group: SocketAddress) {
        guard let address = device.address?.ipAddress.flatMap({ IPAddress(withoutZone: $0) }) else {
            throw Libp2pError(.unsupported, "an interface without an address")
        }
        let group = try SocketAddress(
            ipAddress: (address.isV4 ? LocalDiscoveryService.groupV4 : LocalDiscoveryService.groupV6).description,
            port: port
        )
        let channel = try await DatagramBootstrap(group: host.loop)
            .channelOption(.socketOption(.so_reuseaddr), value: 1)
            .channelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    // The two families have sockets of their own on the same port.
                    if !address.isV4, let options = channel as? any SocketOptionProvider {
                        _ = options.unsafeSetSocketOption(level: .ipv6, name: .ipv6_v6only, value: CInt(1))
                    }
                    try channel.pipeline.syncOperations.addHandler(DatagramReceiver(datagrams, port: group.port))
                }
            }
            .bind(host: address.isV4 ? "0.0.0.0" : "::", port: port).get()
        do {
            guard let options = channel as? any SocketOptionProvider else {
                throw Libp2pError(.unsupported, "a socket without multicast")
            }
            if address.isV4 {
                try await LocalDiscoveryService.join(on: address, options)
            } else {
                try await LocalDiscoveryService.join(on: CUnsignedInt(device.interfaceIndex), options)
            }
        } catch {
            try? await channel.close()
            throw error
        }
        return (channel, group)
    }

    // NIO's `joinGroup` refuses loopback, which a network of one machine consists of.

    private static func join(on interface: IPAddress, _ options: any SocketOptionProvider) async throws {
        /// An `ip_mreq`.
        struct Membership: Sendable {
            var group: UInt32
            var interface: UInt32
        }
        let membership = Membership(group: groupV4.networkOrder, interface: interface.networkOrder)
        try await options.unsafeSetSocketOption(level: .ip, name: .ip_add_membership, value: membership).get()
        try await options.unsafeSetSocketOption(level: .ip, name: .ip_multicast_if, value: interface.networkOrder).get()
        try await options.setIPMulticastTTL(255).get()
        try await options.setIPMulticastLoop(1).get()
    }

    private static func join(on interface: CUnsignedInt, _ options: any SocketOptionProvider) async throws {
        /// An `ipv6_mreq`.
        struct Membership: Sendable {
            var group: (UInt64, UInt64)
            var interface: CUnsignedInt
        }
        let halves = (groupV6.bytes.prefix(8).bigEndianValue, groupV6.bytes.suffix(8).bigEndianValue)
        let membership = Membership(
            group: (UInt64(bigEndian: halves.0), UInt64(bigEndian: halves.1)),
            interface: interface
        )
        try await options.unsafeSetSocketOption(level: .ipv6, name: .ipv6_join_group, value: membership).get()
        try await options.setIPv6MulticastIF(interface).get()
        try await options.setIPv6MulticastHops(255).get()
        try await options.setIPv6MulticastLoop(1).get()
    }

    private func received(_ datagram: [UInt8]) async {
        machine?.addresses = await host.listenAddresses
        machine?.receive(datagram, at: host.clock.now)
        drain()
    }

    private func drain() {
        machine?.advance(to: host.clock.now)
        send()
        while let found = machine?.pollEvent() { dial(found) }
        timer?.cancel()
        guard let at = machine?.nextDeadline else { return }
        let wait = max(1, at - host.clock.now)
        timer = Task { [weak self] in
            do { try await Task.sleep(for: .milliseconds(wait)) } catch { return }
            await self?.drain()
        }
    }

    private func send() {
        while let datagram = machine?.pollOutput() {
            for (channel, group) in sockets {
                let buffer = channel.allocator.buffer(bytes: datagram)
                channel.writeAndFlush(AddressedEnvelope(remoteAddress: group, data: buffer), promise: nil)
            }
        }
    }

    /// A peer that cannot be dialled now is told again when its announcement changes, or dials us.
    private func dial(_ found: LocalDiscovery.Found) {
        guard dialling < LocalDiscoveryService.maximumDialling else { return }
        dialling += 1
        Task {
            _ = try? await host.connect(to: found.peer, at: found.addresses)
            dialling -= 1
        }
    }
}

/// Hands datagrams on whose sender speaks multicast DNS itself (RFC 6762 §6.7: others want unicast answers, which nobody here needs).
private final class DatagramReceiver: ChannelInboundHandler {
    typealias InboundIn = AddressedEnvelope<ByteBuffer>

    private let datagrams: AsyncStream<[UInt8]>.Continuation
    private let port: Int?

    init(_ datagrams: AsyncStream<[UInt8]>.Continuation, port: Int?) {
        self.datagrams = datagrams
        self.port = port
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        let envelope = unwrapInboundIn(data)
        guard envelope.remoteAddress.port == port else { return }
        datagrams.yield(Array(envelope.data.readableBytesView))
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        // A datagram that could not be sent or read; the next one may.
    }
}

extension IPAddress {
    /// Reads an address of an interface, which may name it at its end (RFC 4007 §11).
    fileprivate init?(withoutZone text: String) { self.init(text.prefix { $0 != "%" }) }

    /// An IPv4 address as an `in_addr`.
    fileprivate var networkOrder: UInt32 { UInt32(bigEndian: UInt32(truncatingIfNeeded: bytes.bigEndianValue)) }
}
