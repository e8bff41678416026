import Encoding

/// One line of a deposit's manifest: where a ciphertext is, what it hashes to and how long it is. Never a key. M§5.2, M§8.4
public struct BlobReference: Hashable, Sendable {
    /// `https`.
    public var uri: String
    /// Of the ciphertext, 64 lower-case hexadecimal digits.
    public var sha256: String
    /// Bytes of the ciphertext, at least 1.
    public var size: Int64

    public init(uri: String, sha256: String, size: Int64) {
        self.uri = uri
        self.sha256 = sha256
        self.size = size
    }

    static func read(_ value: JSONValue, _ name: String) throws(MessagingError) -> BlobReference {
        var members = try Members(value, name)
        let reference = BlobReference(
            uri: try members.required("uri", Read.uri("https://")),
            sha256: try members.required("sha256", Read.sha256),
            size: try members.required("size", Read.positive)
        )
        try members.finish()
        return reference
    }

    public var json: JSONValue { ["uri": .string(uri), "sha256": .string(sha256), "size": .int(size)] }
}
