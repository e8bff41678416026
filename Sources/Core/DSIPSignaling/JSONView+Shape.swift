import DSIPIdentity
import Encoding

/// Typed reading of members, with the fault that names them.
extension JSONView {
    /// The UTF-8 of a string, decoded when it holds escapes; nil for anything else.
    @inline(__always)
    func withText<R>(_ body: (UnsafeRawBufferPointer) -> R) -> R? {
        if let result = withPlainString(body) { return result }
        guard let string else { return nil }
        return Array(string.utf8).withUnsafeBytes(body)
    }

    /// Whether this is the string `text`.
    func equals(_ text: String) -> Bool {
        withText { bytes in
            var text = text
            return text.withUTF8 { other in
                guard bytes.count == other.count else { return false }
                for i in 0..<bytes.count where bytes[i] != other[i] { return false }
                return true
            }
        } ?? false
    }

    func matches(_ pattern: (UnsafeRawBufferPointer) -> Bool) -> Bool { withText(pattern) ?? false }

    var versionToken: ProtocolVersion? { withText(ProtocolVersion.init(utf8:)) ?? nil }
    var ulid: ULID? { withText { ULID(utf8: $0) } ?? nil }
    var did: DID? { withText { DID(utf8: $0) } ?? nil }

    func text(_ name: StaticString, _ pattern: (UnsafeRawBufferPointer) -> Bool) throws(ShapeFault) -> String {
        guard let text = withText({ pattern($0) ? String(decoding: $0, as: UTF8.self) : nil }) ?? nil else {
            throw ShapeFault("\(name) is malformed")
        }
        return text
    }

    /// - Parameter limit: Unicode scalars, which JSON Schema counts.
    func text(_ name: StaticString, limit: Int = .max, atLeast least: Int = 0) throws(ShapeFault) -> String {
        guard let string else { throw ShapeFault("\(name) is no string") }
        let bytes = string.utf8.count
        guard bytes >= least, bytes <= limit || string.unicodeScalars.count <= limit else {
            throw ShapeFault("\(name) is too long or too short")
        }
        return string
    }

    func ulid(_ name: StaticString) throws(ShapeFault) -> ULID {
        guard let ulid else { throw ShapeFault("\(name) is no ULID") }
        return ulid
    }

    func did(_ name: StaticString) throws(ShapeFault) -> DID {
        guard let did else { throw ShapeFault("\(name) is no DID") }
        return did
    }

    func kid(_ name: StaticString) throws(ShapeFault) -> DIDURL {
        guard matches(Pattern.fragment), let url = string.flatMap({ DIDURL($0) }) else {
            throw ShapeFault("\(name) is no DID URL with a fragment")
        }
        return url
    }

    func reason(_ name: StaticString) throws(ShapeFault) -> Reason {
        guard let reason = string.flatMap({ Reason($0) }) else { throw ShapeFault("\(name) is no reason token") }
        return reason
    }

    func version(_ name: StaticString) throws(ShapeFault) -> ProtocolVersion {
        guard let versionToken else { throw ShapeFault("\(name) is no version") }
        return versionToken
    }

    func profileIDs(_ name: StaticString) throws(ShapeFault) -> [ProfileID] {
        try list(name) { (element) throws(ShapeFault) in ProfileID(checked: try element.text(name, Pattern.profileID)) }
    }

    func integer(_ name: StaticString, _ range: ClosedRange<Int64> = 0...Int64.max) throws(ShapeFault) -> Int64 {
        guard let integer, range.contains(integer) else { throw ShapeFault("\(name) is no integer in its range") }
        return integer
    }

    func boolean(_ name: StaticString) throws(ShapeFault) -> Bool {
        guard let boolean else { throw ShapeFault("\(name) is no boolean") }
        return boolean
    }

    func object(_ name: StaticString) throws(ShapeFault) -> JSONObject {
        guard isObject, case .object(let object) = value else { throw ShapeFault("\(name) is no object") }
        return object
    }

    func choice<Value: RawRepresentable<String>>(_ name: StaticString, _: Value.Type) throws(ShapeFault) -> Value {
        guard let value = string.flatMap(Value.init(rawValue:)) else {
            throw ShapeFault("\(name) is none of its values")
        }
        return value
    }

    func list<Element>(
        _ name: StaticString,
        atLeast least: Int = 0,
        atMost most: Int = .max,
        _ read: (JSONView) throws(ShapeFault) -> Element
    ) throws(ShapeFault) -> [Element] {
        guard isArray, count >= least, count <= most else { throw ShapeFault("\(name) is no array of its length") }
        var list: [Element] = []
        list.reserveCapacity(count)
        for element in elements { list.append(try read(element)) }
        return list
    }
}
