import Encoding

/// A blob as content names it: where its ciphertext is, and the key that opens it. M§8.4
public struct ContentBlob: Hashable, Sendable {
    public static let algorithm = "A256GCM"

    /// Of the ciphertext.
    public var reference: BlobReference
    /// 32 bytes, used for this blob only.
    public var key: [UInt8]
    /// Of the plaintext, such as `audio/ogg; codecs=opus`.
    public var contentType: String
    public var name: String?

    /// - Precondition: the key has 32 bytes.
    public init(_ reference: BlobReference, key: [UInt8], contentType: String, name: String? = nil) {
        precondition(key.count == 32, "the key of a blob has 32 bytes")
        self.reference = reference
        self.key = key
        self.contentType = contentType
        self.name = name
    }

    static func read(_ value: JSONValue, _ name: String) throws(MessagingError) -> ContentBlob {
        var members = try Members(value, name)
        let reference = BlobReference(
            uri: try members.required("uri", Read.uri("https://")),
            sha256: try members.required("sha256", Read.sha256),
            size: try members.required("size", Read.positive)
        )
        let key = try members.required("key", Read.key)
        try members.constant("alg", algorithm)
        let blob = ContentBlob(
            reference,
            key: key,
            contentType: try members.required("content_type", Read.filled),
            name: try members.optional("name", Read.string)
        )
        try members.finish()
        return blob
    }

    var json: JSONValue {
        var object: JSONObject = [
            "uri": .string(reference.uri), "sha256": .string(reference.sha256), "size": .int(reference.size),
            "key": .string(Base64URL.encode(key)), "alg": .string(Self.algorithm),
            "content_type": .string(contentType),
        ]
        if let name { object["name"] = .string(name) }
        return .object(object)
    }
}
