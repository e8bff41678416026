import Crypto
import DSIPDiscovery
import DSIPIdentity
import DSIPTransport
import NIOConcurrencyHelpers
import NIOCore
import NIOPosix

/// The BitTorrent DHT, asked and told by UDP (BEP 5, BEP 44): zones of keys without a Pkarr relay between.
///
/// A client that answers nobody (BEP 43). It begins at the nodes it was made with, and at those that answered before. Each search has
/// sockets of its own and ends after ten seconds at most.
public final class MainlineClient: PkarrSource {
    static let maximumSearches = 16
    private static let patience = TimeAmount.seconds(10)

    /// `HOST:PORT`.
    private let nodes: [String]
    private let policy: AddressPolicy
    private let names: any HostResolver
    private let state = NIOLockedValueBox((known: [MainlineNode](), searches: 0))

    /// - Parameters:
    ///   - nodes: each `HOST:PORT`, or `[ADDRESS]:PORT`.
    ///   - policy: which addresses are spoken to; others' answers name addresses.
    public init(_ nodes: [String], policy: AddressPolicy, names: any HostResolver = SystemHostResolver()) {
        (self.nodes, self.policy, self.names) = (nodes, policy, names)
    }

    /// Whether `text` is a node to begin with.
    public static func isNode(_ text: String) -> Bool { split(text) != nil }

    private static func split(_ text: String) -> (host: String, port: UInt16)? {
        guard let colon = text.lastIndex(of: ":"), let port = UInt16(text[text.index(after: colon)...]), port > 0,
            colon > text.startIndex
        else { return nil }
        return (String(text[..<colon]), port)
    }

    public func packets(_ zone: String) async throws(IdentityError) -> [[UInt8]] {
        guard let key = try? PkarrKey(zone: zone) else { throw IdentityError(.malformed, "the zone is no key") }
        let search = try await run(key, publishing: nil)
        guard search.answers > 0 else { throw IdentityError(.unreachable, "no node of the BitTorrent DHT answered") }
        return search.found.map { [$0.payload] } ?? []
    }

    /// Gives a packet of the zone to the nodes nearest to it.
    ///
    /// - Returns: how many took it, and whether one has something newer.
    func put(_ packet: PkarrPacket, under key: PkarrKey) async throws(IdentityError) -> (taken: Int, isStale: Bool) {
        let search = try await run(key, publishing: packet)
        return (search.taken, search.isStale)
    }

    private func run(_ key: PkarrKey, publishing packet: PkarrPacket?) async throws(IdentityError) -> MainlineSearch {
        guard case .ed25519(let raw) = key.publicKey else { throw IdentityError(.malformed, "the zone is no key") }
        let bytes = Array(raw.rawRepresentation)
        guard
            state.withLockedValue({ state in
                defer { state.searches += 1 }
                return state.searches < Self.maximumSearches
            })
        else {
            state.withLockedValue { $0.searches -= 1 }
            throw IdentityError(.unreachable, "too many searches in the BitTorrent DHT at once")
        }
        defer { state.withLockedValue { $0.searches -= 1 } }
        var random = SystemRandomNumberGenerator()
        let search = MainlineSearch(
            for: bytes,
            publishing: packet.map { MainlineItem($0, key: bytes) },
            from: state.withLockedValue(\.known) + (await beginnings()),
            id: (0..<20).map { _ in UInt8.random(in: .min ... .max, using: &random) },
            firstTransaction: .random(in: .min ... .max, using: &random)
        )
        guard let search else { throw IdentityError(.malformed, "the zone is no key") }
        let done: MainlineSearch
        do {
            done = try await perform(search)
        } catch {
            throw IdentityError(.unreachable, "the BitTorrent DHT cannot be asked: no UDP socket")
        }
        if !done.nearest.isEmpty { state.withLockedValue { $0.known = done.nearest } }
        return done
    }

    private func beginnings() async -> [MainlineNode] {
        var all: [MainlineNode] = []
        for node in nodes.prefix(8) {
            guard let (host, port) = Self.split(node) else { continue }
            for address in (try? await names.addresses(of: host)) ?? [] {
                all.append(MainlineNode(address: address, port: port))
            }
        }
        return all
    }

    private func perform(_ search: MainlineSearch) async throws -> MainlineSearch {
        let loop = MultiThreadedEventLoopGroup.singleton.next()
        let conversation = Conversation(search, policy, loop)
        var channels: [any Channel] = []
        // The one family or the other may not be there.
        for (host, size) in [("0.0.0.0", 4), ("::", 16)] {
            let channel = try? await DatagramBootstrap(group: loop)
                .channelInitializer { channel in
                    channel.eventLoop.makeCompletedFuture {
                        try channel.pipeline.syncOperations.addHandler(Ear(conversation))
                    }
                }
                .bind(host: host, port: 0).get()
            guard let channel else { continue }
            channels.append(channel)
            try await loop.submit { conversation.channels[size] = channel }.get()
        }
        guard !channels.isEmpty else { throw IdentityError(.unreachable, "no UDP socket") }
        defer { for channel in channels { channel.close(promise: nil) } }
        return try await loop.flatSubmit { conversation.begin() }.get()
    }

    /// The machine at its sockets. Confined to the event loop.
    private final class Conversation: @unchecked Sendable {
        private var search: MainlineSearch
        private let policy: AddressPolicy
        private let loop: any EventLoop
        private let end: EventLoopPromise<MainlineSearch>
        private let began = NIODeadline.now()
        private var timer: Scheduled<Void>?
        private var isOver = false
        /// By the size of an address.
        var channels: [Int: any Channel] = [:]

        init(_ search: MainlineSearch, _ policy: AddressPolicy, _ loop: any EventLoop) {
            (self.search, self.policy, self.loop) = (search, policy, loop)
            end = loop.makePromise()
        }

        func begin() -> EventLoopFuture<MainlineSearch> {
            go()
            return end.futureResult
        }

        func received(_ bytes: [UInt8], from place: MainlineNode.Place) {
            guard !isOver else { return }
            search.receive(bytes, from: place)
            go()
        }

        private func go() {
            timer?.cancel()
            let passed = NIODeadline.now() - began
            for datagram in search.advance(to: passed.nanoseconds / 1_000_000) { send(datagram) }
            guard !search.isDone, passed < MainlineClient.patience else {
                isOver = true
                return end.succeed(search)
            }
            // What could not be sent runs out like what is not answered.
            let due = began + .milliseconds(search.deadline ?? 0)
            timer = loop.scheduleTask(deadline: min(due, began + MainlineClient.patience)) { [self] in
                if !isOver { go() }
            }
        }

        private func send(_ datagram: MainlineSearch.Datagram) {
            let to = datagram.to
            guard !policy.refuses(to.address), let channel = channels[to.address.count],
                let address = try? SocketAddress(
                    packedIPAddress: ByteBuffer(bytes: to.address),
                    port: Int(to.port)
                )
            else { return }
            let buffer = channel.allocator.buffer(bytes: datagram.bytes)
            channel.writeAndFlush(AddressedEnvelope(remoteAddress: address, data: buffer), promise: nil)
        }
    }

    private final class Ear: ChannelInboundHandler {
        typealias InboundIn = AddressedEnvelope<ByteBuffer>

        private let conversation: Conversation

        init(_ conversation: Conversation) { self.conversation = conversation }

        func channelRead(context: ChannelHandlerContext, data: NIOAny) {
            let envelope = unwrapInboundIn(data)
            guard let port = envelope.remoteAddress.port.flatMap({ UInt16(exactly: $0) }),
                let address = HostAddress(envelope.remoteAddress)
            else { return }
            conversation.received(
                Array(buffer: envelope.data),
                from: .init(address: address.bytes, port: port)
            )
        }

        /// Such as a port where nobody is.
        func errorCaught(context: ChannelHandlerContext, error: any Error) {}
    }
}
