import DSIPIdentity
import DSIPSignaling
import Encoding

/// The `context` of a vector: what the receiver knows, and when.
struct ReceiverContext {
    let now: Int64
    let documents: [DID: DIDDocument]
    let delegations: DelegationStore
    let revocations: Revocations
    let policy: VerificationPolicy
    let helloVerified: Bool
    let sentHello: ULID?
    var replay = ReplayWindow()

    init(_ context: JSONValue?) throws {
        self.now = context?["now"]?.int ?? 0
        var documents: [DID: DIDDocument] = [:]
        for (name, json) in context?["did_documents"]?.object?.members ?? [] {
            guard let did = DID(name), let document = try? DIDDocument(json: json, expecting: did) else { continue }
            documents[did] = document
        }
        self.documents = documents
        self.delegations = DelegationStore(try Self.envelopes(context?["delegations"]))
        var revocations = Revocations()
        for envelope in try Self.envelopes(context?["revocations"]) {
            guard let claim = DelegationRevocation.decode(envelope),
                let document = documents[claim.subject] ?? DIDKey.document(of: claim.subject),
                let revocation = try? DelegationRevocation.verify(envelope, document: document)
            else { continue }
            revocations.insert(revocation)
        }
        self.revocations = revocations
        self.policy = VerificationPolicy(
            supported: try Self.supported(context?["supported"]),
            isRouter: context?["router"]?.bool ?? false
        )
        self.helloVerified = context?["hello_verified"]?.bool ?? true
        self.sentHello = try context?["sent_hello_id"].map(Self.ulid)
        for id in context?["seen_ids"]?.array ?? [] {
            _ = replay.remember(try Self.ulid(id), until: now + 600, at: now)
        }
    }

    func lookup(_ did: DID) -> DocumentLookup { documents[did].map { .found($0) } ?? .unresolvable }

    static func ulid(_ value: JSONValue) throws -> ULID {
        guard let id = value.string.flatMap({ ULID($0) }) else { throw VectorFault("not a ULID: \(value.text)") }
        return id
    }

    private static func envelopes(_ list: JSONValue?) throws -> [Envelope] {
        try (list?.array ?? []).map { value in
            guard let envelope = Envelope(value.utf8) else { throw VectorFault("not an envelope: \(value.text)") }
            return envelope
        }
    }

    private static func supported(_ value: JSONValue?) throws -> SupportedVersions {
        guard let value else { return SupportedVersions() }
        func ids(_ name: String) throws -> [ProfileID] {
            try (value[name]?.array ?? []).map { element in
                guard let id = element.string.flatMap({ ProfileID($0) }) else {
                    throw VectorFault("not a profile: \(element.text)")
                }
                return id
            }
        }
        guard let core = ProtocolVersion(value["core"]?.string ?? "1.0") else { throw VectorFault("not a version") }
        return SupportedVersions(core: core, profiles: try ids("profiles"), extensions: try ids("extensions"))
    }
}

/// Verdicts in the vectors' words.
enum VerdictJSON {
    static func rejected(_ rejection: Rejection) -> JSONValue {
        var object: JSONObject = ["verdict": "reject", "code": .string(rejection.code.rawValue)]
        if let reason = rejection.reason { object["reason"] = .string(reason.token) }
        return .object(object)
    }

    static func accepted(_ members: JSONObject = [:], _ interpretation: Interpretation = Interpretation()) -> JSONValue
    {
        var object = members
        object["verdict"] = "accept"
        var effective: JSONObject = [:]
        if let reason = interpretation.reason { effective["reason"] = .string(reason.token) }
        if let fallback = interpretation.fallback { effective["fallback"] = .string(fallback.rawValue) }
        if let answeredBy = interpretation.answeredBy { effective["answered_by"] = .string(answeredBy.token) }
        if let status = interpretation.status { effective["status"] = .string(status.token) }
        if !effective.isEmpty { object["effective"] = .object(effective) }
        if !interpretation.warnings.isEmpty {
            object["warnings"] = .array(interpretation.warnings.map { .string($0.rawValue) })
        }
        return .object(object)
    }
}
