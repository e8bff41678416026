import Encoding

/// Permits one upload; the only message that travels by HTTPS. M§5.6
public struct BlobPut: Hashable, Sendable {
    /// Of the ciphertext, 64 lower-case hexadecimal digits.
    public var sha256: String
    /// Bytes.
    public var size: Int64

    public init(sha256: String, size: Int64) {
        self.sha256 = sha256
        self.size = size
    }

    init(_ members: inout Members) throws(MessagingError) {
        sha256 = try members.required("sha256", Read.sha256)
        size = try members.required("size", Read.positive)
    }

    func write(to object: inout JSONObject) {
        object["sha256"] = .string(sha256)
        object["size"] = .int(size)
    }
}
