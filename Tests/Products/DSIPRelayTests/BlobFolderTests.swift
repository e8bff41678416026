import Crypto
import DSIPMessaging
import Encoding
import Foundation
import NIOCore
import Testing

@testable import DSIPRelay

@Suite("Blobs on disk")
struct BlobFolderTests {
    private let folder: TemporaryFolder

    init() throws { folder = try TemporaryFolder() }

    private func open(_ maximumBytes: Int64 = 0) throws -> BlobFolder {
        try BlobFolder(path: folder.path + "/blobs", maximumBytes: maximumBytes)
    }

    private func name(_ bytes: [UInt8]) -> String { Hex.encode(Array(SHA256.hash(data: bytes))) }

    private func keep(_ bytes: [UInt8], in blobs: BlobFolder) throws {
        let writer = try blobs.begin(size: Int64(bytes.count))
        #expect(try writer.write(bytes))
        #expect(writer.sha256 == name(bytes))
        try blobs.publish(writer, as: name(bytes))
    }

    @Test("a blob stands under its hash, whole, and is there after a restart")
    func kept() throws {
        let bytes = (0..<300_000).map { UInt8(truncatingIfNeeded: $0 &* 7) }
        try keep(bytes, in: try open())
        let blobs = try open()
        #expect(blobs.usedBytes == 300_000)
        #expect(blobs.entry(name(bytes))?.size == 300_000)
        let reader = try #require(blobs.reader(name(bytes)))
        #expect(try reader.read(300_000, at: 0) == bytes)
        #expect(try reader.read(10, at: 299_995) == Array(bytes.suffix(5)))
        // Removed while it is read: read to its end.
        blobs.remove(name(bytes))
        #expect(blobs.entry(name(bytes)) == nil && blobs.usedBytes == 0)
        #expect(try reader.read(3, at: 100) == Array(bytes[100..<103]))
    }

    @Test("the same bytes twice are one file, counted once")
    func deduplicated() throws {
        let blobs = try open()
        for _ in 0..<2 { try keep(Array("twice".utf8), in: blobs) }
        #expect(blobs.all().count == 1 && blobs.usedBytes == 5)
    }

    @Test("what was not finished is gone at the next start, and never had a name")
    func unfinished() throws {
        let blobs = try open()
        let writer = try blobs.begin(size: 100)
        #expect(try writer.write(Array("half".utf8)))
        #expect(blobs.all().isEmpty)
        #expect(try FileManager.default.contentsOfDirectory(atPath: folder.path + "/blobs/unfinished").count == 1)
        _ = try open()
        #expect(try FileManager.default.contentsOfDirectory(atPath: folder.path + "/blobs/unfinished").isEmpty)
    }

    @Test("more than was announced is not taken")
    func tooLong() throws {
        let blobs = try open()
        let writer = try blobs.begin(size: 4)
        #expect(try writer.write([1, 2, 3]))
        #expect(try !writer.write([4, 5]))
        #expect(writer.written == 3)
        blobs.discard(writer)
        #expect(try FileManager.default.contentsOfDirectory(atPath: folder.path + "/blobs/unfinished").isEmpty)
    }

    @Test("the bound holds for uploads under way as well, and what is discarded gives its room back")
    func bounded() throws {
        let blobs = try open(10)
        let first = try blobs.begin(size: 6)
        #expect(throws: RelayError(.full, "")) { try blobs.begin(size: 5) }
        blobs.discard(first)
        blobs.discard(first)
        try keep(Array("12345".utf8), in: blobs)
        #expect(throws: RelayError(.full, "")) { try blobs.begin(size: 6) }
        _ = try blobs.begin(size: 5)
    }

    @Test(
        "nothing but a hash becomes a path",
        arguments: [
            "", "..", "../../etc/passwd", String(repeating: "a", count: 63), String(repeating: "A", count: 64),
            String(repeating: "a", count: 60) + "/../", String(repeating: "g", count: 64),
        ]
    )
    func names(_ name: String) throws {
        let blobs = try open()
        #expect(blobs.entry(name) == nil && blobs.reader(name) == nil)
        blobs.remove(name)
    }

    @Test(
        "ranges as RFC 9110 §14.1.2 reads them",
        arguments: [
            (nil, ByteRange.whole), ("bytes=0-", .part(0..<1000)), ("bytes=0-0", .part(0..<1)),
            ("bytes=500-999", .part(500..<1000)), ("bytes=500-5000", .part(500..<1000)),
            ("bytes=-1", .part(999..<1000)),
            ("bytes=-5000", .part(0..<1000)), ("bytes=1000-", .unsatisfiable), ("bytes=-0", .unsatisfiable),
            ("bytes=5-4", .whole), ("bytes=-", .whole), ("bytes=0-1,5-6", .whole), ("lines=0-1", .whole),
            ("bytes=+1-2", .whole), ("bytes=99999999999999999999-", .whole), ("bytes= 0-1", .whole),
        ] as [(String?, ByteRange)]
    )
    func ranges(_ header: String?, _ range: ByteRange) { #expect(ByteRange(header, size: 1000) == range) }

    @Test("of an empty blob no range can be had")
    func emptyRange() {
        #expect(ByteRange("bytes=0-", size: 0) == .unsatisfiable)
        #expect(ByteRange("bytes=-1", size: 0) == .unsatisfiable)
    }
}
