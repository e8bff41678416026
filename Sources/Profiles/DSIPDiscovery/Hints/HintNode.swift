import DSIPIdentity
import Encoding

/// A node that serves hints over HTTP to those who cannot join a DHT (hints profile §10): the rules, without a socket.
///
/// | request | answer |
/// |---|---|
/// | `GET /<z32>` | 200 with the Pkarr payload, or 404 |
/// | `PUT /<z32>` | 204, 409 for an older or conflicting packet, 400 |
/// | `GET /dsip/v1/hints/<did>` | 200 with the records held for the DID |
/// | `POST /dsip/v1/hints` | 202, 409 when a held record wins, 400 |
///
/// Rates are limited by whoever owns the socket. What is accepted is given back, to be put on the overlay or on Mainline.
public struct HintNode: Sendable {
    public struct Request: Sendable {
        public var method: String
        /// Without the query.
        public var path: String
        public var body: [UInt8]

        public init(method: String, path: String, body: [UInt8] = []) {
            self.method = method
            self.path = path
            self.body = body
        }
    }

    public struct Response: Hashable, Sendable {
        public var status: Int
        public var contentType: String?
        public var body: [UInt8] = []
        /// What the request made new here; nil for none.
        public var accepted: Accepted?
        /// Header fields of every answer.
        public static let headers = [(name: "Access-Control-Allow-Origin", value: "*")]
    }

    public enum Accepted: Hashable, Sendable {
        case packet(zone: String, [UInt8])
        case record(HintRecord)
    }

    /// Bytes of a request's body that the shell need read.
    public static let maximumBody = 65_536
    private static let hints = "/dsip/v1/hints"

    public private(set) var shelf: HintShelf
    public private(set) var packets: PkarrShelf
    private let verifier: HintVerifier

    public init(verifier: HintVerifier, shelf: HintShelf = HintShelf(), packets: PkarrShelf = PkarrShelf()) {
        self.verifier = verifier
        self.shelf = shelf
        self.packets = packets
    }

    /// The zone whose packet is not fresh any more, or not held: Mainline should be asked before `request` is answered.
    public mutating func wantsNewer(_ request: Request, at now: Int64) -> String? {
        guard request.method == "GET", let zone = HintNode.zone(request.path) else { return nil }
        return packets.packet(zone, at: now)?.isFresh == true ? nil : zone
    }

    /// Whose hints a path asks for.
    public static func subject(ofHints path: String) -> DID? {
        path.hasPrefix(hints + "/") ? subject(path.dropFirst(hints.count + 1)) : nil
    }

    /// Keeps a record that was found elsewhere, when it holds and is newer than what is here.
    public mutating func learn(_ record: [UInt8], at now: Int64) {
        if let record = try? verifier.verify(record, at: now) { shelf.offer(record, at: now) }
    }

    /// - Parameter now: Unix seconds.
    public mutating func answer(_ request: Request, at now: Int64) -> Response {
        switch request.method {
        case "GET": return get(request.path, at: now)
        case "PUT": return put(request, at: now)
        case "POST": return post(request, at: now)
        case "OPTIONS": return Response(status: 204)
        default: return Response(status: 405)
        }
    }

    private mutating func get(_ path: String, at now: Int64) -> Response {
        if let zone = HintNode.zone(path), let held = packets.packet(zone, at: now) {
            return Response(
                status: 200,
                contentType: "application/pkarr.org/relays#payload",
                body: held.packet.payload
            )
        }
        guard path.hasPrefix(HintNode.hints + "/") else { return Response(status: 404) }
        guard let did = HintNode.subject(ofHints: path) else { return Response(status: 400) }
        let records = shelf.record(did, at: now).map { [JSONValue.string(String(decoding: $0.bytes, as: UTF8.self))] }
        let body: JSONValue = ["hints": .array(records ?? [])]
        return Response(status: 200, contentType: "application/json", body: body.utf8)
    }

    private mutating func put(_ request: Request, at now: Int64) -> Response {
        guard request.path.utf8.count == 1 + ZBase32.keyLength else { return Response(status: 404) }
        let zone = String(request.path.dropFirst())
        switch packets.offer(request.body, zone: zone, at: now) {
        case .stored: return Response(status: 204, accepted: .packet(zone: zone, request.body))
        case .kept(.same): return Response(status: 204)
        case .kept(.older), .kept(.conflict): return Response(status: 409)
        case .rejected: return Response(status: 400)
        }
    }

    private mutating func post(_ request: Request, at now: Int64) -> Response {
        guard request.path == HintNode.hints else { return Response(status: 404) }
        guard let record = try? verifier.verify(request.body, at: now) else { return Response(status: 400) }
        let precedence = shelf.offer(record, at: now)
        if precedence.replaces { return Response(status: 202, accepted: .record(record)) }
        return Response(status: precedence.conflict == .none ? 202 : 409)
    }

    /// The zone that a path names, in its one spelling.
    private static func zone(_ path: String) -> String? {
        path.utf8.count == 1 + ZBase32.keyLength && path.hasPrefix("/")
            ? (try? PkarrKey(zone: path.dropFirst()))?.zone : nil
    }

    /// A DID as it stands, or percent-encoded whole, as browsers' `encodeURIComponent` writes it.
    private static func subject(_ text: some StringProtocol) -> DID? {
        if text.hasPrefix("did:") { return DID(text) }
        var bytes: [UInt8] = []
        var rest = Array(text.utf8.prefix(3 * DID.maximumLength))[...]
        while let first = rest.popFirst() {
            guard first == UInt8(ascii: "%") else {
                bytes.append(first)
                continue
            }
            guard rest.count >= 2, let byte = Hex.decode(String(decoding: rest.prefix(2), as: UTF8.self))?.first else {
                return nil
            }
            bytes.append(byte)
            rest = rest.dropFirst(2)
        }
        return DID(String(decoding: bytes, as: UTF8.self))
    }
}
