import DSIPBroadcast
import DSIPIdentity
import DSIPSignaling
import Encoding
import Support

/// A station, a processor, and what they sign.
enum Scene {
    static let now: Int64 = 1_790_000_000
    static let station = SigningKey()
    static let processor = SigningKey()
    static var knowledge: BroadcastVerifier.Knowledge { .init(documents: { _ in .unresolvable }) }

    static var stream: String { station.did.string + ":radio:main" }

    static func id(_ seconds: Int64, _ seed: UInt64 = 1) -> ULID {
        var random = SeededRandom(seed: seed)
        return ULID(milliseconds: UInt64(seconds) * 1000, using: &random)
    }

    static let variants = [
        variant("opus", "codec:audio/opus", "transport:webrtc"),
        variant("aac", "codec:audio/aac", "transport:hls", integrity: "derivative-bound"),
    ]

    static func variant(_ id: String, _ codec: String, _ transport: String, integrity: String? = nil) -> Publish.Variant
    {
        Publish.Variant(
            id: id,
            media: [.audio],
            codec: codec,
            transport: transport,
            uri: "https://live.example/\(id)",
            parameters: integrity.map { ["integrity": .string($0)] } ?? [:]
        )
    }

    static func publish(
        stream: String = stream,
        publisher: SigningKey = station,
        integrity: String? = nil,
        policy: MediaPolicy? = nil
    ) -> Publish {
        Publish(
            publisher: publisher.did,
            streamID: stream,
            state: .live,
            integrity: integrity,
            variants: variants,
            policy: policy
        )
    }

    static func envelope(
        _ body: some MessageBody,
        by key: SigningKey = station,
        at issued: Int64 = now,
        lifetime: Int64 = 3_600,
        seed: UInt64 = 1
    ) throws -> [UInt8] {
        let stamp = Message.Stamp(
            id: id(issued, seed),
            from: key.did,
            issuedAt: issued,
            lifetime: lifetime,
            version: VersionBlock(profiles: [.verifiedBroadcast])
        )
        return try Message(stamp, body).signed(by: key).bytes
    }

    static func verify(_ frame: [UInt8], at now: Int64 = now) throws(BroadcastError) -> PublicationRecord {
        var verifier = BroadcastVerifier()
        switch verifier.publication(frame, at: now, knowledge) {
        case .accepted(let record): return record
        case .refused(let error): throw error
        case .needs: throw .unexpectedType
        }
    }

    static func record(policy: MediaPolicy? = nil, integrity: String? = nil) throws -> PublicationRecord {
        try verify(envelope(publish(integrity: integrity, policy: policy)))
    }

    static func statement(
        _ operation: String,
        about record: PublicationRecord,
        by key: SigningKey = processor,
        input: String = "opus",
        output: String = "mp3"
    ) -> Provenance {
        Provenance(
            originalStream: record.streamID,
            originalPublication: record.id,
            processor: key.did,
            operation: operation,
            inputVariant: input,
            outputVariant: output
        )
    }

    static func verify(
        _ statement: Provenance,
        about record: PublicationRecord,
        by key: SigningKey = processor
    ) throws -> ProvenanceRecord {
        var verifier = BroadcastVerifier()
        switch verifier.provenance(try envelope(statement, by: key), about: record, at: now, knowledge) {
        case .accepted(let record): return record
        case .refused(let error): throw error
        case .needs: throw BroadcastError.unexpectedType
        }
    }
}
