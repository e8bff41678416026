import DSIPBroadcast
import DSIPIdentity
import DSIPSignaling
import Encoding

/// Records and statements: what mutates is the payload, which is signed then, so that it comes as far as the rules.
let broadcastFuzzEntries: [FuzzEntry] = [
    FuzzEntry("broadcast-record", seeds: [publication, provenance, unpublish]) { bytes in
        let knowledge = BroadcastVerifier.Knowledge(documents: { _ in .unresolvable })
        var verifier = BroadcastVerifier()
        _ = verifier.publication(bytes, at: now, knowledge)
        guard let envelope = try? Envelope(signing: bytes, by: station).bytes else { return }
        if case .accepted(let record) = verifier.publication(envelope, at: now, knowledge) {
            precondition(StreamID.publishers(of: record.streamID).contains(record.publisher), "a stream is nobody’s")
            let reception = Reception(
                record,
                capabilities: ReceiverCapabilities(codecs: ["codec:audio/opus"], transports: ["transport:hls"])
            )
            precondition(
                reception.variant.map { $0.codec == "codec:audio/opus" } ?? true,
                "a variant that cannot be played"
            )
        }
        guard let original else { return }
        if case .accepted(let statement) = verifier.provenance(envelope, about: original, at: now, knowledge) {
            let reception = Reception(
                original,
                statements: [statement],
                capabilities: ReceiverCapabilities(codecs: [], transports: [])
            )
            precondition(
                (reception.integrity == .derivativeBound) == statement.isTranscode,
                "a mode nobody vouches for"
            )
        }
    },
    FuzzEntry("stream-id", seeds: ["did:web:wxyz.com:radio:main", "did:key:z6MkA:radio", ":::"]) { bytes in
        let id = String(decoding: bytes, as: UTF8.self)
        let publishers = StreamID.publishers(of: id)
        precondition(publishers.count <= 8, "too many publishers")
        for did in publishers where did.string.utf8.count < id.utf8.count {
            precondition(id.utf8.starts(with: did.string.utf8), "a publisher of another stream")
        }
    },
]

private let station = SigningKey()
private let now: Int64 = 1_760_000_010
private let version =
    #""dsip":{"core":"1.0","min_core":"1.0","profiles":["verified-broadcast/1.0"],"extensions":[],"critical":[]}"#
private let times = #""issued_at":1760000000,"expires_at":1760000300"#
private let id = "01K742SG00RBMKNW06WFFBQW9J"

private let publication =
    #"{\#(version),"type":"publish","id":"\#(id)","from":"\#(station.did)","publisher":"\#(station.did)","stream_id":"\#(station.did):radio","title":"R","state":"live","integrity":"metadata-only","variants":[{"id":"m","media":["audio"],"codec":"codec:audio/opus","transport":"transport:hls","uri":"https://l.example/m","integrity":"x"}],"policy":{"transcoding":"forbidden"},\#(times)}"#
private let provenance =
    #"{\#(version),"type":"provenance","id":"01K742SMW819KGVWFCB8T6RFH3","from":"\#(station.did)","original_stream":"\#(station.did):radio","original_publication":"\#(id)","processor":"\#(station.did)","operation":"transcode","input_variant":"m","output_variant":"n","output_uri":"https://c.example/n",\#(times)}"#
private let unpublish =
    #"{\#(version),"type":"unpublish","id":"01K742SMW819KGVWFCB8T6RFH3","from":"\#(station.did)","publisher":"\#(station.did)","stream_id":"\#(station.did):radio","publication":"\#(id)",\#(times)}"#

private let original: PublicationRecord? = {
    guard let envelope = try? Envelope(signing: Array(publication.utf8), by: station).bytes else { return nil }
    var verifier = BroadcastVerifier()
    let verdict = verifier.publication(envelope, at: now, .init(documents: { _ in .unresolvable }))
    if case .accepted(let record) = verdict { return record }
    preconditionFailure("the seed is no record: \(verdict)")
}()
