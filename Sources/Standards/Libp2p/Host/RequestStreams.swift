/// Questions to one peer under one protocol, each answered with one message on the stream it went out on.
///
/// A question goes out at once, in one write with the stream's opening and the choice of its protocol. Its stream is kept for a while
/// and used again, as the DHT's protocol allows; a peer that ends a stream behind its answer gets a new one for the next question.
/// Lives on the connection's event loop.
final class RequestStreams {
    typealias Completion = (Result<[UInt8]?, Libp2pError>) -> Void

    /// Streams that wait for a next question, and for how long in milliseconds; others forget an idle stream after a minute.
    private static let maximumIdle = 2
    private static let idleTime: Int64 = 30_000

    private unowned let driver: ConnectionDriver
    private let protocolID: String
    private var idle: [RequestStream] = []

    init(_ driver: ConnectionDriver, _ protocolID: String) {
        self.driver = driver
        self.protocolID = protocolID
    }

    func ask(_ question: Question) {
        if let stream = idle.popLast() { stream.ask(question) } else { askAnew(question) }
    }

    fileprivate func askAnew(_ question: Question) {
        let stream = RequestStream(driver, self)
        do throws(Libp2pError) {
            stream.id = try driver.open(protocolID, observer: stream)
        } catch {
            return question.completion(.failure(error))
        }
        stream.ask(question)
    }

    fileprivate func answered(_ stream: RequestStream) {
        guard idle.count < RequestStreams.maximumIdle else { return stream.end() }
        idle.append(stream)
        driver.expire(stream.id, after: RequestStreams.idleTime)
    }

    fileprivate func over(_ stream: RequestStream) { idle.removeAll { $0 === stream } }
}

/// A message that a peer is sent, and who is told what it answers.
struct Question {
    /// Without its length.
    let message: [UInt8]
    let expectsAnswer: Bool
    /// Of the answer, in bytes.
    let limit: Int
    /// Milliseconds.
    let time: Int64
    let completion: RequestStreams.Completion
}

/// One stream for one question at a time.
private final class RequestStream: StreamObserver {
    var id = Connection.StreamID(number: 0)
    private unowned let driver: ConnectionDriver
    private weak var owner: RequestStreams?
    private var question: Question?
    private var queue = ByteQueue()
    /// Whether an answer has come over it before: then that it is over says nothing of the next question.
    private var hasAnswered = false
    private var hasEndedHere = false

    init(_ driver: ConnectionDriver, _ owner: RequestStreams) {
        self.driver = driver
        self.owner = owner
    }

    func ask(_ question: Question) {
        self.question = question
        driver.expire(id, after: question.time)
        _ = driver.send(question.message.delimited, on: id)
        // What is not answered needs a stream of its own: its end says that it has come.
        if !question.expectsAnswer {
            hasEndedHere = true
            driver.end(id)
        }
        driver.flush()
    }

    func end() {
        owner?.over(self)
        hasEndedHere = true
        driver.end(id)
        driver.expire(id, after: RequestStream.lingerTime)
    }

    /// Milliseconds for the peer to end its side.
    private static let lingerTime: Int64 = 10_000

    func received(_ bytes: [UInt8]) {
        driver.consumed(bytes.count, of: id)
        queue.append(bytes)
        guard let question, question.expectsAnswer else {
            queue = ByteQueue()
            // Nothing was asked.
            if question == nil { driver.reset(id, Libp2pError(.protocolViolation, "an answer to nothing")) }
            return
        }
        do throws(Libp2pError) {
            guard let answer = try queue.takeDelimited(limit: question.limit) else { return }
            self.question = nil
            hasAnswered = true
            if queue.isEmpty { owner?.answered(self) } else { end() }
            question.completion(.success(Array(answer)))
        } catch {
            driver.reset(id, error)
        }
    }

    func ended() {
        end()
        finish(Libp2pError(.protocolViolation, "no answer"))
    }

    func writable() {}

    func expired() {
        if question == nil, !hasEndedHere {
            end()
        } else {
            driver.reset(id, Libp2pError(.timeout, "no answer in time"))
        }
    }

    func failed(_ error: Libp2pError) {
        owner?.over(self)
        finish(error)
    }

    private func finish(_ error: Libp2pError) {
        guard let question else { return }
        self.question = nil
        if !question.expectsAnswer {
            // Some answer it all the same, others end or reset the stream: it was sent in any case.
            question.completion(.success(nil))
        } else if hasAnswered, queue.isEmpty, error.code != .timeout, error.code != .closed, let owner {
            // The peer let the stream go while the question was under way.
            owner.askAnew(question)
        } else {
            question.completion(.failure(error))
        }
    }
}
