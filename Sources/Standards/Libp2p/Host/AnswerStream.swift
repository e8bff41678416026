/// What a protocol of questions and answers does with a question.
public enum PeerAnswer: Sendable {
    /// Without its length.
    case message([UInt8])
    /// Nothing is sent; the next question may come.
    case none
    /// The stream is reset.
    case refused
}

/// Questions of a peer on one stream, answered in their order as they come. Lives on the connection's event loop.
///
/// A peer that asks and does not read is not answered further until it does; one that asks more than a connection may, sends half a
/// message and waits, or is refused loses the stream.
final class AnswerStream: StreamObserver {
    /// - Parameters:
    ///   - limit: of a question, in bytes.
    ///   - answer: called on the event loop of the host.
    struct Rules: Sendable {
        let limit: Int
        /// Milliseconds for one question to arrive.
        let time: Int64
        let isForOwnNetwork: Bool
        let answer: @Sendable (_ question: [UInt8], _ asking: HostConnection) -> PeerAnswer
    }

    /// Milliseconds that a stream without a question is kept.
    private static let idleTime: Int64 = 60_000

    private unowned let driver: ConnectionDriver
    private let connection: HostConnection
    private let id: Connection.StreamID
    private let rules: Rules
    private var queue = ByteQueue()
    private var isFull = false
    private var isInside = false
    private var hasEnded = false
    /// Bytes whose window is given back when the peer reads again.
    private var withheld = 0

    init(_ driver: ConnectionDriver, _ connection: HostConnection, _ id: Connection.StreamID, _ rules: Rules) {
        self.driver = driver
        self.connection = connection
        self.id = id
        self.rules = rules
        driver.expire(id, after: rules.time)
    }

    func received(_ bytes: [UInt8]) {
        queue.append(bytes)
        if isFull { withheld += bytes.count } else { driver.consumed(bytes.count, of: id) }
        answer()
    }

    func writable() {
        isFull = false
        driver.consumed(withheld, of: id)
        withheld = 0
        answer()
    }

    func ended() {
        hasEnded = true
        answer()
    }

    func expired() { driver.reset(id, Libp2pError(.timeout, "the stream took too long")) }

    func failed(_ error: Libp2pError) {}

    private func answer() {
        do throws(Libp2pError) {
            while !isFull, let question = try queue.takeDelimited(limit: rules.limit) {
                isInside = false
                guard driver.mayAsk() else { throw Libp2pError(.limit, "too many questions") }
                switch rules.answer(Array(question), connection) {
                case .message(let answer): isFull = !driver.send(answer.delimited, on: id)
                case .none: break
                case .refused: throw Libp2pError(.unsupported, "refused")
                }
            }
        } catch {
            return driver.reset(id, error)
        }
        if hasEnded, !isFull {
            if queue.isEmpty { driver.end(id) } else { driver.reset(id, Libp2pError(.malformed, "half a message")) }
        } else if isFull || queue.isEmpty {
            driver.expire(id, after: AnswerStream.idleTime)
        } else if !isInside {
            // Counted from the first byte, however slowly the rest comes.
            isInside = true
            driver.expire(id, after: rules.time)
        }
    }
}
