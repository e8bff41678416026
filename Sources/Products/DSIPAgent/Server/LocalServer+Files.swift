import Encoding
import HTTPTypes
import Hummingbird
import NIOCore

/// A file as a page may have it.
public struct Attachment: Sendable {
    public var bytes: [UInt8]
    public var contentType: String
    public var name: String?
}

/// Files between page and agent: `POST /api/v1/uploads`, `GET /api/v1/attachments/{conversation}/{message}` (docs/agent-api.md).
extension LocalServer {
    static func receive(_ request: Hummingbird.Request, agent: Agent) async -> Response {
        let announced = request.headers[.contentLength].flatMap { Int64($0) }
        do throws(AgentError) {
            let upload = try await agent.uploads.receive(
                request.body,
                announced: announced,
                contentType: request.headers[.contentType] ?? "application/octet-stream",
                id: agent.makeID(),
                at: agent.now()
            )
            return json(["upload": .string(upload.id.description), "size": .int(upload.size)], status: .ok)
        } catch {
            return failure(error)
        }
    }

    static func attachment(
        _ conversation: String,
        _ message: String,
        range: String?,
        agent: Agent
    ) async -> Response {
        do throws(AgentError) {
            return respond(with: try await agent.attachment(conversation: conversation, message: message), range: range)
        } catch {
            return failure(error)
        }
    }

    static func respond(with file: Attachment, range: String?) -> Response {
        let size = Int64(file.bytes.count)
        var headers: HTTPFields = [
            .contentType: harmless(file.contentType), .acceptRanges: "bytes",
            .contentDisposition: disposition(file.name),
        ]
        switch ByteRange(range, size: size) {
        case .whole:
            return Response(
                status: .ok,
                headers: headers,
                body: ResponseBody(byteBuffer: ByteBuffer(bytes: file.bytes))
            )
        case .part(let part):
            headers[.contentRange] = "bytes \(part.lowerBound)-\(part.upperBound - 1)/\(size)"
            let slice = file.bytes[Int(part.lowerBound)..<Int(part.upperBound)]
            return Response(
                status: .partialContent,
                headers: headers,
                body: ResponseBody(byteBuffer: ByteBuffer(bytes: slice))
            )
        case .unsatisfiable:
            headers[.contentRange] = "bytes */\(size)"
            return Response(status: .rangeNotSatisfiable, headers: headers)
        }
    }

    /// What a browser only shows or plays keeps its type; anything that could be run as a page of ours does not.
    static func harmless(_ contentType: String) -> String {
        let type = contentType.lowercased().prefix { $0 != ";" }.trimmed
        let isMedia = type.hasPrefix("audio/") || type.hasPrefix("video/") || shownImages.contains(type)
        let isPlain = contentType.utf8.allSatisfy { (0x20..<0x7F).contains($0) } && contentType.utf8.count <= 128
        return isMedia && isPlain ? contentType : "application/octet-stream"
    }

    private static let shownImages: Set<String> = ["image/png", "image/jpeg", "image/gif", "image/webp", "image/avif"]

    /// RFC 6266; the name in RFC 8187's form.
    static func disposition(_ name: String?) -> String {
        guard let name, !name.isEmpty else { return "attachment" }
        let last = name.split { $0 == "/" || $0 == "\\" }.last ?? "file"
        let safe = last.prefix(128).utf8.map { byte -> String in
            let isPlain = (0x30..<0x3A).contains(byte) || (0x41..<0x5B).contains(byte) || (0x61..<0x7B).contains(byte)
            return isPlain || byte == 0x2E || byte == 0x2D || byte == 0x5F
                ? String(UnicodeScalar(byte)) : "%" + Hex.encode([byte]).uppercased()
        }
        return "attachment; filename*=UTF-8''" + safe.joined()
    }
}
