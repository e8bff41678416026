import Crypto
import Encoding
import Support
import Testing
import WebPush

private let key = SymmetricKey(data: [UInt8](repeating: 7, count: 16))
private let salt = [UInt8](repeating: 9, count: 16)

private func encode(_ content: [UInt8], recordSize: Int = 64, padding: Int = 0) throws -> [UInt8] {
    try ContentEncoder.encode(content, key: key, salt: salt, recordSize: recordSize, padding: padding)
}

private func decode(_ body: [UInt8]) throws(WebPushError) -> [UInt8] { try ContentDecoder.decode(body) { _ in key } }

private func bytes(_ text: String) throws -> [UInt8] { try #require(Base64URL.decode(text)) }

@Suite("RFC 8188: the content coding")
struct ContentCodingTests {
    @Test("§3.1 and §3.2: the RFC's examples, both ways, byte for byte")
    func examples() throws {
        let content = Array("I am the walrus".utf8)
        let first = try bytes(
            "I1BsxtFttlv3u_Oo94xnmwAAEAAA-NAVub2qFgBEuQKRapoZu-IxkIva3MEB1PD-ly8Thjg"
        )
        let firstKey = SymmetricKey(data: try bytes("yqdlZ-tYemfogSmv7Ws5PQ"))
        #expect(try ContentDecoder.decode(first) { _ in firstKey } == content)
        #expect(try ContentEncoder.encode(content, key: firstKey, salt: bytes("I1BsxtFttlv3u_Oo94xnmw")) == first)
        let second = try bytes(
            "uNCkWiNYzKTnBN9ji3-qWAAAABkCYTHOG8chz_gnvgOqdGYovxyjuqRyJFjEDyoF1Fvkj6hQPdPHI51OEUKEpgz3SsLWIqS_uA"
        )
        let secondKey = SymmetricKey(data: try bytes("BO3ZVPxUlnLORbVGMpbT1Q"))
        #expect(
            try ContentDecoder.decode(second) { $0.keyIdentifier == Array("a1".utf8) ? secondKey : nil } == content
        )
        let again = try ContentEncoder.encode(
            content,
            key: secondKey,
            salt: bytes("uNCkWiNYzKTnBN9ji3-qWA"),
            keyIdentifier: Array("a1".utf8),
            recordSize: 25,
            padding: 1
        )
        #expect(again == second)
    }

    @Test("§2: any length, record size and padding comes back, whole or in pieces of any size", arguments: 1...40)
    func roundTrip(seed: UInt64) throws {
        var random = SeededRandom(seed: seed)
        let recordSize = [18, 19, 20, 33, 64, 4096].randomElement(using: &random) ?? 18
        let content = (0..<Int.random(in: 0...400, using: &random)).map { _ in
            UInt8.random(in: 0...255, using: &random)
        }
        let padding = Int.random(in: 0...100, using: &random)
        let whole = try encode(content, recordSize: recordSize, padding: padding)
        #expect(try decode(whole) == content)

        var encoder = try ContentEncoder(key: key, salt: salt, recordSize: recordSize, padding: padding)
        var decoder = ContentDecoder { _ in key }
        var (sent, got): ([UInt8], [UInt8]) = ([], [])
        var rest = content[...]
        while !rest.isEmpty {
            let piece = rest.prefix(Int.random(in: 1...50, using: &random))
            rest = rest.dropFirst(piece.count)
            sent += encoder.append(piece)
        }
        sent += encoder.finish()
        #expect(sent == whole)
        rest = sent[...]
        while !rest.isEmpty {
            let piece = rest.prefix(Int.random(in: 1...50, using: &random))
            rest = rest.dropFirst(piece.count)
            got += try decoder.append(piece)
        }
        got += try decoder.finish()
        #expect(got == content)
    }

    @Test("§2: every record but the last is full, and the length shows padding")
    func sizes() throws {
        #expect(try encode([], recordSize: 64).count == 21 + 17)
        #expect(try encode([UInt8](repeating: 1, count: 47), recordSize: 64).count == 21 + 64)
        #expect(try encode([UInt8](repeating: 1, count: 48), recordSize: 64).count == 21 + 64 + 18)
        #expect(try encode([1], recordSize: 64, padding: 46).count == 21 + 64)
        #expect(try encode([1], recordSize: 18, padding: 3).count == 21 + 4 * 18)
    }

    @Test("§2: a body cut anywhere is refused")
    func truncation() throws {
        let body = try encode(Array(0..<100), recordSize: 40)
        for length in 0..<body.count {
            #expect(throws: WebPushError.self) { try decode(Array(body.prefix(length))) }
        }
        // At a boundary of records only the delimiter tells.
        #expect(throws: WebPushError(.truncated, "")) { try decode(Array(body.prefix(21 + 40))) }
        #expect(throws: WebPushError(.truncated, "")) { try decode(Array(body.prefix(21))) }
    }

    @Test("§2: a flipped bit, records exchanged, repeated or added are refused")
    func tampering() throws {
        let body = try encode(Array(0..<100), recordSize: 40)
        for at in body.indices.dropFirst(21) {
            var forged = body
            forged[at] ^= 1
            #expect(throws: WebPushError(.authentication, "")) { try decode(forged) }
        }
        let (header, first, second) = (body[..<21], body[21..<61], body[61..<101])
        for order in [[second, first], [first, first], [first, second, second]] {
            #expect(throws: WebPushError.self) { try decode(Array(header) + order.flatMap { $0 } + body[101...]) }
        }
        #expect(throws: WebPushError.self) { try decode(body + [0]) }
        #expect(throws: WebPushError(.malformed, "")) {
            // The last record is full here, so what follows it stands alone.
            try decode(try encode([UInt8](repeating: 1, count: 47), recordSize: 64) + [0])
        }
    }

    @Test("§2: a record of zeros alone, and one with another delimiter, are refused")
    func delimiters() throws {
        func record(_ content: [UInt8]) throws -> [UInt8] {
            let cek = HKDF<SHA256>.deriveKey(
                inputKeyMaterial: key,
                salt: salt,
                info: Array("Content-Encoding: aes128gcm\u{0}".utf8),
                outputByteCount: 16
            )
            let nonce = HKDF<SHA256>.deriveKey(
                inputKeyMaterial: key,
                salt: salt,
                info: Array("Content-Encoding: nonce\u{0}".utf8),
                outputByteCount: 12
            ).withUnsafeBytes { Array($0) }
            let box = try AES.GCM.seal(content, using: cek, nonce: .init(data: nonce))
            return try ContentHeader(salt: salt, recordSize: 64, keyIdentifier: []).bytes + Array(box.ciphertext)
                + Array(box.tag)
        }
        #expect(try decode(record([1, 0, 2, 0, 0])) == [1, 0])
        #expect(try decode(record([2])) == [])
        for content: [UInt8] in [[0, 0, 0], [], [1, 2, 3], [5, 0xff, 0], [1, 0x80]] {
            #expect(throws: WebPushError.self) { try decode(record(content)) }
        }
        // A record that says that more follows, at the end.
        #expect(throws: WebPushError(.truncated, "")) { try decode(record([9, 1])) }
    }

    @Test("§2.1: a record size below 18, an unknown key, and what exceeds the limits are refused")
    func limits() throws {
        #expect(throws: WebPushError(.malformed, "")) {
            try decode(salt + [0, 0, 0, 17, 0] + [UInt8](repeating: 0, count: 40))
        }
        #expect(throws: WebPushError(.parameter, "")) { try encode([], recordSize: 17) }
        #expect(throws: WebPushError(.parameter, "")) {
            try ContentEncoder(key: key, salt: [1], recordSize: 64)
        }
        let body = try encode([UInt8](repeating: 1, count: 500), recordSize: 4096)
        #expect(throws: WebPushError(.unknownKey, "")) { try ContentDecoder.decode(body) { _ in nil } }
        #expect(throws: WebPushError(.limit, "")) {
            try ContentDecoder.decode(body, limits: .init(record: 100)) { _ in key }
        }
        #expect(throws: WebPushError(.limit, "")) {
            try ContentDecoder.decode(body, limits: .init(body: 100)) { _ in key }
        }
        // A size beyond the limit is no fault while the records are small.
        let header = try ContentHeader(salt: salt, recordSize: Int(UInt32.max), keyIdentifier: [])
        let small = try ContentEncoder.encode([1], key: key, salt: salt, recordSize: header.recordSize)
        #expect(try ContentDecoder.decode(small, limits: .init(record: 100)) { _ in key } == [1])
    }

    @Test("a decoder that failed keeps failing")
    func failedStays() throws {
        var decoder = ContentDecoder { _ in key }
        #expect(throws: WebPushError(.malformed, "")) { try decoder.append([UInt8](repeating: 0, count: 30)) }
        #expect(throws: WebPushError(.malformed, "")) { try decoder.append(encode([1])) }
        #expect(throws: WebPushError(.malformed, "")) { try decoder.finish() }
    }
}
