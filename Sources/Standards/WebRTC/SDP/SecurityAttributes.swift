/// The attributes that decide who is at the other end and how they are reached are checked when a description is parsed, at both
/// levels: right grammar, right level, and no second one that another reader might prefer.
enum SecurityAttributes {
    static func check(_ description: SessionDescription) throws(WebRTCError) {
        try check(description.attributes)
        guard !description.attributes.has("mid") else { throw WebRTCError(.badValue, "a=mid belongs to a section") }
        var mids: Set<String> = []
        for section in description.media {
            try check(section.attributes)
            // RFC 8839 §5.3: session level only.
            guard !section.attributes.has("ice-lite") else {
                throw WebRTCError(.badValue, "a=ice-lite belongs to the session")
            }
            // RFC 5888 §4: a mid names one section.
            if let mid = section.mid, !mids.insert(mid).inserted { throw WebRTCError(.badValue, "a=mid used twice") }
        }
    }

    private static func check(_ attributes: [SessionAttribute]) throws(WebRTCError) {
        var seen: Set<String> = []
        for attribute in attributes {
            guard let rule = rules[attribute.name] else { continue }
            if let once = rule.once, !seen.insert(once).inserted {
                throw WebRTCError(.badValue, "a=\(attribute.name) given twice")
            }
            guard rule.accepts(attribute.value) else { throw WebRTCError(.badValue, "value of a=\(attribute.name)") }
        }
    }

    private struct Rule: Sendable {
        /// Attributes of one such name exclude each other; `nil` may repeat.
        var once: String?
        var accepts: @Sendable (String?) -> Bool
    }

    private static let rules: [String: Rule] = [
        "sendrecv": direction, "sendonly": direction, "recvonly": direction, "inactive": direction,
        "rtcp-mux": Rule(once: nil) { $0 == nil },
        "bundle-only": Rule(once: nil) { $0 == nil },
        "ice-lite": Rule(once: nil) { $0 == nil },
        "mid": Rule(once: "mid") { word($0, 1...256) },
        // RFC 8839 §5.4: 4 to 256 and 22 to 256 characters.
        "ice-ufrag": Rule(once: "ice-ufrag") { word($0, 4...256) },
        "ice-pwd": Rule(once: "ice-pwd") { word($0, 22...256) },
        "setup": Rule(once: "setup") { $0.flatMap(SetupRole.init(rawValue:)) != nil },
        // RFC 8122 §5 allows several, one for each hash.
        "fingerprint": Rule(once: nil) { $0.flatMap(CertificateFingerprint.init) != nil },
        "group": Rule(once: nil) { value in
            guard let value else { return false }
            let words = value.split(separator: " ")
            return !words.isEmpty && words.allSatisfy { word(String($0), 1...256) }
        },
    ]

    private static let direction = Rule(once: "direction") { $0 == nil }

    private static func word(_ value: String?, _ lengths: ClosedRange<Int>) -> Bool {
        guard let value else { return false }
        return lengths.contains(value.utf8.count) && value.utf8.allSatisfy { $0 > 0x20 && $0 < 0x7F }
    }
}
