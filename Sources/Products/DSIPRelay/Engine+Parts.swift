import DSIPDiscovery
import DSIPIdentity
import DSIPMessaging
import DSIPSession
import DSIPSignaling
import DSIPTransport
import Encoding
import FoundationEssentials
import Libp2p
import NIOCore
import WebPush

/// What an engine is made of, as the configuration says.
extension Engine {
    static func openStore(
        _ configuration: RelayConfiguration,
        _ folder: StateFolder
    ) throws(RelayError) -> any RelayStore {
        if configuration.holding.inMemory { return MemoryStore() }
        return try SQLiteStore(path: folder.file("relay.sqlite"), maximumBytes: configuration.holding.maximumBytes)
    }

    /// - Returns: nil when push is off.
    static func openPush(
        _ configuration: RelayConfiguration,
        _ folder: StateFolder,
        _ did: DID,
        _ clock: @escaping @Sendable () -> Int64
    ) throws(RelayError) -> PushSenders? {
        let settings = configuration.push
        guard settings.enabled else { return nil }
        var push = PushConfiguration()
        push.subject = settings.subject
        push.allowedRanges = configuration.outboundRanges
        if let path = settings.apnsKey, let identifier = settings.apnsKeyIdentifier, let team = settings.apnsTeam {
            let key = String(decoding: try read(path, "push.apns-key"), as: UTF8.self)
            push.apns = APNsSender.Configuration(
                team: team,
                keyIdentifier: identifier,
                key: key,
                topics: Set(settings.apnsTopics)
            )
        }
        if let path = settings.fcmAccount {
            push.fcm = try FCMSender.ServiceAccount(parsing: try read(path, "push.fcm-account"))
        }
        return try PushSenders(
            push,
            relay: did,
            key: VAPIDKey.kept(in: folder),
            roots: TrustRoots(additionalFiles: configuration.trustedRoots),
            clock: clock
        )
    }

    /// - Returns: nil when ratchet conversations are off.
    static func openRatchet(
        _ configuration: RelayConfiguration,
        _ folder: StateFolder,
        _ voice: RelayVoice,
        _ metrics: RelayMetrics,
        _ wakes: WakeDesk?
    ) throws(RelayError) -> RatchetDesk? {
        guard configuration.ratchet.enabled else { return nil }
        // A file of its own, in the mailboxes' form: their load must not delay it, nor the other way round.
        let store: any MailboxStore =
            configuration.messaging.inMemory
            ? MemoryMailboxStore()
            : try SQLiteMailboxStore(
                path: folder.file("ratchet.sqlite"),
                maximumBytes: configuration.ratchet.maximumBytes
            )
        return RatchetDesk(
            RatchetDesk.Parts(
                store: store,
                limits: RatchetHost.Limits(),
                scope: configuration.routing.scope,
                voice: voice,
                metrics: metrics,
                away: { wakes?.stored($1, for: $0, .message) }
            )
        )
    }

    /// Joins the DHT, listening already.
    /// - Returns: nil when it is off.
    static func openOverlay(
        _ configuration: RelayConfiguration,
        _ folder: StateFolder,
        _ documents: RelayDocuments,
        _ clock: @escaping @Sendable () -> Int64
    ) async throws(RelayError) -> Overlay? {
        let settings = configuration.dht
        guard settings.enabled else { return nil }
        func addresses(_ texts: [String], _ key: String) throws(RelayError) -> [Multiaddr] {
            var addresses: [Multiaddr] = []
            for text in texts {
                guard let address = try? Multiaddr(text), address.transport.tcpEndpoint != nil else {
                    throw RelayError(
                        .configuration,
                        "\(key) lists \"\(text)\"; give addresses such as /ip4/192.0.2.1/tcp/4001."
                    )
                }
                addresses.append(address)
            }
            return addresses
        }
        let bootstrap = try addresses(settings.bootstrap, "dht.bootstrap")
        guard bootstrap.allSatisfy({ $0.peerID != nil }) else {
            throw RelayError(.configuration, "dht.bootstrap must name peers: …/tcp/4001/p2p/12D3Koo….")
        }
        var overlayed = Overlay.Configuration(
            identity: try hostKey(folder),
            listen: try addresses(settings.listen, "dht.listen"),
            bootstrap: bootstrap,
            local: settings.local ? Overlay.LocalNetwork() : nil
        )
        if settings.circuits > 0 {
            var limits = CircuitRelay.Limits()
            (limits.reservations, limits.circuits) = (settings.circuits, max(1, settings.circuits / 2))
            overlayed.circuits = limits
        }
        let overlay = Overlay(
            overlayed,
            documents: { documents.document(of: $0, at: clock()) }
        )
        do {
            try await overlay.start()
            return overlay
        } catch {
            throw RelayError(
                .address,
                "the DHT cannot listen on \(settings.listen.joined(separator: ", ")): \(error). Choose another dht.listen."
            )
        }
    }

    /// The host's key in the DHT, which is not the relay's own: nobody need know that both are one.
    private static func hostKey(_ folder: StateFolder) throws(RelayError) -> Libp2p.IdentityKey {
        let name = "dht.key"
        if let stored = try folder.read(name, limit: 128) {
            guard let key = try? IdentityKey(protobuf: stored) else {
                throw RelayError(.storage, "\(folder.file(name)) holds no key. Remove it to have another made.")
            }
            return key
        }
        let key = IdentityKey()
        try folder.write(key.protobuf, to: name)
        return key
    }

    private static func read(_ path: String, _ key: String) throws(RelayError) -> [UInt8] {
        guard let data = FileManager.default.contents(atPath: path), data.count <= 65_536 else {
            throw RelayError(.configuration, "\(key) names \(path), which cannot be read.")
        }
        return Array(data)
    }

    static func certificate(
        _ configuration: RelayConfiguration,
        _ authority: Authority?,
        _ folder: StateFolder,
        _ now: Int64
    ) throws(RelayError) -> (TLSIdentity, root: String?) {
        do {
            if let certificate = configuration.tls.certificate, let key = configuration.tls.key {
                return (try TLSIdentity(certificatePath: certificate, keyPath: key), nil)
            }
            let development = try DevelopmentAuthority(
                folder: folder.file("tls"),
                names: developmentNames(configuration),
                now: now
            )
            return (
                try TLSIdentity(certificatePath: development.certificatePath, keyPath: development.keyPath),
                development.rootPath
            )
        } catch {
            throw RelayError(.configuration, "the TLS certificate cannot be used: \(error.reason)")
        }
    }

    static func developmentNames(_ configuration: RelayConfiguration) -> [String] {
        let host = configuration.host
        let listening = ["0.0.0.0", "::", "127.0.0.1", "::1", "localhost"].contains(host) ? [] : [host]
        return configuration.tls.names + listening
            + (configuration.hostname.flatMap(Authority.init).map { [$0.host] } ?? [])
    }

    static func standardResolver(
        _ configuration: RelayConfiguration,
        _ clock: @escaping @Sendable () -> Int64
    ) -> any DSIPIdentity.Resolver {
        let fetcher = HTTPDocumentFetcher(
            policy: AddressPolicy(allowing: configuration.resolver.allowPrivateAddresses ? AddressRange.all : []),
            roots: TrustRoots(additionalFiles: configuration.trustedRoots)
        )
        // Chosen by the operator, and may be in the own network.
        let chosen = HTTPDocumentFetcher(
            policy: AddressPolicy(allowing: AddressRange.all),
            roots: TrustRoots(additionalFiles: configuration.trustedRoots)
        )
        let networks = configuration.resolver.ethereum.compactMap { setting in
            EthereumNetwork(setting) { (url, body, limit) async throws(IdentityError) in
                try await chosen.post(url: url, body, limit: limit)
            }
        }
        let relays = configuration.resolver.pkarr
        let memory = ShortVersionMemory()
        return ProofKeeper(
            others: MethodResolver(fetcher: fetcher, ethereum: networks, memory: memory, clock: clock),
            fetcher: fetcher,
            pkarr: relays.isEmpty ? nil : PkarrRelays(relays, fetcher: fetcher),
            memory: memory,
            clock: clock
        )
    }

    static func capabilities(
        _ configuration: RelayConfiguration,
        _ authority: Authority?,
        _ stun: STUNListener?
    ) -> RelayCapabilities {
        let limits = configuration.limits
        var capabilities = RelayCapabilities(
            storeAndForward: configuration.holding.retentionSeconds > 0,
            offlineRetention: configuration.holding.retentionSeconds,
            envelopesPerMinute: limits.envelopesPerMinute > 0 ? Int64(limits.envelopesPerMinute) : nil,
            invitesPerMinute: limits.invitesPerMinute > 0 ? Int64(limits.invitesPerMinute) : nil
        )
        capabilities.other["presence"] = [:]
        guard let port = stun?.address.port else { return capabilities }
        let wildcard = ["0.0.0.0", "::"].contains(configuration.host)
        if let advertised = configuration.stun.advertised {
            capabilities.other["stun"] = [
                .string("stun:" + (advertised.contains(":") ? advertised : "\(advertised):\(port)"))
            ]
        } else if let host = authority?.host ?? (wildcard ? nil : configuration.host) {
            capabilities.other["stun"] = [
                .string("stun:" + (host.contains(":") ? "[\(host)]:\(port)" : "\(host):\(port)"))
            ]
        }
        return capabilities
    }

    /// `quic/1.0` beside the TCP port, under the same limits and with the same certificate.
    ///
    /// - Returns: nil when it is off.
    static func listenQUIC(
        _ configuration: RelayConfiguration,
        _ signaling: SignalingService,
        _ tls: TLSIdentity,
        _ gate: Gatekeeper,
        _ metrics: RelayMetrics,
        _ port: Int,
        _ group: any EventLoopGroup
    ) async throws(RelayError) -> QUICListener? {
        guard configuration.quic.enabled else { return nil }
        do {
            return try await QUICListener.start(
                signaling,
                identity: tls,
                host: configuration.host,
                port: configuration.quic.port == 0 ? port : configuration.quic.port,
                group: group,
                admits: { address in
                    guard gate.opened(AddressKey(address)) else {
                        metrics.limited.add("connections")
                        return false
                    }
                    metrics.connections.add(1)
                    return true
                },
                ended: { address in
                    gate.closed(AddressKey(address))
                    metrics.connections.add(-1)
                }
            )
        } catch {
            throw RelayError(
                .address,
                "QUIC cannot listen: \(error). Choose another quic.port, or set quic.enabled to false."
            )
        }
    }

    static func url(_ configuration: RelayConfiguration, _ port: Int) -> String {
        if let authority = configuration.hostname.flatMap(Authority.init) { return authority.signaling }
        let host = ["0.0.0.0", "::"].contains(configuration.host) ? "localhost" : configuration.host
        return "wss://" + (host.contains(":") ? "[\(host)]" : host) + (port == 443 ? "" : ":\(port)")
            + Binding.defaultPath
    }
}

extension RelayConfiguration {
    /// What is there for those whose documents are hosted.
    var offered: HostedServices {
        var offered: HostedServices = []
        if messaging.enabled { offered.insert(.mailboxes) }
        if ratchet.enabled { offered.insert(.preKeys) }
        return offered
    }

    /// What of the configuration the router reads.
    var routing: RouterConfiguration {
        var routing = RouterConfiguration()
        routing.offlineRetentionSeconds = holding.retentionSeconds
        routing.tracksAttemptChanges = true
        routing.maximumHeldPerRecipient = holding.perRecipient
        routing.maximumHeld = holding.total
        routing.maximumIntroductionsPerRecipient = holding.introductionsPerRecipient
        routing.maximumIntroductions = holding.total / 4
        routing.scope =
            switch scope {
            case .open: .open
            case .private(let served): .private(served)
            case .closed(let served): .closed(served)
            }
        return routing
    }
}
