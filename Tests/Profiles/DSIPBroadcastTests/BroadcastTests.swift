import DSIPBroadcast
import DSIPIdentity
import DSIPSignaling
import Encoding
import Testing

@Suite("Records, statements and what a receiver makes of them (DSIP §22)")
struct BroadcastTests {
    @Test("a record is believed for as long as it says, however late it is read, and no longer than a day")
    func age() throws {
        let frame = try Scene.envelope(Scene.publish(), lifetime: 3_600)
        #expect(try Scene.verify(frame, at: Scene.now + 3_600).streamID == Scene.stream)
        #expect(throws: BroadcastError.envelope(Rejection(.expired, ""))) {
            try Scene.verify(frame, at: Scene.now + 3_601)
        }
        let endless = try Scene.envelope(Scene.publish(), lifetime: 10_000_000)
        #expect(try Scene.verify(endless, at: Scene.now + 86_400).streamID == Scene.stream)
        #expect(throws: BroadcastError.envelope(Rejection(.replayWindow, ""))) {
            try Scene.verify(endless, at: Scene.now + 86_401)
        }
        #expect(throws: BroadcastError.envelope(Rejection(.replayWindow, ""))) {
            try Scene.verify(frame, at: Scene.now - 301)
        }
    }

    @Test("a record is refused that names another publisher, or a stream outside the publisher’s namespace")
    func namespace() throws {
        let other = try Scene.envelope(
            Scene.publish(stream: Scene.processor.did.string, publisher: Scene.processor),
            by: Scene.station
        )
        #expect(throws: BroadcastError.publisherMismatch) { try Scene.verify(other) }
        let own = Scene.station.did.string
        for stream in [
            Scene.processor.did.string, own + "radio", own + ":", String(own.dropLast()), "did:web:wxyz.com",
        ] {
            let frame = try Scene.envelope(Scene.publish(stream: stream))
            #expect(throws: BroadcastError.streamIDNamespace) { try Scene.verify(frame) }
        }
        let long = try Scene.envelope(Scene.publish(stream: own + ":" + String(repeating: "x", count: 600)))
        #expect(throws: BroadcastError.streamIDNamespace) { try Scene.verify(long) }
    }

    @Test("what is no publication is no record, however well it is signed")
    func otherTypes() throws {
        let frame = try Scene.envelope(
            Unpublish(publisher: Scene.station.did, streamID: Scene.stream, publication: Scene.id(1))
        )
        #expect(throws: BroadcastError.unexpectedType) { try Scene.verify(frame) }
        var damaged = try Scene.envelope(Scene.publish())
        damaged[damaged.count - 10] ^= 1
        #expect(throws: BroadcastError.self) { try Scene.verify(damaged) }
        #expect(throws: BroadcastError.envelope(Rejection(.envelopeShape, ""))) { try Scene.verify([]) }
    }

    @Test("of two records of one stream the one with the later id stands")
    func order() throws {
        let first = try Scene.verify(Scene.envelope(Scene.publish(), at: Scene.now - 10))
        let second = try Scene.verify(Scene.envelope(Scene.publish(), at: Scene.now))
        #expect(second.replaces(first) && !first.replaces(second) && !first.replaces(first))
        let elsewhere = try Scene.verify(Scene.envelope(Scene.publish(stream: Scene.station.did.string), at: Scene.now))
        #expect(!elsewhere.replaces(first))
    }

    @Test("the first variant is chosen whose codec and transport are both known")
    func variants() throws {
        func choice(_ codecs: Set<String>, _ transports: Set<String>) -> String? {
            ReceiverCapabilities(codecs: codecs, transports: transports).choose(from: Scene.variants)?.id
        }
        #expect(choice(["codec:audio/opus", "codec:audio/aac"], ["transport:webrtc", "transport:hls"]) == "opus")
        #expect(choice(["codec:audio/opus", "codec:audio/aac"], ["transport:hls"]) == "aac")
        #expect(choice(["codec:audio/opus"], ["transport:hls"]) == nil)
        #expect(choice([], []) == nil)
    }

    @Test("a statement must be about this record, its stream and a variant of it, and be its processor’s own")
    func statements() throws {
        let record = try Scene.record()
        func fault(_ change: (inout Provenance) -> Void) -> BroadcastError? {
            var statement = Scene.statement("transcode", about: record)
            change(&statement)
            do {
                _ = try Scene.verify(statement, about: record)
                return nil
            } catch {
                return error as? BroadcastError
            }
        }
        #expect(fault { _ in } == nil)
        #expect(fault { $0.originalPublication = Scene.id(Scene.now, 9) } == .provenanceUnknownPublication)
        #expect(fault { $0.originalStream += ":x" } == .provenanceStreamMismatch)
        #expect(fault { $0.processor = Scene.station.did } == .provenanceProcessorMismatch)
        #expect(fault { $0.inputVariant = "mp3" } == .provenanceVariantUnknown)
    }

    @Test("a transcode makes the stream derivative-bound, and relaying or repackaging never does")
    func integrity() throws {
        let record = try Scene.record()
        let none = ReceiverCapabilities(codecs: [], transports: [])
        let statements = try ["relay", "repackage", "something-new"].map {
            try Scene.verify(Scene.statement($0, about: record), about: record)
        }
        let relayed = Reception(record, statements: statements, capabilities: none)
        #expect(relayed.integrity == .metadataOnly)
        #expect(relayed.deliveredBy == [Scene.processor.did] && relayed.transcodedBy.isEmpty)
        let transcode = try Scene.verify(Scene.statement("transcode", about: record), about: record)
        let both = Reception(record, statements: statements + [transcode], capabilities: none)
        #expect(both.integrity == .derivativeBound)
        #expect(both.transcodedBy == [Scene.processor.did] && both.deliveredBy == [Scene.processor.did])
    }

    @Test("a variant’s own integrity goes before the record’s, and an unknown mode is the weakest")
    func declared() throws {
        let aac = ReceiverCapabilities(codecs: ["codec:audio/aac"], transports: ["transport:hls"])
        let opus = ReceiverCapabilities(codecs: ["codec:audio/opus"], transports: ["transport:webrtc"])
        let plain = try Scene.record()
        #expect(Reception(plain, capabilities: aac).integrity == .derivativeBound)
        #expect(Reception(plain, capabilities: opus).integrity == .metadataOnly)
        #expect(
            try Reception(Scene.record(integrity: "derivative-bound"), capabilities: opus).integrity == .derivativeBound
        )
        #expect(try Reception(Scene.record(integrity: "segment-bound"), capabilities: opus).integrity == .metadataOnly)
    }

    @Test("what the publisher forbids is said of a statement and does not make it false")
    func policy() throws {
        func violation(_ operation: String, _ policy: MediaPolicy) throws -> ProvenanceRecord.PolicyViolation? {
            let record = try Scene.record(policy: policy)
            return try Scene.verify(Scene.statement(operation, about: record), about: record).policyViolation
        }
        #expect(try violation("transcode", ["transcoding": "forbidden"]) == .transcoding)
        #expect(try violation("relay", ["transcoding": "forbidden"]) == nil)
        #expect(try violation("relay", ["redistribution": "forbidden"]) == .redistribution)
        #expect(
            try violation("transcode", ["redistribution": "forbidden", "transcoding": "forbidden"]) == .redistribution
        )
        #expect(try violation("transcode", ["redistribution": "allowed-with-attribution"]) == nil)
    }

    @Test("a stream id tells whose it could be, the longest first, and never more than a few")
    func publishers() {
        #expect(StreamID.publishers(of: "did:key:z6MkA:radio:main").map(\.string) == ["did:key:z6MkA"])
        #expect(
            StreamID.publishers(of: "did:web:wxyz.com:radio:main").map(\.string)
                == ["did:web:wxyz.com:radio:main", "did:web:wxyz.com:radio", "did:web:wxyz.com"]
        )
        #expect(StreamID.publishers(of: "did:web:x" + String(repeating: ":y", count: 100)).count == 8)
        #expect(StreamID.publishers(of: "radio").isEmpty)
        #expect(StreamID.publishers(of: "").isEmpty)
        #expect(StreamID.publishers(of: "did:web:" + String(repeating: "a", count: 600)).isEmpty)
    }
}
