import Crypto
import DSIPIdentity
import DSIPMessaging
import Encoding
import Foundation
import NIOCore
import Testing

@testable import DSIPAgent

@Suite("What messages leave on disk")
struct MessageStoreTests {
    private let folder = TemporaryFolder()
    private let owner = DID("did:example:alice")!

    private func store(_ key: SymmetricKey) throws -> IdentityMessages {
        try IdentityMessages(try MessageDatabase(path: folder.path + "/messages.sqlite"), of: owner, key: key)
    }

    @Test("secret rows come back for their key and their place only, and lie sealed in the file of mode 0600")
    func sealing() throws {
        let key = SymmetricKey(size: .bits256)
        let store = try store(key)
        let secret = Array("the state of a group".utf8)
        try store.commit([.row(.mls, scope: "g", key: "1", secret), .row(.mls, scope: "g", key: "2", [7])])
        #expect(try store.row(.mls, "g", "1") == secret)
        #expect(try store.rows(.mls, "g").map(\.key) == ["1", "2"])
        let path = folder.path + "/messages.sqlite"
        for file in [path, path + "-wal"] {
            #expect(FileManager.default.contents(atPath: file)?.range(of: Data(secret)) == nil)
            let attributes = try FileManager.default.attributesOfItem(atPath: file)
            #expect(attributes[.posixPermissions] as? Int == 0o600)
        }
        #expect(throws: MessagingError.self) { try self.store(SymmetricKey(size: .bits256)).row(.mls, "g", "1") }
        try store.commit([.scopeGone(.mls, scope: "g")])
        #expect(try store.row(.mls, "g", "1") == nil && store.rows(.mls, "g").isEmpty)
    }

    @Test("a file sealed in parts comes back whole, whatever its length, and not when a bit of it was changed")
    func files() throws {
        let key = SymmetricKey(size: .bits256)
        for length in [1, 65_535, 65_536, 65_537, 200_000] {
            let path = folder.path + "/\(length)"
            let bytes = (0..<length).map { UInt8(truncatingIfNeeded: $0) }
            var file = try SealedFile(creating: path, key: key)
            for start in stride(from: 0, to: length, by: 10_000) {
                try file.append(bytes[start..<min(length, start + 10_000)])
            }
            try file.finish()
            #expect(try SealedFile.read(path, key: key, size: Int64(length)) == bytes)
            #expect(throws: AgentError(.damaged, "")) { try SealedFile.read(path, key: key, size: Int64(length) + 1) }
            var stored = try #require(FileManager.default.contents(atPath: path))
            stored[stored.count / 2] ^= 1
            try stored.write(to: URL(filePath: path))
            #expect(throws: AgentError(.damaged, "")) { try SealedFile.read(path, key: key, size: Int64(length)) }
        }
    }

    @Test("uploads are bounded, one and all, and gone when they are old or the agent starts again")
    func uploads() async throws {
        let shelf = try UploadShelf(folder: folder.path + "/uploads")
        var random = SystemRandomNumberGenerator()
        func body(_ size: Int) -> AsyncStream<ByteBuffer> {
            AsyncStream { stream in
                stream.yield(ByteBuffer(repeating: 1, count: size))
                stream.finish()
            }
        }
        func take(_ size: Int, announced: Int64?) async -> Result<ULID, AgentError> {
            let id = ULID(milliseconds: 1, using: &random)
            do throws(AgentError) {
                return .success(
                    try await shelf.receive(body(size), announced: announced, contentType: "x/y", id: id, at: 100).id
                )
            } catch { return .failure(error) }
        }
        let kept = try await take(70_000, announced: 70_000).get()
        #expect(try shelf.read(kept).bytes == [UInt8](repeating: 1, count: 70_000))
        #expect(await take(10, announced: 11) == .failure(AgentError(.badRequest, "")))
        #expect(await take(12, announced: 11) == .failure(AgentError(.tooLarge, "")))
        #expect(await take(0, announced: nil) == .failure(AgentError(.badRequest, "")))
        #expect(await take(1, announced: UploadShelf.maximumUpload + 1) == .failure(AgentError(.tooLarge, "")))
        #expect(PrivateFiles.names(in: folder.path + "/uploads").count == 1)
        shelf.sweep(at: 100 + UploadShelf.lifetime)
        #expect(throws: AgentError(.notFound, "")) { try shelf.read(kept) }
        _ = await take(5, announced: nil)
        _ = try UploadShelf(folder: folder.path + "/uploads")
        #expect(PrivateFiles.names(in: folder.path + "/uploads").isEmpty)
    }

    @Test("the cache of attachments stays within its bound, the longest unused goes first")
    func cache() throws {
        let shelf = try AttachmentShelf(stateFolder: folder.path, maximumBytes: 300)
        let key = [UInt8](repeating: 7, count: 32)
        func sealed(_ byte: UInt8) throws -> (BlobReference, [UInt8]) {
            let bytes = try Seal.seal(
                [byte] + [UInt8](repeating: byte, count: 71),
                key: key,
                nonce: .init(repeating: byte, count: 12),
                use: .blob
            )
            return (BlobReference(uri: "https://x/", sha256: Seal.hash(bytes), size: Int64(bytes.count)), bytes)
        }
        let all = try (1...4).map { try sealed($0) }
        for (reference, bytes) in all.prefix(3) { try shelf.keep(bytes, sha256: reference.sha256) }
        #expect(try shelf.open(all[0].0, key: key).first == 1)
        try shelf.keep(all[3].1, sha256: all[3].0.sha256)
        #expect(shelf.has(all[0].0.sha256) && !shelf.has(all[1].0.sha256) && shelf.has(all[3].0.sha256))
        let again = try AttachmentShelf(stateFolder: folder.path, maximumBytes: 300)
        #expect(again.has(all[0].0.sha256) && again.has(all[2].0.sha256))
        #expect(throws: AgentError.self) { try again.open(all[0].0, key: .init(repeating: 8, count: 32)) }
    }

    @Test("a range of a file is served as RFC 9110 has it")
    func ranges() {
        #expect(ByteRange(nil, size: 10) == .whole && ByteRange("items=0-1", size: 10) == .whole)
        #expect(ByteRange("bytes=0-0", size: 10) == .part(0..<1) && ByteRange("bytes=5-", size: 10) == .part(5..<10))
        #expect(ByteRange("bytes=-3", size: 10) == .part(7..<10) && ByteRange("bytes=-30", size: 10) == .part(0..<10))
        #expect(ByteRange("bytes=8-99999999999999999999", size: 10) == .whole)
        #expect(ByteRange("bytes=8-99", size: 10) == .part(8..<10))
        #expect(ByteRange("bytes=10-", size: 10) == .unsatisfiable && ByteRange("bytes=-0", size: 10) == .unsatisfiable)
        for odd in ["bytes=", "bytes=-", "bytes=a-b", "bytes=1-0", "bytes=0-1,3-4", "bytes=+1-2"] {
            #expect(ByteRange(odd, size: 10) == .whole, "\(odd)")
        }
    }

    @Test("a served file is never a page of ours, and its name cannot leave the header")
    func headers() {
        #expect(LocalServer.harmless("image/png") == "image/png")
        #expect(LocalServer.harmless("audio/ogg; codecs=opus") == "audio/ogg; codecs=opus")
        for type in ["text/html", "image/svg+xml", "application/xhtml+xml", "image/png\r\nX: y", "text/javascript"] {
            #expect(LocalServer.harmless(type) == "application/octet-stream")
        }
        #expect(
            LocalServer.disposition("a/b\\gärten \"1\".png") == "attachment; filename*=UTF-8''g%C3%A4rten%20%221%22.png"
        )
        #expect(LocalServer.disposition(nil) == "attachment")
    }
}
