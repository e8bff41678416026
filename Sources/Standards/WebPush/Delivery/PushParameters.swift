/// How a push service is to treat a message (RFC 8030 §5).
public struct PushParameters: Hashable, Sendable {
    /// RFC 8030 §5.3
    public enum Urgency: String, Hashable, Sendable, CaseIterable {
        case veryLow = "very-low"
        case low, normal, high
    }

    /// Seconds for which the service keeps the message; 0: to be delivered now or never. RFC 8030 §5.2
    public let timeToLive: Int
    public let urgency: Urgency
    /// A message replaces the one of the same topic that waits. RFC 8030 §5.4
    public let topic: String?

    /// - Throws: `.parameter` for seconds outside 0 to 2^31 - 1, and for a topic that is not 1 to 32 characters of base64url.
    public init(timeToLive: Int, urgency: Urgency = .normal, topic: String? = nil) throws(WebPushError) {
        guard timeToLive >= 0, timeToLive < 1 << 31 else { throw WebPushError(.parameter, "TTL is 0 to 2^31 - 1") }
        if let topic {
            guard (1...32).contains(topic.utf8.count), topic.utf8.allSatisfy(Self.isTopicByte) else {
                throw WebPushError(.parameter, "a topic is at most 32 characters of base64url")
            }
        }
        self.timeToLive = timeToLive
        self.urgency = urgency
        self.topic = topic
    }

    private static func isTopicByte(_ byte: UInt8) -> Bool {
        switch byte {
        case 0x30...0x39, 0x41...0x5a, 0x61...0x7a, UInt8(ascii: "-"), UInt8(ascii: "_"): true
        default: false
        }
    }

    /// The headers of a request that carries an encrypted body.
    ///
    /// - Parameter authorization: of ``VAPIDKey/authorization(for:subject:at:lifetime:)``.
    public func headers(authorization: String? = nil, isEncrypted: Bool = true) -> [(name: String, value: String)] {
        var headers = [(name: "TTL", value: "\(timeToLive)"), (name: "Urgency", value: urgency.rawValue)]
        if let topic { headers.append((name: "Topic", value: topic)) }
        if isEncrypted {
            headers.append((name: "Content-Encoding", value: ContentHeader.coding))
            headers.append((name: "Content-Type", value: "application/octet-stream"))
        }
        if let authorization { headers.append((name: "Authorization", value: authorization)) }
        return headers
    }
}
