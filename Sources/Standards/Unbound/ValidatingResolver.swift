import CUnbound
import Dispatch

/// Asks the DNS and validates every answer up to a trust anchor (RFC 4035), by libunbound: from the root itself, or through a forwarder, which
/// need not be trusted.
///
/// ```swift
/// let dns = try ValidatingResolver()
/// let answer = try await dns.ask("_did.alice.example.com", type: .txt)
/// answer.verdict      // .secure, .insecure or .bogus
/// ```
///
/// libunbound works on a thread of its own; everything of ours that touches it runs on one queue. It says nothing of what it was asked to
/// anybody but the servers that answer.
public final class ValidatingResolver: Sendable {
    public struct Configuration: Sendable {
        /// Resolvers to ask instead of the authoritative servers, `192.0.2.53` or `127.0.0.1@5353`.
        public var forwarders: [String] = []
        /// DS or DNSKEY records in zone file format; those of the root by default.
        public var anchors: [String] = TrustAnchors.root
        /// Milliseconds for an answer.
        public var patience: Int = 4_000

        public init() {}
    }

    public enum RecordType: UInt16, Sendable {
        case txt = 16
        case srv = 33
    }

    public enum Verdict: Hashable, Sendable {
        /// Signatures lead from an anchor to the answer.
        case secure
        /// No anchor covers it: a zone above says that what is below is not signed.
        case insecure
        /// There should be signatures, and they are not right.
        case bogus
    }

    public struct Answer: Hashable, Sendable {
        /// Rdata of each record, as on the wire.
        public var records: [[UInt8]]
        public var verdict: Verdict
    }

    /// Questions at a time.
    public static let maximumQuestions = 64
    /// Records that are read of an answer.
    private static let maximumRecords = 64
    private static let internetClass: Int32 = 1

    private let context: Context
    private let patience: Int

    /// - Throws: `unavailable` without libunbound, `malformed` for a forwarder or an anchor that it does not take.
    public init(_ configuration: Configuration = Configuration()) throws(UnboundError) {
        guard let library = UnboundLibrary.shared else {
            throw UnboundError(.unavailable, "libunbound is not installed")
        }
        context = try Context(library, configuration)
        patience = configuration.patience
    }

    deinit { context.close() }

    /// - Parameter name: absolute, with or without the last point.
    /// - Returns: the answer, without records when there are none; a bogus one has none either.
    public func ask(_ name: String, type: RecordType) async throws(UnboundError) -> Answer {
        guard (1...254).contains(name.utf8.count), !name.utf8.contains(0) else {
            throw UnboundError(.malformed, "a name has 1 to 254 bytes")
        }
        let (context, patience) = (context, patience)
        let result = await withCheckedContinuation { continuation in
            context.ask(name, type.rawValue, patience: patience) { continuation.resume(returning: $0) }
        }
        return try result.get()
    }

    /// One libunbound context. Confined to `queue`, which is why it may be shared.
    private final class Context: @unchecked Sendable {
        private let library: UnboundLibrary
        private let handle: OpaquePointer
        private let queue = DispatchQueue(label: "dns")
        private let source: any DispatchSourceRead
        private var questions: Set<ObjectIdentifier> = []

        init(_ library: UnboundLibrary, _ configuration: Configuration) throws(UnboundError) {
            guard let handle = library.create() else { throw UnboundError(.unavailable, "libunbound has no memory") }
            self.library = library
            self.handle = handle
            // Quiet: what it would log names what was asked.
            _ = library.setDebugOutput(handle, nil)
            _ = library.runAsynchronously(handle, 1)
            var isUsable = configuration.anchors.allSatisfy { library.addAnchor(handle, $0) == 0 }
            for forwarder in configuration.forwarders {
                isUsable = isUsable && library.setForwarder(handle, forwarder) == 0
                if forwarder.hasPrefix("127.") || forwarder.hasPrefix("::1") {
                    _ = library.setOption(handle, "do-not-query-localhost:", "no")
                }
            }
            let descriptor = library.descriptor(handle)
            guard isUsable, descriptor >= 0 else {
                library.delete(handle)
                throw UnboundError(.malformed, "a forwarder or a trust anchor cannot be used")
            }
            source = DispatchSource.makeReadSource(fileDescriptor: descriptor, queue: queue)
            source.setEventHandler { [library, handle = Handle(pointer: handle)] in
                _ = library.process(handle.pointer)
            }
            source.setCancelHandler { [library, handle = Handle(pointer: handle)] in library.delete(handle.pointer) }
            source.activate()
        }

        /// Opaque, and used on the queue only.
        private struct Handle: @unchecked Sendable { let pointer: OpaquePointer }

        /// After what is under way has ended: questions hold the resolver's context.
        func close() { queue.async { self.source.cancel() } }

        func ask(
            _ name: String,
            _ type: UInt16,
            patience: Int,
            _ done: @escaping @Sendable (Result<Answer, UnboundError>) -> Void
        ) {
            queue.async {
                guard self.questions.count < ValidatingResolver.maximumQuestions, !self.source.isCancelled else {
                    return done(.failure(UnboundError(.busy, "too many questions at a time")))
                }
                let question = Question(self.library) { question, result in
                    self.questions.remove(ObjectIdentifier(question))
                    done(result)
                }
                // Held for libunbound until it calls back, or is told not to.
                let held = Unmanaged.passRetained(question)
                let status = self.library.resolve(
                    self.handle,
                    name,
                    Int32(type),
                    ValidatingResolver.internetClass,
                    held.toOpaque(),
                    { mine, error, result in
                        guard let mine else { return }
                        Unmanaged<Question>.fromOpaque(mine).takeRetainedValue().answered(error, result)
                    },
                    &question.id
                )
                guard status == 0 else {
                    held.release()
                    return question.end(.failure(UnboundError(.malformed, "the name cannot be asked for")))
                }
                self.questions.insert(ObjectIdentifier(question))
                self.queue.asyncAfter(deadline: .now() + .milliseconds(patience)) { [weak question] in
                    guard let question, question.isOpen else { return }
                    if self.library.cancel(self.handle, question.id) == 0 {
                        Unmanaged.passUnretained(question).release()
                    }
                    question.end(.failure(UnboundError(.timeout, "no answer in time")))
                }
            }
        }
    }

    /// One question under way. Confined to the context's queue, which is why it may be shared.
    private final class Question: @unchecked Sendable {
        private let library: UnboundLibrary
        /// libunbound's name for it.
        var id: Int32 = 0
        private var done: ((Question, Result<Answer, UnboundError>) -> Void)?

        init(_ library: UnboundLibrary, _ done: @escaping (Question, Result<Answer, UnboundError>) -> Void) {
            self.library = library
            self.done = done
        }

        var isOpen: Bool { done != nil }

        func end(_ result: Result<Answer, UnboundError>) {
            let done = done
            self.done = nil
            done?(self, result)
        }

        func answered(_ error: Int32, _ pointer: UnsafeMutablePointer<ub_result>?) {
            defer { if let pointer { library.free(pointer) } }
            guard error == 0, let answer = pointer?.pointee else {
                return end(.failure(UnboundError(.failed, "the servers gave no answer")))
            }
            guard answer.bogus == 0 else { return end(.success(Answer(records: [], verdict: .bogus))) }
            // SERVFAIL and its like, which say nothing of the name.
            guard answer.rcode == 0 || answer.nxdomain != 0 else {
                return end(.failure(UnboundError(.failed, "the servers failed (rcode \(answer.rcode))")))
            }
            end(.success(Answer(records: Question.records(answer), verdict: answer.secure != 0 ? .secure : .insecure)))
        }

        private static func records(_ answer: ub_result) -> [[UInt8]] {
            guard answer.havedata != 0, let data = answer.data, let lengths = answer.len else { return [] }
            var records: [[UInt8]] = []
            while records.count < ValidatingResolver.maximumRecords, let record = data[records.count] {
                let length = max(0, Int(lengths[records.count]))
                records.append(Array(UnsafeRawBufferPointer(start: record, count: length)))
            }
            return records
        }
    }
}
