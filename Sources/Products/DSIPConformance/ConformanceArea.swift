import Encoding

/// One kind of published vector: how it is run, and where its expectation stands.
public struct ConformanceArea: Sendable {
    /// The `kind` of the files, and the name of the line.
    public let name: String
    /// The member of the results file: `actual`, or `steps` for traces.
    let member: String
    /// What was computed.
    let run: @Sendable (_ vector: JSONValue) throws -> JSONValue
    /// What must be equal to it.
    let expectation: @Sendable (_ vector: JSONValue) -> JSONValue

    init(
        _ name: String,
        member: String = "actual",
        expectation: @escaping @Sendable (JSONValue) -> JSONValue = { $0["expect"] ?? .null },
        run: @escaping @Sendable (JSONValue) throws -> JSONValue
    ) {
        self.name = name
        self.member = member
        self.run = run
        self.expectation = expectation
    }

    /// The areas known here, in the order of their lines.
    public static let all: [ConformanceArea] = [
        ConformanceArea("envelope", run: EnvelopeArea.run),
        ConformanceArea("payload", run: PayloadArea.run),
        ConformanceArea("semantic", run: SemanticArea.run),
        ConformanceArea("transport", run: EnvelopeArea.run),
        ConformanceArea("media-binding", run: MediaBindingArea.run),
        ConformanceArea("messaging", run: MessagingArea.run),
        ConformanceArea("trust", run: TrustArea.run),
        ConformanceArea("broadcast", run: BroadcastArea.run),
        ConformanceArea("dht", run: HintArea.run),
        ConformanceArea("pkarr", run: PkarrArea.run),
        ConformanceArea("did-webvh", run: WebVHArea.run),
        ConformanceArea("ratchet", run: RatchetArea.run),
        ConformanceArea("state", member: "steps", expectation: stepExpectations, run: StateArea.run),
    ]

    /// The expectation of a trace whose steps carry their own.
    static func stepExpectations(_ vector: JSONValue) -> JSONValue {
        .array((vector["input"]?["steps"]?.array ?? []).map { $0["expect"] ?? .null })
    }
}

/// A vector that cannot be run, said in a sentence.
struct VectorFault: Error, CustomStringConvertible {
    let description: String

    init(_ description: String) { self.description = description }
}

/// A vector that asks for something not built yet; it is skipped, never counted as agreeing.
struct Unimplemented: Error, CustomStringConvertible {
    let description: String

    init(_ description: String) { self.description = description }
}
