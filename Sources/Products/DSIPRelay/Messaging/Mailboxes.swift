import DSIPIdentity
import DSIPMessaging
import DSIPSession
import DSIPSignaling
import DSIPTransport
import Logging

/// The parts of a relay that keep mailboxes: store, shell, blobs, and the ways to other services.
final class Mailboxes: Sendable {
    let desk: MailboxDesk
    let routes: BlobRoutes
    private let store: any MailboxStore
    private let blobs: BlobStore
    private let limits: MailboxHost.Limits
    private let environment: ServiceLinks.Environment
    private let did: DID

    /// - Returns: nil when messaging is off.
    init?(
        _ configuration: RelayConfiguration,
        _ folder: StateFolder,
        _ voice: RelayVoice,
        _ documents: RelayDocuments,
        _ replay: SharedReplayWindow,
        _ metrics: RelayMetrics,
        _ logger: Logger
    ) throws(RelayError) {
        let messaging = configuration.messaging
        guard messaging.enabled else { return nil }
        did = voice.key.did
        var limits = MailboxHost.Limits()
        limits.quota = messaging.quotaBytes > 0 ? Int64(messaging.quotaBytes) : nil
        limits.maximumBlob = Int64(configuration.blobs.maximumBlobBytes)
        limits.isHub = messaging.isHub
        limits.retention = messaging.retentionSeconds
        limits.mailbox.maximumRetention = messaging.archiveSeconds
        // Every message is counted before it comes here; the host's own count is a second one, for what it takes longer over.
        limits.depositBurst = messaging.messagesPerMinute > 0 ? messaging.messagesPerMinute : .max
        limits.depositsPerSecond = messaging.messagesPerMinute > 0 ? Double(messaging.messagesPerMinute) / 60 : 1e9
        self.limits = limits
        if messaging.inMemory {
            store = MemoryMailboxStore()
        } else {
            store = try SQLiteMailboxStore(
                path: folder.file("mailboxes.sqlite"),
                maximumBytes: messaging.maximumBytes,
                metrics: metrics
            )
        }
        blobs = BlobStore(
            try BlobFolder(
                path: configuration.blobs.folder ?? folder.file("blobs"),
                maximumBytes: Int64(configuration.blobs.maximumBytes)
            )
        )
        let policy = AddressPolicy(allowing: configuration.outboundRanges)
        let roots = TrustRoots(additionalFiles: configuration.trustedRoots)
        let client = GuardedHTTPClient(allows: { !policy.refuses($0) }, roots: roots)
        desk = MailboxDesk(
            MailboxDesk.Parts(
                store: store,
                limits: limits,
                scope: configuration.routing.scope,
                voice: voice,
                documents: documents,
                blobs: blobs,
                replicator: BlobReplicator(blobs, client: client, metrics: metrics),
                metrics: metrics,
                logger: logger
            )
        )
        routes = BlobRoutes(
            did: voice.key.did,
            store: blobs,
            keeper: desk,
            voice: voice,
            source: documents,
            replay: replay,
            metrics: metrics
        )
        environment = ServiceLinks.Environment(
            key: voice.key,
            roots: roots,
            allows: { !policy.refuses($0) },
            source: documents,
            replay: replay,
            maximum: max(1, messaging.links),
            metrics: metrics,
            clock: voice.clock,
            logger: logger
        )
        metrics.blobsKept.set(Int(blobs.folder.usedBytes))
    }

    /// Begins to serve, now that the relay listens at `url`.
    func open(at url: String, _ switchboard: Switchboard) throws(RelayError) {
        let desk = desk
        let links = ServiceLinks(environment) { [weak desk] id, service, answer in desk?.answered(id, service, answer) }
        let service = MailboxHost.Service(did: did, uri: url, blobEndpoint: Mailboxes.blobEndpoint(at: url))
        try desk.open(
            service,
            links: links,
            MailboxDesk.Observers(
                revoked: { [weak switchboard] record in switchboard?.revoke(record) },
                away: { [weak switchboard] device, envelope in
                    switchboard?.wakes?.stored(envelope, for: device, .message)
                }
            )
        )
    }

    /// What the relay's `hello` says of its mailboxes. M§4.3
    func capability(at url: String) -> MailboxCapability {
        MailboxCapability(
            hub: limits.isHub,
            blobEndpoint: Mailboxes.blobEndpoint(at: url),
            maximumBlobBytes: limits.maximumBlob,
            retention: limits.retention,
            maximumRetention: limits.mailbox.maximumRetention,
            quota: limits.quota
        )
    }

    func stop() async {
        await desk.stop()
        await blobs.stop()
        (store as? SQLiteMailboxStore)?.close()
    }

    /// Of `wss://host:port/dsip`, the same host by https.
    private static func blobEndpoint(at url: String) -> String {
        let authority = url.dropFirst("wss://".count).prefix { $0 != "/" }
        return "https://\(authority)\(BlobRoutes.path)"
    }
}

extension RelayConfiguration {
    /// Addresses beside public ones at which other services, their blobs and push endpoints are asked for: on a relay for this machine alone,
    /// those of this machine.
    var outboundRanges: [AddressRange] {
        if resolver.allowPrivateAddresses { return AddressRange.all }
        let isLocal = ["127.0.0.1", "::1", "localhost"].contains(host)
        return isLocal ? ["127.0.0.0/8", "::1/128"].compactMap(AddressRange.init) : []
    }

    /// PEM files whose roots are trusted besides the system's.
    var trustedRoots: [String] { resolver.additionalRoots.map { [$0] } ?? [] }
}

extension AddressRange {
    static var all: [AddressRange] { ["0.0.0.0/0", "::/0"].compactMap(AddressRange.init) }
}
