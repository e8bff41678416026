import Encoding
import HTTPTypes
import Hummingbird
import NIOCore

extension Response {
    /// - Parameter crossOrigin: whether a page of any origin may read this; true only for what is public anyway.
    static func bytes(
        _ bytes: [UInt8],
        type: String,
        status: HTTPResponse.Status = .ok,
        crossOrigin: Bool = false,
        maxAge: Int? = nil
    ) -> Response {
        var headers: HTTPFields = [
            .contentType: type, .contentLength: "\(bytes.count)", .xContentTypeOptions: "nosniff",
        ]
        if crossOrigin { headers[.accessControlAllowOrigin] = "*" }
        headers[.cacheControl] = maxAge.map { "public, max-age=\($0)" } ?? "no-store"
        return Response(status: status, headers: headers, body: ResponseBody(byteBuffer: ByteBuffer(bytes: bytes)))
    }

    static func json(
        _ value: JSONValue,
        type: String = "application/json",
        status: HTTPResponse.Status = .ok,
        crossOrigin: Bool = false,
        maxAge: Int? = nil
    ) -> Response {
        bytes(value.utf8, type: type, status: status, crossOrigin: crossOrigin, maxAge: maxAge)
    }

    static func failure(_ error: RelayError, retryAfter: Int? = nil) -> Response {
        let status: HTTPResponse.Status
        switch error.code {
        case .malformed, .configuration: status = .badRequest
        case .refused: status = .forbidden
        case .taken: status = .conflict
        case .notFound: status = .notFound
        case .full: status = .insufficientStorage
        case .storage, .address, .notRunning: status = .serviceUnavailable
        }
        return failure(error.code.rawValue, error.reason, status: status, retryAfter: retryAfter)
    }

    static func failure(
        _ code: String,
        _ message: String,
        status: HTTPResponse.Status,
        retryAfter: Int? = nil
    ) -> Response {
        var response = json(
            ["error": ["code": .string(code), "message": .string(message)]],
            status: status,
            crossOrigin: true
        )
        if let retryAfter { response.headers[.retryAfter] = "\(retryAfter)" }
        return response
    }
}

extension Response {
    /// The connection ends with this answer, whatever else its client meant to send.
    func closing() -> Response {
        var response = self
        response.headers[.connection] = "close"
        return response
    }
}

extension HTTPResponse.Status {
    /// RFC 4918 §11.5
    static let insufficientStorage = HTTPResponse.Status(code: 507, reasonPhrase: "Insufficient Storage")
}
