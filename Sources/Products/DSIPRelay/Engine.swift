import DSIPDialect03
import DSIPDiscovery
import DSIPIdentity
import DSIPMessaging
import DSIPSession
import DSIPSignaling
import DSIPTransport
import Encoding
import Hummingbird
import HummingbirdCore
import Libp2p
import Logging
import NIOConcurrencyHelpers
import NIOCore
import NIOPosix
import WebPush

/// The parts of a running relay, and the order in which they begin and end.
final class Engine: Sendable {
    let running: Relay.Running
    private let parts: Parts
    private let metrics: RelayMetrics
    private let began: NIODeadline

    private struct Parts: Sendable {
        var configuration: RelayConfiguration
        var folder: StateFolder
        var store: any RelayStore
        var writer: StoreWriter
        var threads: NIOThreadPool
        var stun: STUNListener?
        var quic: QUICListener?
        var tls: TLSIdentity
        var signaling: SignalingService
        var mailboxes: Mailboxes?
        var pushes: PushSenders?
        var overlay: Overlay?
        var switchboard: Switchboard
        var server: Server<UpgradingChannel>
        var serving: Task<Void, any Error>
        var chores: [Task<Void, Never>]
        var draining: NIOLockedValueBox<Bool>
        var logger: Logger
    }

    private init(running: Relay.Running, parts: Parts, metrics: RelayMetrics, began: NIODeadline) {
        self.running = running
        self.parts = parts
        self.metrics = metrics
        self.began = began
    }

    var overlay: Overlay? { parts.overlay }

    var metricsText: String { metrics.render(uptime: Engine.uptime(began)) }

    private static func uptime(_ began: NIODeadline) -> Int {
        Int((NIODeadline.now() - began).nanoseconds / 1_000_000_000)
    }

    // MARK: Start

    static func start(
        _ configuration: RelayConfiguration,
        resolver: (any DSIPIdentity.Resolver)?,
        group: any EventLoopGroup,
        clock: @escaping @Sendable () -> Int64,
        logger: Logger
    ) async throws(RelayError) -> Engine {
        let began = NIODeadline.now()
        let metrics = RelayMetrics()
        let now = clock()
        let folder = try StateFolder(path: configuration.stateFolder)
        let authority = configuration.hostname.flatMap(Authority.init)
        let identity = try RelayIdentity.open(
            in: folder,
            authority: authority,
            offering: configuration.offered
        )
        let (tls, rootPath) = try certificate(configuration, authority, folder, now)
        let store = try openStore(configuration, folder)
        let stored = try store.restore(at: now)
        metrics.names.set(stored.names)
        let threads = NIOThreadPool(numberOfThreads: 2)
        threads.start()
        let writer = StoreWriter(store: store, metrics: metrics)

        let names =
            configuration.names.enabled
            ? authority.map {
                NameRegistry(
                    authority: $0,
                    store: store,
                    configuration: configuration.names,
                    offered: configuration.offered
                )
            } : nil
        let upstream = resolver ?? standardResolver(configuration, clock)
        let documents = RelayDocuments(
            upstream: HostedResolver(
                own: identity.document.flatMap { try? DIDDocument(parsing: $0, expecting: identity.did) },
                names: names,
                upstream: upstream,
                threads: threads
            ),
            clock: clock
        )
        let messaging = configuration.offered.isEmpty ? nil : configuration.messaging
        let gate = Gatekeeper(configuration.limits, messaging: messaging, clock: clock)
        let codecs: [any WireCodec] = [ProposalCodec.json, ProposalCodec.cbor, COSECodec()]
        let voice = RelayVoice(key: identity.key, clock: clock, codecs: codecs)
        let replay = SharedReplayWindow()
        let mailboxes: Mailboxes?
        let pushes: PushSenders?
        let ratchet: RatchetDesk?
        let wakes: WakeDesk?
        let overlay: Overlay?
        do throws(RelayError) {
            overlay = try await openOverlay(configuration, folder, documents, clock)
            pushes = try openPush(configuration, folder, identity.did, clock)
            wakes = pushes.map { WakeDesk($0, writer: writer, voice: voice, metrics: metrics, restoring: stored.wakes) }
            ratchet = try openRatchet(configuration, folder, voice, metrics, wakes)
            mailboxes = try Mailboxes(configuration, folder, voice, documents, replay, metrics, logger)
        } catch {
            await end(writer, threads, store)
            throw error
        }
        let switchboard = Switchboard(
            Switchboard.Parts(
                routing: configuration.routing,
                voice: voice,
                replay: replay,
                gate: gate,
                documents: documents,
                store: store,
                writer: writer,
                readers: threads,
                metrics: metrics,
                desk: mailboxes?.desk,
                ratchet: ratchet,
                wakes: wakes,
                logger: logger
            ),
            restoring: stored
        )

        var stun: STUNListener?
        do throws(RelayError) {
            if configuration.stun.enabled {
                stun = try await STUNListener.start(
                    host: configuration.host,
                    port: configuration.stun.port,
                    group: group,
                    metrics: metrics
                )
            }
        } catch {
            await mailboxes?.stop()
            await ratchet?.stop()
            await overlay?.stop()
            await end(writer, threads, store)
            throw error
        }
        var service = SignalingService.Configuration(
            key: identity.key,
            capabilities: capabilities(configuration, authority, stun),
            clock: clock
        )
        service.codecs = codecs
        if mailboxes != nil {
            service.policy = .messaging(isRouter: true)
            service.profiles = .messaging
        }
        service.policy.supported.extensions.append(PresenceConfig.extensionID)
        if !service.policy.supported.profiles.contains(MessagingProfile.id) {
            service.policy.supported.profiles.append(MessagingProfile.id)
        }
        service.profiles = service.profiles.joined(with: .presence)
        if pushes != nil {
            service.policy.supported.extensions.append(PushConfig.extensionID)
            service.profiles = service.profiles.joined(with: .push)
        }
        if ratchet != nil {
            service.policy.supported = service.policy.supported.withRatchet()
            service.policy.isRouter = true
            // A mailbox reads every `accepted`; what answers no envelope of ours goes on to it.
            service.profiles = ProfileReader.ratchetService.joined(with: service.profiles)
        }
        service.maximumConnections = configuration.limits.connections > 0 ? configuration.limits.connections : .max
        let signaling = SignalingService(service, source: documents, delegate: switchboard, replay: replay)
        let draining = NIOLockedValueBox(false)
        let routes = RelayRoutes(
            did: identity.did,
            document: identity.document,
            names: names,
            metrics: metrics,
            publicMetrics: configuration.publicMetrics,
            resolve: { await documents.resolved($0) },
            changed: { record in
                documents.forget(record.did)
                switchboard.revoke(publishedBy: record)
            },
            threads: threads,
            registrations: NIOLockedValueBox(RateLimiter(capacity: configuration.limits.remembered)),
            registrationRate: .perDay(configuration.names.registrationsPerDayPerAddress),
            status: {
                .init(
                    healthy: switchboard.storeWorks && metrics.mailboxFault.value == 0,
                    draining: draining.withLockedValue { $0 },
                    uptime: uptime(began)
                )
            },
            blobs: mailboxes?.routes,
            discovery: configuration.discovery.enabled
                ? DiscoveryRoutes(
                    desk: DiscoveryDesk(
                        overlay: overlay,
                        documents: { documents.document(of: $0, at: clock()) },
                        restoring: stored.records,
                        write: { writer.submit($0) },
                        clock: clock
                    ),
                    proofs: upstream as? ProofKeeper,
                    metrics: metrics,
                    now: clock
                ) : nil,
            now: clock
        )
        let listening = try await listen(
            UpgradingChannel(
                tls: tls,
                signaling: signaling,
                gate: gate,
                metrics: metrics,
                responder: respond(routes.responder(), logger)
            ),
            configuration,
            group,
            logger
        )
        switch listening {
        case .failure(let error):
            await stun?.stop()
            await mailboxes?.stop()
            await ratchet?.stop()
            await overlay?.stop()
            await end(writer, threads, store)
            throw error
        case .success(let (server, serving, port)):
            let running = Relay.Running(
                did: identity.did,
                port: port,
                url: url(configuration, port),
                rootPath: rootPath,
                stunPort: stun?.address.port,
                overlay: await overlay?.addresses.map(\.description) ?? []
            )
            let quic: QUICListener?
            do throws(RelayError) {
                quic = try await listenQUIC(configuration, signaling, tls, gate, metrics, port, group)
                try mailboxes?.open(at: running.url, switchboard)
            } catch {
                serving.cancel()
                await stun?.stop()
                await mailboxes?.stop()
                await ratchet?.stop()
                await overlay?.stop()
                await end(writer, threads, store)
                throw error
            }
            var capabilities = capabilities(configuration, authority, stun)
            if let capability = mailboxes?.capability(at: running.url) {
                capabilities.other[MailboxCapability.member] = capability.json
            }
            if let quic { capabilities.other[QUICBinding.capability] = .int(Int64(quic.port)) }
            if ratchet != nil {
                // Whoever hands in an envelope is nobody that a closed relay lets in.
                capabilities.other[PreKeyService.member] = PreKeyService.capability(
                    retention: RatchetHost.Limits().retention,
                    keepsStored: configuration.routing.scope.admitsHello(from: SigningKey().did)
                )
            }
            if !running.overlay.isEmpty {
                capabilities.other["dht"] = .array(running.overlay.prefix(8).map { .string($0) })
            }
            if let pushes {
                let key = try? VAPIDKey.kept(in: folder)
                capabilities.other["push"] = PushCapability(kinds: pushes.kinds, vapidKey: key?.publicKey).json
            }
            signaling.advertise(capabilities)
            if let overlay, let region = configuration.dht.region.flatMap({ Geohash($0) }) {
                let about = HostAbout(did: identity.did, relays: [running.url], region: region)
                Task { await overlay.announce(about) }
            }
            let parts = Parts(
                configuration: configuration,
                folder: folder,
                store: store,
                writer: writer,
                threads: threads,
                stun: stun,
                quic: quic,
                tls: tls,
                signaling: signaling,
                mailboxes: mailboxes,
                pushes: pushes,
                overlay: overlay,
                switchboard: switchboard,
                server: server,
                serving: serving,
                chores: chores(switchboard, mailboxes, tls, configuration, folder, clock, logger),
                draining: draining,
                logger: logger
            )
            return Engine(running: running, parts: parts, metrics: metrics, began: began)
        }
    }

    private static func end(_ writer: StoreWriter, _ threads: NIOThreadPool, _ store: any RelayStore) async {
        await writer.stop()
        try? await threads.shutdownGracefully()
        store.close()
    }

    private typealias Listening = (server: Server<UpgradingChannel>, serving: Task<Void, any Error>, port: Int)

    private static func listen(
        _ channel: UpgradingChannel,
        _ configuration: RelayConfiguration,
        _ group: any EventLoopGroup,
        _ logger: Logger
    ) async throws(RelayError) -> Result<Listening, RelayError> {
        let (ports, port) = AsyncStream<Int>.makeStream()
        var quiet = logger
        quiet.logLevel = max(logger.logLevel, .notice)
        let server = Server(
            childChannelSetup: channel,
            configuration: .init(address: .hostname(configuration.host, port: configuration.port), backlog: 1024),
            onServerRunning: { channel in port.yield(channel.localAddress?.port ?? 0) },
            eventLoopGroup: group,
            logger: quiet
        )
        let serving = Task {
            defer { port.finish() }
            try await server.run()
        }
        for await port in ports { return .success((server, serving, port)) }
        do {
            try await serving.value
            return .failure(RelayError(.address, "the listener ended before it began"))
        } catch {
            return .failure(
                RelayError(
                    .address,
                    "\(configuration.host):\(configuration.port) cannot be listened on: \(error). Choose another host or port."
                )
            )
        }
    }

    private static let lingering = TimeAmount.seconds(2)

    /// Runs a request through the router, as Hummingbird's application would.
    private static func respond<Responder: HTTPResponder<RelayRequestContext>>(
        _ responder: Responder,
        _ logger: Logger
    ) -> HTTPChannelHandler.Responder {
        { request, writer, channel in
            let context = RelayRequestContext(source: .init(channel: channel, logger: logger))
            var response: Response
            do {
                response = try await responder.respond(to: request, context: context)
            } catch let error as any HTTPResponseError {
                response = try error.response(from: request, context: context)
            } catch {
                response = .failure("internal", "The relay could not answer.", status: .internalServerError)
            }
            let isLast = response.headers[.connection] == "close"
            let body = try await writer.writeHead(response.head)
            try await response.body.write(body)
            // Closed at once, a client that still sends would lose the answer together with the connection.
            if isLast { channel.eventLoop.scheduleTask(in: lingering) { channel.close(promise: nil) } }
        }
    }

    // MARK: Chores

    private static func chores(
        _ switchboard: Switchboard,
        _ mailboxes: Mailboxes?,
        _ tls: TLSIdentity,
        _ configuration: RelayConfiguration,
        _ folder: StateFolder,
        _ clock: @escaping @Sendable () -> Int64,
        _ logger: Logger
    ) -> [Task<Void, Never>] {
        let usesOwnCertificate = configuration.tls.certificate != nil
        return [
            Task {
                while (try? await Task.sleep(for: .seconds(1))) != nil {
                    switchboard.tick()
                    switchboard.wakes?.tick()
                    mailboxes?.desk.tick()
                    switchboard.ratchet?.tick()
                }
            },
            Task {
                while (try? await Task.sleep(for: .seconds(600))) != nil {
                    await mailboxes?.desk.sweepBlobs()
                    switchboard.renewKnown()
                    if usesOwnCertificate { continue }
                    _ = try? DevelopmentAuthority(
                        folder: folder.file("tls"),
                        names: developmentNames(configuration),
                        now: clock()
                    )
                }
            },
            Task {
                await tls.watch { result in
                    switch result {
                    case .success: logger.notice("The certificate was replaced and is in use")
                    case .failure(let error):
                        logger.error(
                            "The new certificate cannot be used; the old one stays",
                            metadata: ["error": "\(error)"]
                        )
                    }
                }
            },
        ]
    }

    func sweepBlobs() async { await parts.mailboxes?.desk.sweepBlobs() }

    func reloadCertificate() {
        do {
            try parts.tls.reload()
            parts.logger.notice("The certificate was read again")
        } catch {
            parts.logger.error("The certificate cannot be used; the old one stays", metadata: ["error": "\(error)"])
        }
    }

    // MARK: Stop

    func stop() async {
        parts.draining.withLockedValue { $0 = true }
        for chore in parts.chores { chore.cancel() }
        let limit = Duration.seconds(parts.configuration.drainSeconds)
        // New connections are refused from here on; those that are get their close frame at a random moment in the first half.
        await within(limit) { [parts] in await parts.signaling.drain(.serviceRestart, within: limit / 2) }
        await within(.seconds(2)) { [parts] in try? await parts.server.shutdownGracefully() }
        parts.serving.cancel()
        _ = try? await parts.serving.value
        parts.quic?.stop()
        await parts.stun?.stop()
        await parts.mailboxes?.stop()
        await parts.switchboard.ratchet?.stop()
        await parts.pushes?.shutDown()
        await parts.overlay?.stop()
        parts.switchboard.writeAttempts()
        parts.switchboard.renewKnown()
        await Engine.end(parts.writer, parts.threads, parts.store)
        parts.folder.release()
    }

    /// Waits for `body`, but not longer than `limit`; it goes on by itself then.
    private func within(_ limit: Duration, _ body: @escaping @Sendable () async -> Void) async {
        let (ends, end) = AsyncStream<Void>.makeStream()
        let work = Task {
            await body()
            end.finish()
        }
        let timer = Task {
            try? await Task.sleep(for: limit)
            end.finish()
        }
        for await _ in ends {}
        timer.cancel()
        work.cancel()
    }
}
