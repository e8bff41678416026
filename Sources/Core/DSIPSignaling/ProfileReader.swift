import DSIPIdentity
import Encoding

/// How the payloads of message types that profiles define are read inside the verification pipeline.
///
/// A connection carries core messages and those of profiles side by side. It is made with one reader, and hands on what the reader
/// made as `Verified<any Sendable>`, which whoever knows the profile narrows again:
///
/// ```swift
/// let reader = ProfileReader(["deposit", "sync"]) { payload throws(ProfileReader.Refusal) in try Deposit(payload) }
/// let deposit = message.narrowed(as: Deposit.self)
/// ```
public struct ProfileReader: Sendable {
    /// A payload that breaks a rule of its profile; the envelope around it is in order.
    public struct Refusal: Error, Hashable, Sendable {
        /// What to answer with; nil where the profile assigns no token.
        public var reason: Reason?
        /// One word for the rule, without peer data.
        public var detail: String

        public init(_ reason: Reason?, _ detail: String) {
            self.reason = reason
            self.detail = detail
        }
    }

    public typealias Read = @Sendable (JSONView) throws(Refusal) -> any Sendable

    private var readers: [String: Read] = [:]
    private var kept: Set<String> = []

    /// Reads nothing: every type that the core does not know is refused as unknown.
    public static let none = ProfileReader()

    private init() {}

    /// - Parameters:
    ///   - types: values of `type`. Types of the core are never read this way.
    ///   - isKept: whether a service keeps such messages for their recipient until they expire. They are verified as of when they were
    ///     issued, as `EnvelopeVerifier.verifyKept` does, and it is for the profile to know one that came before.
    ///   - read: the payload as a value of the profile; it throws the first rule that is broken.
    public init(_ types: some Sequence<String>, isKept: Bool = false, _ read: @escaping Read) {
        for type in types {
            readers[type] = read
            if isKept { kept.insert(type) }
        }
    }

    /// Both; where both read a type, `other` does.
    public func joined(with other: ProfileReader) -> ProfileReader {
        var joined = self
        joined.readers.merge(other.readers) { $1 }
        joined.kept = kept.subtracting(other.readers.keys).union(other.kept)
        return joined
    }

    func reader(for payload: JSONView) -> (read: Read, isKept: Bool)? {
        guard !readers.isEmpty, let type = payload["type"]?.string, let read = readers[type] else { return nil }
        return (read, kept.contains(type))
    }
}

/// What became of a frame on a connection that carries profiles beside the core.
public enum MixedVerdict: Sendable {
    case message(Verified<Message>)
    /// As the connection's ``ProfileReader`` read it.
    case profile(Verified<any Sendable>)
    /// Answer `from`, about `id`.
    case refused(ProfileReader.Refusal, id: ULID, from: DID)
    case rejected(Rejection)
    /// As in ``Verdict/needs(_:)``.
    case needs(DID)
}

extension Verified<any Sendable> {
    /// The same statement as the type that its profile gives it, or nil when it is of another.
    public func narrowed<Content: Sendable>(as type: Content.Type) -> Verified<Content>? {
        guard let content = body as? Content else { return nil }
        return Verified<Content>(
            content,
            envelope: envelope,
            signer: signer,
            identity: identity,
            principal: principal,
            delegation: delegation,
            unresolved: unresolved
        )
    }
}

extension EnvelopeVerifier {
    /// Verifies one frame of a connection that carries core messages and those of profiles; it is opened once.
    ///
    /// Parameters are those of `verify(_:at:replay:helloVerified:sentHello:documents:delegations:revocations:)`.
    public mutating func verify(
        _ frame: [UInt8],
        at now: Int64,
        replay: inout some ReplayGuard,
        helloVerified: Bool = true,
        sentHello: ULID? = nil,
        documents: (DID) -> DocumentLookup,
        delegations: DelegationStore = [],
        revocations: Revocations = Revocations(),
        profiles: ProfileReader
    ) -> MixedVerdict {
        let context = BindingContext(now: now, held: delegations, revocations: revocations)
        do throws(Stop) {
            let opened = try open(frame, at: context.now, documents)
            guard opened.payload.type == nil, let reader = profiles.reader(for: opened.payload.root) else {
                return .message(
                    try check(
                        opened,
                        of: frame.count,
                        context,
                        replay: &replay,
                        helloVerified: helloVerified,
                        sentHello: sentHello,
                        documents: documents
                    )
                )
            }
            let verdict = try check(
                opened,
                context,
                replay: &replay,
                helloVerified: helloVerified,
                documents: documents,
                isKept: reader.isKept,
                reading: reader.read
            )
            switch verdict {
            case .accepted(let message): return .profile(message)
            case .refused(let refusal, let id, let from, _): return .refused(refusal, id: id, from: from)
            case .rejected(let rejection): return .rejected(rejection)
            case .needs(let did): return .needs(did)
            }
        } catch {
            switch error {
            case .rejected(let rejection): return .rejected(rejection)
            case .needs(let did): return .needs(did)
            }
        }
    }
}
