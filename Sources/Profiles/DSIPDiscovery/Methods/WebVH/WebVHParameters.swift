import DSIPIdentity
import Encoding

/// The parameters of a did:webvh log in force after an entry (did:webvh v1.0, *DID Method Parameters*).
struct WebVHParameters: Sendable {
    struct Witness: Hashable, Sendable {
        /// None: nobody need approve.
        var ids: Set<String> = []
        var threshold = 0

        var isNone: Bool { ids.isEmpty }
    }

    /// Bounds of a list; a log that has more is refused.
    private static let maximumList = 256
    private static let names: Set<String> = [
        "method", "scid", "updateKeys", "nextKeyHashes", "witness", "watchers", "portable", "deactivated", "ttl",
    ]

    var scid = ""
    var updateKeys: [String] = []
    var nextKeyHashes: [String] = []
    var witness = Witness()
    var portable = false
    var deactivated = false
    /// Seconds.
    var ttl: Int64 = 3600

    /// Takes over what entry `number` says. - Returns: false when it says what is not allowed.
    mutating func update(_ json: JSONValue?, number: Int) -> Bool {
        guard let object = json?.object,
            object.members.allSatisfy({ member in
                WebVHParameters.names.contains { member.name.utf8.elementsEqual($0.utf8) }
            })
        else { return false }
        if number == 1 {
            guard object["method"] != nil, object["scid"] != nil, object["updateKeys"] != nil else { return false }
        } else if object["scid"] != nil {
            return false
        }
        return updateText(object, number: number) && updateLists(object) && updateFlags(object, number: number)
    }

    private mutating func updateText(_ object: JSONObject, number: Int) -> Bool {
        if let method = object["method"] {
            guard let text = method.string, text.utf8.elementsEqual("did:webvh:1.0".utf8) else { return false }
        }
        if let value = object["scid"] {
            guard let text = value.string, WebVHHash.isHash(text) else { return false }
            scid = text
        }
        return true
    }

    private mutating func updateLists(_ object: JSONObject) -> Bool {
        if let value = object["updateKeys"] {
            guard let keys = WebVHParameters.strings(value), keys.allSatisfy({ WebVHProof.key($0) != nil }) else {
                return false
            }
            updateKeys = keys
        }
        if let value = object["nextKeyHashes"] {
            guard let hashes = WebVHParameters.strings(value) else { return false }
            nextKeyHashes = hashes
        }
        if let value = object["watchers"], WebVHParameters.strings(value) == nil { return false }
        if let value = object["witness"] {
            guard let read = WebVHParameters.witness(value) else { return false }
            witness = read
        }
        return true
    }

    private mutating func updateFlags(_ object: JSONObject, number: Int) -> Bool {
        if let value = object["portable"] {
            guard let flag = value.bool, !flag || number == 1 else { return false }
            portable = flag
        }
        if let value = object["deactivated"] {
            guard let flag = value.bool else { return false }
            deactivated = flag
        }
        if let value = object["ttl"] {
            guard let seconds = value.int, (0...(1 << 31)).contains(seconds) else { return false }
            ttl = seconds
        }
        return true
    }

    private static func strings(_ value: JSONValue) -> [String]? {
        guard let list = value.array, list.count <= maximumList else { return nil }
        let strings = list.compactMap(\.string)
        return strings.count == list.count ? strings : nil
    }

    /// `{}`, or `threshold` and `witnesses` and nothing else.
    private static func witness(_ value: JSONValue) -> Witness? {
        guard let object = value.object else { return nil }
        if object.isEmpty { return Witness() }
        guard object.count == 2, let threshold = object["threshold"]?.int, let list = object["witnesses"]?.array,
            (1...maximumList).contains(list.count), (1...Int64(list.count)).contains(threshold)
        else { return nil }
        var ids: Set<String> = []
        for element in list {
            guard let id = element["id"]?.string, id.utf8.starts(with: "did:key:".utf8),
                WebVHProof.key(String(id.dropFirst(8))) != nil, ids.insert(id).inserted
            else { return nil }
        }
        return Witness(ids: ids, threshold: Int(threshold))
    }
}
