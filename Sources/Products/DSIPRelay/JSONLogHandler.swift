import Encoding
import FoundationEssentials
import Logging
import NIOConcurrencyHelpers

/// Writes log lines as JSON objects to standard error, one a line, for collectors.
public struct JSONLogHandler: LogHandler {
    public var metadata: Logger.Metadata = [:]
    public var logLevel: Logger.Level = .info
    private let label: String
    private static let output = NIOLockedValueBox(())

    public init(label: String) { self.label = label }

    public subscript(metadataKey key: String) -> Logger.Metadata.Value? {
        get { metadata[key] }
        set { metadata[key] = newValue }
    }

    public func log(event: LogEvent) {
        var object: JSONObject = [
            "time": .string(Date().ISO8601Format(.iso8601)), "level": .string(event.level.rawValue),
            "logger": .string(label),
            "message": .string("\(event.message)"),
        ]
        for (key, value) in metadata.merging(event.metadata ?? [:], uniquingKeysWith: { $1 }) {
            object[key] = .string("\(value)")
        }
        let line = JSONValue.object(object).utf8 + [UInt8(ascii: "\n")]
        JSONLogHandler.output.withLockedValue { _ in _ = writeAll(line, to: 2) }
    }
}
