import DSIPIdentity
import DSIPMessaging
import DSIPSignaling
import Encoding

/// Members of a vector that must be there.
extension JSONValue {
    func need(_ name: String) throws -> JSONValue {
        guard let value = self[name] else { throw VectorFault("\(name) is missing in \(text.prefix(80))") }
        return value
    }

    func needString(_ name: String) throws -> String { try need(name).asString(name) }
    func needInt(_ name: String) throws -> Int64 { try need(name).asInt(name) }
    func needDID(_ name: String) throws -> DID { try need(name).asDID(name) }
    func needULID(_ name: String) throws -> ULID { try ReceiverContext.ulid(try need(name)) }
    func needGroup(_ name: String) throws -> GroupID { try need(name).asGroup(name) }
    func needBytes(_ name: String) throws -> [UInt8] { try need(name).asHex(name) }

    func asString(_ name: String) throws -> String {
        guard let string else { throw VectorFault("\(name) is no string") }
        return string
    }

    func asInt(_ name: String) throws -> Int64 {
        guard let int else { throw VectorFault("\(name) is no integer") }
        return int
    }

    func asDID(_ name: String) throws -> DID {
        guard let did = string.flatMap({ DID($0) }) else { throw VectorFault("\(name) is no DID") }
        return did
    }

    func asGroup(_ name: String) throws -> GroupID {
        guard let group = string.flatMap(GroupID.init) else { throw VectorFault("\(name) is no group") }
        return group
    }

    func asCursor(_ name: String) throws -> Cursor {
        guard let cursor = string.flatMap(Cursor.init) else { throw VectorFault("\(name) is no cursor") }
        return cursor
    }

    func asReason(_ name: String) throws -> Reason {
        guard let reason = string.flatMap({ Reason($0) }) else { throw VectorFault("\(name) is no reason") }
        return reason
    }

    func asHex(_ name: String) throws -> [UInt8] {
        guard let bytes = string.flatMap({ Hex.decode($0) }) else { throw VectorFault("\(name) is no hex") }
        return bytes
    }

    /// A member that may be absent or null.
    func optional(_ name: String) -> JSONValue? {
        guard let value = self[name], !value.isNull else { return nil }
        return value
    }

    func needBlob(_ name: String) throws -> BlobReference { try need(name).asBlob() }

    func asBlob() throws -> BlobReference {
        BlobReference(
            uri: self["uri"]?.string ?? "",
            sha256: try needString("sha256"),
            size: try needInt("size")
        )
    }

    func asLeaf() throws -> Leaf {
        Leaf(
            identity: try needDID("identity"),
            device: try needDID("device"),
            isAuthentic: self["delegation_valid"]?.bool ?? true
        )
    }

    func list<T>(_ name: String, _ read: (JSONValue) throws -> T) throws -> [T] {
        try (self[name]?.array ?? []).map(read)
    }

    func dids(_ name: String) throws -> [DID] { try list(name) { try $0.asDID(name) } }
}
