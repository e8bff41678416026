import DSIPIdentity
import Encoding

/// What a hub keeps of an item until every member's mailbox has it. M§6.5 rule 5
struct OrderedContent {
    var mls: EncodedBytes
    var blobs: [BlobReference] = []
    var welcome: Invitation?

    /// What is sent to identities that gain a device by the item.
    struct Invitation {
        var mls: EncodedBytes
        var ratchetTree: BlobReference?
        var grants: [String]
        /// The adder's own deposit, compact, and who that is. M§14.2
        var origin: String
        var adder: DID
    }

    init(mls: EncodedBytes, blobs: [BlobReference] = [], welcome: Invitation? = nil) {
        self.mls = mls
        self.blobs = blobs
        self.welcome = welcome
    }

    var json: JSONValue {
        var object: JSONObject = ["mls": .string(mls.text)]
        if !blobs.isEmpty { object["blobs"] = .array(blobs.map(\.json)) }
        if let welcome {
            var members: JSONObject = [
                "mls": .string(welcome.mls.text), "origin": .string(welcome.origin),
                "adder": .string(welcome.adder.string), "grants": .array(welcome.grants.map { .string($0) }),
            ]
            if let tree = welcome.ratchetTree { members["tree"] = tree.json }
            object["welcome"] = .object(members)
        }
        return .object(object)
    }

    init(decoding bytes: [UInt8]) throws(StoreFailure) {
        do {
            let value = try JSONValue(parsing: bytes, limits: .host)
            var members = try Members(value, "an ordered item")
            mls = try members.required("mls", Read.encoded)
            blobs = try members.optional("blobs", Read.list(BlobReference.read)) ?? []
            welcome = try members.optional("welcome") { (value, name) throws(MessagingError) in
                var members = try Members(value, name)
                return Invitation(
                    mls: try members.required("mls", Read.encoded),
                    ratchetTree: try members.optional("tree", BlobReference.read),
                    grants: try members.required("grants", Read.list(Read.filled)),
                    origin: try members.required("origin", Read.filled),
                    adder: try members.required("adder", Read.did)
                )
            }
        } catch {
            throw .corrupt
        }
    }
}

extension JSONDocument.Limits {
    /// Of what a host wrote itself.
    static let host = JSONDocument.Limits(bytes: 1 << 21, depth: 16, members: 1 << 16)
}
