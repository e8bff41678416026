import DSIPIdentity
import DSIPSignaling
import Encoding

/// A `PUT` of a blob, judged step by step so that a body nobody will keep is not read. M§5.6
public struct BlobUpload: Hashable, Sendable {
    /// The mailbox, and what it holds for the owner.
    public struct Service: Sendable {
        public var mailbox: DID
        public var serves: Set<DID>
        /// Bytes.
        public var maximumBlob: Int64
        /// Bytes the owner may have here, and has; nil for no bound. M§4.4
        public var quota: Int64?
        public var used: Int64

        public init(mailbox: DID, serves: Set<DID>, maximumBlob: Int64, quota: Int64? = nil, used: Int64 = 0) {
            self.mailbox = mailbox
            self.serves = serves
            self.maximumBlob = maximumBlob
            self.quota = quota
            self.used = used
        }
    }

    /// A verified `blob-put`: its payload, and the identity its device acts for.
    public struct Authorization: Hashable, Sendable {
        public var identity: DID
        public var id: ULID
        public var to: DID
        public var put: BlobPut

        public init(identity: DID, id: ULID, to: DID, put: BlobPut) {
            self.identity = identity
            self.id = id
            self.to = to
            self.put = put
        }
    }

    public enum Answer: Hashable, Sendable {
        /// With a signed `error`.
        case refused(status: Int, Reason)
        /// With a signed `accepted`: 201, or 200 with `duplicate` for one already stored.
        case accepted(status: Int, inReplyTo: ULID, duplicate: Bool)
        /// Read the body, and ask ``finish(size:sha256:)``.
        case readBody
    }

    private let id: ULID
    private let put: BlobPut

    /// What is known from the request's head.
    ///
    /// - Parameters:
    ///   - authorization: nil when there is none, or it does not verify.
    ///   - path: the `{sha256}` of the URL.
    ///   - isStored: whether the service holds that blob.
    /// - Returns: the upload, when its body is wanted, and the answer.
    public static func begin(
        _ authorization: Authorization?,
        path: String,
        isStored: Bool,
        at service: Service
    ) -> (upload: BlobUpload?, answer: Answer) {
        guard let authorization else { return (nil, .refused(status: 401, .policyBlocked)) }
        let put = authorization.put
        if authorization.to != service.mailbox { return (nil, .refused(status: 403, .policyBlocked)) }
        if !service.serves.contains(authorization.identity) {
            return (nil, .refused(status: 403, .transportUnknownRecipient))
        }
        if path != put.sha256 { return (nil, .refused(status: 400, .policyBlocked)) }
        if put.size > service.maximumBlob { return (nil, .refused(status: 413, .mailboxObjectTooLarge)) }
        if let quota = service.quota, !isStored, put.size > quota - service.used {
            return (nil, .refused(status: 507, .mailboxQuotaExceeded))
        }
        if isStored { return (nil, .accepted(status: 200, inReplyTo: authorization.id, duplicate: true)) }
        return (BlobUpload(id: authorization.id, put: put), .readBody)
    }

    private init(id: ULID, put: BlobPut) {
        self.id = id
        self.put = put
    }

    /// Bytes after which reading may stop: the upload is longer than it was to be.
    public var expectedSize: Int64 { put.size }

    /// The body has been read.
    public func finish(size: Int64, sha256: String) -> Answer {
        guard size == put.size, sha256 == put.sha256 else { return .refused(status: 400, .mailboxBlobMismatch) }
        return .accepted(status: 201, inReplyTo: id, duplicate: false)
    }
}
