import Encoding
import MLS

/// Reads members of a vector, hexadecimal where bytes are meant.
struct VectorReader {
    let value: JSONValue

    init(_ value: JSONValue) { self.value = value }

    struct Fault: Error, CustomStringConvertible {
        let description: String
    }

    func member(_ name: String) throws -> JSONValue {
        guard let member = value[name] else { throw Fault(description: "no member \(name)") }
        return member
    }

    subscript(_ name: String) -> VectorReader { get throws { VectorReader(try member(name)) } }

    func bytes(_ name: String) throws -> [UInt8] { try Self.bytes(try member(name)) }
    func secret(_ name: String) throws -> Secret { Secret(try bytes(name)) }

    func optionalBytes(_ name: String) throws -> [UInt8]? {
        let member = try member(name)
        return member.isNull ? nil : try Self.bytes(member)
    }

    func string(_ name: String) throws -> String {
        guard let string = try member(name).string else { throw Fault(description: "\(name) is no string") }
        return string
    }

    func int(_ name: String) throws -> Int {
        guard let int = try member(name).int else { throw Fault(description: "\(name) is no integer") }
        return Int(int)
    }

    func array(_ name: String) throws -> [JSONValue] {
        guard let array = try member(name).array else { throw Fault(description: "\(name) is no array") }
        return array
    }

    func readers(_ name: String) throws -> [VectorReader] { try array(name).map(VectorReader.init) }

    func suite() throws -> Suite {
        guard let id = UInt16(exactly: try int("cipher_suite")) else { throw Fault(description: "no cipher suite") }
        return try Suite(CipherSuite(rawValue: id))
    }

    static func bytes(_ value: JSONValue) throws -> [UInt8] {
        guard let text = value.string, text.utf8.count % 2 == 0 else { throw Fault(description: "no hexadecimal") }
        func digit(_ byte: UInt8) throws -> UInt8 {
            switch byte {
            case 0x30...0x39: return byte - 0x30
            case 0x41...0x46: return byte - 0x37
            case 0x61...0x66: return byte - 0x57
            default: throw Fault(description: "no hexadecimal")
            }
        }
        let utf8 = Array(text.utf8)
        return try stride(from: 0, to: utf8.count, by: 2).map { try digit(utf8[$0]) << 4 | digit(utf8[$0 + 1]) }
    }
}

/// A random source for vectors: what is made anew in a check is opened again in the same check, so it may be the system's.
typealias VectorRandom = SystemRandomNumberGenerator

func expect<T: Equatable>(_ actual: T, _ expected: T, _ what: @autoclosure () -> String) throws {
    guard actual == expected else { throw VectorReader.Fault(description: "\(what()) differs") }
}

func expect(_ condition: Bool, _ what: @autoclosure () -> String) throws {
    guard condition else { throw VectorReader.Fault(description: "\(what()) does not hold") }
}
