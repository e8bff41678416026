import Support
import Testing

@testable import MLS

@Suite("The wire format")
struct CodecTests {
    @Test("lengths are written in the fewest bytes and read in no others")
    func lengths() throws {
        for (value, bytes) in [
            (0, [0]), (63, [0x3f]), (64, [0x40, 0x40]), (16_383, [0x7f, 0xff]), (16_384, [0x80, 0, 0x40, 0]),
            ((1 << 30) - 1, [0xbf, 0xff, 0xff, 0xff]),
        ] as [(Int, [UInt8])] {
            var writer = WireWriter()
            writer.length(value)
            #expect(writer.bytes == bytes)
            var reader = WireReader(bytes)
            #expect(try reader.length() == value)
        }
        for bytes in [[0x40, 0x3f], [0x80, 0, 0x3f, 0xff], [0xc0, 0, 0, 0, 0, 0, 0, 0], [0x40], [0x80, 0, 0]]
            as [[UInt8]]
        {
            var reader = WireReader(bytes)
            #expect(throws: MLSError.self) { try reader.length() }
        }
    }

    @Test("a vector never reaches beyond its input, nor a list beyond its vector")
    func bounds() {
        var reader = WireReader([0x05, 1, 2, 3])
        #expect(throws: MLSError.self) { try reader.vector() }
        reader = WireReader([0x03, 0, 1, 0])
        #expect(throws: MLSError.self) { try reader.list(of: CipherSuite.self) }
        reader = WireReader([0x02])
        #expect(throws: MLSError.self) {
            try reader.optional { (reader: inout WireReader) throws(MLSError) in try reader.uint8() }
        }
    }

    @Test("what is written is read again, whatever its size")
    func nested() throws {
        for count in [0, 1, 63, 64, 100, 16_383, 16_384, 70_000] {
            var writer = WireWriter()
            writer.nested { $0.write([UInt8](repeating: 7, count: count)) }
            writer.write(UInt8(9))
            var reader = WireReader(writer.bytes)
            #expect(try reader.vector().count == count)
            #expect(try reader.uint8() == 9)
            #expect(reader.isAtEnd)
        }
    }

    @Test("bytes that peers choose give a value or an error", arguments: [UInt64(1), 2, 3])
    func mutations(_ seed: UInt64) throws {
        var room = try Room(["alice", "bob"])
        var options = CommitOptions()
        options.makesGroupInfo = true
        let made = try room.groups["alice"]!.commit(options, at: now, using: &room.random)
        var seeds = [made.commit.encoded, made.groupInfo!.encoded, room.groups["alice"]!.ratchetTree.encoded]
        seeds.append(try room.people["bob"]!.bundle().keyPackage.message.encoded)
        var random = SeededRandom(seed: seed)
        for _ in 0..<400 {
            var bytes = seeds.randomElement(using: &random)!
            for _ in 0..<Int.random(in: 1...4, using: &random) {
                bytes[Int.random(in: bytes.indices, using: &random)] = .random(in: 0...255, using: &random)
            }
            if Bool.random(using: &random) {
                bytes = Array(bytes.prefix(Int.random(in: 0...bytes.count, using: &random)))
            }
            if let message = try? MLSMessage(decoding: bytes) { #expect(message.encoded == bytes) }
            _ = try? UnverifiedRatchetTree(decoding: bytes)
        }
    }

    @Test("suites 4 and 6 are refused by name, and unknown ones too")
    func suites() {
        for id in [UInt16(0), 4, 6, 8, 0x0a0a] {
            #expect(code { _ = try Suite(CipherSuite(rawValue: id)) } == .unsupported)
        }
    }

    @Test("a message of another version, format or size is refused")
    func messages() {
        #expect(code { _ = try MLSMessage(decoding: [0, 2, 0, 1]) } == .unsupported)
        #expect(code { _ = try MLSMessage(decoding: [0, 1, 0, 9]) } == .malformed)
        #expect(code { _ = try MLSMessage(decoding: [0, 1, 0, 1], maximumByteCount: 3) } == .limit)
    }

    @Test("HKDF by hand is HKDF (RFC 5869 A.1, A.2)")
    func hkdf() {
        let hash = HashAlgorithm.sha256
        let salt = Secret((0...12).map { UInt8($0) })
        let key = hash.extract(salt: salt, Secret([UInt8](repeating: 0x0b, count: 22)))
        let output = hash.expand(key, info: (0xf0...0xf9).map { UInt8($0) }, count: 42)
        #expect(
            output.bytes.prefix(4) == [0x3c, 0xb2, 0x5f, 0x25] && output.bytes.suffix(4) == [0x87, 0x18, 0x58, 0x65]
        )
        let long = hash.extract(salt: Secret((0x60...0xaf).map { UInt8($0) }), Secret((0...0x4f).map { UInt8($0) }))
        let second = hash.expand(long, info: (0xb0...0xff).map { UInt8($0) }, count: 82)
        #expect(second.bytes.prefix(8) == [0xb1, 0x1e, 0x39, 0x8d, 0xc8, 0x03, 0x27, 0xa1])
    }
}
