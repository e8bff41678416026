/// Everything the relay counts. No label ever holds a DID, an address or a name.
final class RelayMetrics: Sendable {
    let connections = Gauge()
    let bound = Gauge()
    let heldEnvelopes = Gauge()
    let heldBytes = Gauge()
    let unwritten = Gauge()
    let names = Gauge()
    let received = CounterFamily(label: "type")
    let delivered = CounterFamily(label: "type")
    let rejected = CounterFamily(label: "code")
    let refused = CounterFamily(label: "reason", limit: 128)
    let limited = CounterFamily(label: "limit")
    let introductionsDropped = Counter()
    let held = Counter()
    let flushed = Counter()
    let expired = Counter()
    let storeFailures = Counter()
    let attemptsWritten = Counter()
    let commit = Histogram(bounds: [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1])
    let commitBatch = Histogram(bounds: [1, 2, 4, 8, 16, 32, 64, 128, 256])
    let http = CounterFamily(label: "route")
    let stun = Counter()
    let mailboxMessages = CounterFamily(label: "kind")
    let mailboxCommit = Histogram(bounds: [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1])
    let mailboxBatch = Histogram(bounds: [1, 2, 4, 8, 16, 32, 64, 128, 256])
    let mailboxFailures = Counter()
    /// 1 while the last commit of the mailboxes failed.
    let mailboxFault = Gauge()
    let mailboxWaiting = Gauge()
    let deposits = CounterFamily(label: "outcome")
    let links = Gauge()
    let blobs = CounterFamily(label: "outcome")
    let blobBytes = CounterFamily(label: "direction")
    let blobsKept = Gauge()
    let replications = CounterFamily(label: "outcome")
    let handoversExpired = Counter()
    let wakes = CounterFamily(label: "outcome")
    let wakeable = Gauge()
    let ratchet = CounterFamily(label: "what")
    let publications = Gauge()

    func render(uptime seconds: Int) -> String {
        var page = PrometheusText()
        page.gauge("dsip_relay_uptime_seconds", "Seconds since the relay began to accept connections.", seconds)
        page.gauge("dsip_relay_connections", "Open signaling connections.", connections.value)
        page.gauge("dsip_relay_bound_devices", "Connections with a verified hello.", bound.value)
        page.counters("dsip_relay_received_total", "Verified envelopes received, by message type.", received)
        page.counters("dsip_relay_delivered_total", "Envelopes written to a connection, by message type.", delivered)
        page.counters("dsip_relay_rejected_total", "Frames that failed verification, by verdict code.", rejected)
        page.counters("dsip_relay_refused_total", "Signed errors sent, by reason.", refused)
        page.counters("dsip_relay_limited_total", "Requests refused by a rate limit, by limit.", limited)
        page.counter(
            "dsip_relay_introductions_dropped_total",
            "Introductions dropped in silence, as the protocol asks.",
            introductionsDropped
        )
        page.gauge("dsip_relay_held_envelopes", "Envelopes held for offline recipients.", heldEnvelopes.value)
        page.gauge("dsip_relay_held_bytes", "Bytes of those envelopes.", heldBytes.value)
        page.gauge("dsip_relay_unwritten_changes", "Changes waiting for the next commit.", unwritten.value)
        page.counter("dsip_relay_held_total", "Envelopes taken into the store.", held)
        page.counter("dsip_relay_flushed_total", "Held envelopes delivered.", flushed)
        page.counter("dsip_relay_expired_total", "Held envelopes that expired undelivered.", expired)
        page.counter(
            "dsip_relay_attempts_written_total",
            "Ringing calls written to outlive a restart.",
            attemptsWritten
        )
        page.counter("dsip_relay_store_failures_total", "Commits that failed.", storeFailures)
        page.histogram("dsip_relay_commit_seconds", "Duration of a commit.", commit)
        page.histogram("dsip_relay_commit_batch", "Changes in a commit.", commitBatch)
        page.gauge("dsip_relay_names", "Names registered here.", names.value)
        page.counters("dsip_relay_http_requests_total", "HTTP requests, by route.", http)
        page.counter("dsip_relay_stun_responses_total", "STUN binding responses sent.", stun)
        renderMessaging(&page)
        return page.text
    }

    private func renderMessaging(_ page: inout PrometheusText) {
        page.counters(
            "dsip_relay_mailbox_messages_total",
            "Verified messages of the messaging profile, by type.",
            mailboxMessages
        )
        page.gauge("dsip_relay_mailbox_waiting", "Those that wait for the mailboxes.", mailboxWaiting.value)
        page.histogram("dsip_relay_mailbox_commit_seconds", "Duration of a commit of the mailboxes.", mailboxCommit)
        page.histogram("dsip_relay_mailbox_commit_batch", "Messages in such a commit.", mailboxBatch)
        page.counter("dsip_relay_mailbox_store_failures_total", "Such commits that failed.", mailboxFailures)
        page.counters("dsip_relay_deposits_total", "Deposits at other services, by outcome.", deposits)
        page.gauge("dsip_relay_service_links", "Connections to other services.", links.value)
        page.counters("dsip_relay_blobs_total", "Uploads of blobs, by outcome.", blobs)
        page.counters("dsip_relay_blob_bytes_total", "Bytes of blobs on the way, by direction.", blobBytes)
        page.gauge("dsip_relay_blob_kept_bytes", "Bytes of all blobs kept.", blobsKept.value)
        page.counters("dsip_relay_blob_replications_total", "Blobs asked of other services, by outcome.", replications)
        page.counter(
            "dsip_relay_handovers_expired_total",
            "Groups whose old hub never handed over its last items.",
            handoversExpired
        )
        page.counters("dsip_relay_ratchet_total", "Sealed messages and prekeys, by what became of them.", ratchet)
        page.gauge("dsip_relay_publications", "Streams that this relay holds the records of.", publications.value)
        page.counters("dsip_relay_push_wakes_total", "Wakes of devices that are away, by outcome.", wakes)
        page.gauge("dsip_relay_push_devices", "Devices that have said how they are woken.", wakeable.value)
    }
}
