import Encoding

#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#elseif canImport(Darwin)
import Darwin
#endif

/// One end of an interop test: it reads one JSON object a line and answers each with one, `{"error": …}` for what it throws.
public protocol LinePeer: ~Copyable {
    mutating func answer(_ request: JSONValue) throws -> JSONValue
}

extension LinePeer where Self: ~Copyable {
    /// Answers until standard input ends.
    public consuming func serve() {
        while let line = readLine() {
            let answer: JSONValue
            do {
                answer = try self.answer(try JSONValue(parsing: line))
            } catch {
                answer = ["error": .string("\(error)")]
            }
            print(answer.text)
            // What is piped is not written at each newline by itself.
            fflush(nil)
        }
    }
}

/// Why a request was not answered.
public struct PeerFault: Error {
    public let reason: String
    public init(reason: String) { self.reason = reason }
}
