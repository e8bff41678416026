import DSIPIdentity
import Encoding
import Foundation

/// Strict scan and index of a payload against Foundation's JSONDecoder reading the same bytes.
enum ScanBenchmark {
    private struct Payload: Decodable {
        struct Version: Decodable {
            let core: String, min_core: String, profiles: [String], extensions: [String], critical: [String]
        }
        struct Codec: Decodable { let id: String }
        struct Media: Decodable { let type: String, direction: String, codecs: [Codec] }
        struct Transport: Decodable { let id: String }
        struct Identity: Decodable { let display_name: String }
        let dsip: Version, type: String, id: String, from: String, to: String, intent: String, identity: Identity
        let media: [Media], transports: [Transport], policy: [String: String], issued_at: Int64, expires_at: Int64
    }

    static func run() throws {
        guard let envelope = Envelope(try Sample().bareFrame) else { return }
        let payload = envelope.decodedPayload()
        let data = Data(payload)
        let decoder = JSONDecoder()
        let medians = try Rounds().measure([
            { keep(try decoder.decode(Payload.self, from: data)) },
            { keep(try JSONDocument(scanning: payload)) },
        ])
        Report.line(
            "scan",
            "\(payload.count) bytes in \(Report.microseconds(medians[1])), JSONDecoder \(Report.microseconds(medians[0]))",
            ratio: medians[0] / medians[1],
            atLeast: 20
        )
    }
}
