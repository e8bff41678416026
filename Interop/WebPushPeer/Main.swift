import Crypto
import Encoding
import LinePeer
import WebPush

/// Either end of Web Push for `Interop/test_webpush.py`: reads one JSON object a line, answers each with one. Binary is base64url.
///
/// ```
/// {"op":"subscribe","endpoint":URL}                         answers the subscription as a browser writes it
/// {"op":"decrypt","body":B}                                 answers the message to the last subscription
/// {"op":"encrypt", …subscription, "message":B,"padding":N}  answers a body
/// {"op":"authorize","endpoint":URL,"now":N}                 answers an Authorization header
/// {"op":"verify","authorization":TEXT,"origin":URL,"now":N} answers the claims
/// {"op":"encode"|"decode","key":B,"salt":B,"rs":N,"keyid":TEXT,"content":B}
/// ```
@main
struct Main {
    static func main() {
        Peer().serve()
    }
}

struct Peer: LinePeer {
    private var random = SystemRandomNumberGenerator()
    private var receiver: PushReceiver?
    private lazy var server = VAPIDKey(using: &random)

    mutating func answer(_ request: JSONValue) throws -> JSONValue {
        func bytes(_ name: String) throws -> [UInt8] {
            guard let bytes = request[name]?.string.flatMap({ Base64URL.decode($0) }) else {
                throw PeerFault(reason: "no \(name)")
            }
            return bytes
        }
        func encoded(_ name: String, _ bytes: [UInt8]) -> JSONValue {
            .object([name: .string(Base64URL.encode(bytes))])
        }
        func text(_ name: String) -> String { request[name]?.string ?? "" }
        let now = request["now"]?.int ?? 0
        switch text("op") {
        case "subscribe":
            let receiver = PushReceiver(using: &random)
            self.receiver = receiver
            return try receiver.subscription(at: PushEndpoint(text("endpoint"))).json
        case "decrypt":
            guard let receiver else { throw PeerFault(reason: "no subscription") }
            return encoded("message", try receiver.decrypt(bytes("body")))
        case "encrypt":
            let padding = Int(request["padding"]?.int ?? 0)
            let body = try PushSubscription(request).encrypt(bytes("message"), padding: padding, using: &random)
            return encoded("body", body)
        case "authorize":
            let endpoint = try PushEndpoint(text("endpoint"))
            let header = try server.authorization(for: endpoint, subject: "mailto:ops@example.com", at: now)
            return ["authorization": .string(header)]
        case "verify":
            let credentials = try VAPIDCredentials(authorization: text("authorization"))
            let claims = try credentials.verified(for: text("origin"), at: now)
            return ["aud": .string(claims.audience), "exp": .int(claims.expires), "sub": .string(claims.subject ?? "")]
        case "encode":
            let body = try ContentEncoder.encode(
                bytes("content"),
                key: SymmetricKey(data: bytes("key")),
                salt: bytes("salt"),
                keyIdentifier: Array(text("keyid").utf8),
                recordSize: Int(request["rs"]?.int ?? 4096),
                padding: Int(request["padding"]?.int ?? 0)
            )
            return encoded("content", body)
        case "decode":
            let key = SymmetricKey(data: try bytes("key"))
            return encoded("content", try ContentDecoder.decode(bytes("content")) { _ in key })
        default: throw PeerFault(reason: "unknown op")
        }
    }
}
