import DSIPIdentity
import Encoding

/// Members of content that the profile does not have and that others pass over (`docs/messaging.md`).
///
/// They are read leniently: one that is not as it should be is as if it were not there, since it may be somebody else's.
public struct ContentExtensions: Hashable, Sendable {
    /// Identities spoken to by name in the text, with where; at most 64.
    public var mentions: [Mention]
    /// Seconds after reading until every device forgets the content, 1 second to a year. A wish: nobody can enforce it.
    public var disappearAfter: Int64?

    public static let maximumMentions = 64
    public static let longestLife: Int64 = 31_536_000

    public init(mentions: [Mention] = [], disappearAfter: Int64? = nil) {
        self.mentions = mentions
        self.disappearAfter = disappearAfter
    }

    init(reading value: JSONValue) {
        mentions = (value["mentions"]?.array ?? []).prefix(Self.maximumMentions).compactMap(Mention.init)
        disappearAfter = value["disappear_after_s"]?.int.flatMap { (1...Self.longestLife).contains($0) ? $0 : nil }
    }

    func write(to object: inout JSONObject) {
        if !mentions.isEmpty { object["mentions"] = .array(mentions.map(\.json)) }
        if let disappearAfter { object["disappear_after_s"] = .int(disappearAfter) }
    }
}

/// A person named in a text.
public struct Mention: Hashable, Sendable {
    public var identity: DID
    /// Where the name stands in the text, in Unicode scalars.
    public var range: Range<Int>

    public init(_ identity: DID, range: Range<Int>) {
        self.identity = identity
        self.range = range
    }

    init?(_ value: JSONValue) {
        guard let identity = value["identity"]?.string.flatMap({ DID($0) }), let start = value["start"]?.int,
            let length = value["length"]?.int, (0...1_000_000).contains(start), (0...1_000_000).contains(length)
        else { return nil }
        self.init(identity, range: Int(start)..<Int(start + length))
    }

    var json: JSONValue {
        [
            "identity": .string(identity.string), "start": .int(Int64(range.lowerBound)),
            "length": .int(Int64(range.count)),
        ]
    }
}
