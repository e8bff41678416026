import DSIPIdentity
import DSIPMessaging
import DSIPSignaling
import Encoding

/// Checks of blobs: uploads, copies, sources. M§5.6, M§8.4
enum MessagingBlobs {
    private static func stored(_ input: JSONValue) throws -> Set<String> {
        Set(try input.list("stored") { try $0.asString("stored") })
    }

    static func put(_ input: JSONValue) throws -> JSONValue {
        let mailbox = try input.need("mailbox")
        let service = BlobUpload.Service(
            mailbox: try mailbox.needDID("did"),
            serves: Set(try mailbox.dids("serves")),
            maximumBlob: try mailbox.needInt("max_blob_bytes"),
            quota: mailbox.optional("quota_bytes")?.int,
            used: mailbox.optional("used_bytes")?.int ?? 0
        )
        let request = try input.need("request")
        let path = try request.needString("path_sha256")
        let authorization = try input.optional("authorization").map { value in
            let payload = try value.need("payload")
            return BlobUpload.Authorization(
                identity: try value.needDID("identity"),
                id: try payload.needULID("id"),
                to: try payload.needDID("to"),
                put: BlobPut(sha256: try payload.needString("sha256"), size: try payload.needInt("size"))
            )
        }
        let (upload, answer) = BlobUpload.begin(
            authorization,
            path: path,
            isStored: try stored(input).contains(path),
            at: service
        )
        guard answer == .readBody, let upload else { return json(answer) }
        return json(
            upload.finish(size: try request.needInt("body_size"), sha256: try request.needString("body_sha256"))
        )
    }

    private static func json(_ answer: BlobUpload.Answer) -> JSONValue {
        switch answer {
        case .refused(let status, let reason): return ["status": .int(Int64(status)), "reason": .string(reason.token)]
        case .accepted(let status, let id, let duplicate):
            var accepted: JSONObject = ["in_reply_to": .string(id.description)]
            if duplicate { accepted["duplicate"] = true }
            return ["status": .int(Int64(status)), "accepted": .object(accepted)]
        case .readBody: return ["status": 100]
        }
    }

    static func get(_ input: JSONValue) throws -> JSONValue {
        ["status": try stored(input).contains(try input.needString("path_sha256")) ? 200 : 404]
    }

    static func replicate(_ input: JSONValue) throws -> JSONValue {
        guard let mode = MailboxMode(rawValue: try input.needString("mode")) else { throw VectorFault("no such mode") }
        let entry = try input.needBlob("entry")
        var decision = BlobReplication.decide(
            entry,
            mode: mode,
            maximumBlob: try input.needInt("max_blob_bytes"),
            isStored: try stored(input).contains(entry.sha256)
        )
        if decision == .fetch, let fetched = input.optional("fetched") {
            decision = BlobReplication.fetched(
                entry,
                try response(fetched),
                attempt: Int(input.optional("attempt")?.int ?? 1),
                maximumAttempts: Int(input.optional("max_attempts")?.int ?? Int64(MessagingProfile.blobAttempts))
            )
        }
        switch decision {
        case .skip(let why): return ["action": "skip", "reason": .string(why.rawValue)]
        case .fetch: return ["action": "fetch"]
        case .store: return ["action": "store"]
        case .discard(let why, let retry):
            return ["action": "discard", "reason": .string(why.rawValue), "retry": .bool(retry)]
        }
    }

    private static func response(_ value: JSONValue) throws -> BlobResponse {
        BlobResponse(
            status: Int(try value.needInt("status")),
            sha256: value["sha256"]?.string,
            size: value["size"]?.int
        )
    }

    static func rewrite(_ input: JSONValue) throws -> JSONValue {
        let stored = try stored(input)
        let manifest = BlobReplication.manifest(
            try input.list("manifest") { try $0.asBlob() },
            endpoint: try input.needString("blob_endpoint"),
            isStored: stored.contains
        )
        return ["blobs": .array(manifest.map(\.json))]
    }

    static func sources(_ input: JSONValue) throws -> JSONValue {
        let sources = BlobFetch.sources(
            of: try input.needBlob("blob"),
            manifest: try input.list("manifest") { try $0.asBlob() }
        )
        return ["sources": .array(sources.map { .string($0) })]
    }

    static func fetch(_ input: JSONValue) throws -> JSONValue {
        let decision = BlobFetch.decide(
            try input.needBlob("blob"),
            tried: try input.list("tried") { (source: try $0.needString("uri"), response: try response($0)) },
            attempt: Int(input.optional("attempt")?.int ?? 1),
            maximumAttempts: Int(input.optional("max_attempts")?.int ?? Int64(MessagingProfile.blobAttempts))
        )
        switch decision {
        case .use(let source): return ["action": "play", "source": .string(source)]
        case .retry: return ["action": "retry", "reason": "unavailable"]
        case .giveUp(let why): return ["action": "give-up", "reason": .string(why.rawValue)]
        }
    }
}
