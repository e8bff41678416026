import DSIPIdentity
import Encoding

extension SubscriptionAuthority {
    /// A publication as an authority shows it.
    public struct PublicationSnapshot: Hashable, Sendable {
        public let stream: String
        public let publication: ULID
        public let publisher: DID
        public let state: String
        public let processors: [DID]
    }

    /// A live subscription as an authority shows it.
    public struct SubscriptionSnapshot: Hashable, Sendable {
        public let id: ULID
        /// The subscribing identity.
        public let subscriber: DID
        public let device: DID
        public let target: String
        public let events: [String]
        public let seq: Int64
        /// Unix seconds.
        public let expiresAt: Int64
    }

    /// The stream whose current record is `publication`.
    public func stream(of publication: ULID) -> String? { records.stream(of: publication) }

    /// In stream order.
    public var publicationSnapshots: [PublicationSnapshot] {
        records.records.values.map {
            PublicationSnapshot(
                stream: $0.publication.stream,
                publication: $0.publication.id,
                publisher: $0.publication.publisher,
                state: $0.state,
                processors: $0.processors
            )
        }.sorted { $0.stream < $1.stream }
    }

    /// In id order.
    public var subscriptionSnapshots: [SubscriptionSnapshot] {
        subscriptions.values.map {
            SubscriptionSnapshot(
                id: $0.request.id,
                subscriber: $0.request.identity,
                device: $0.request.device,
                target: $0.request.target,
                events: $0.request.events,
                seq: $0.seq,
                expiresAt: $0.expiresAt
            )
        }.sorted { $0.id < $1.id }
    }
}
