import Encoding
import Foundation
import Support
import Testing
import WebRTC

@Suite("STUN messages") struct STUNMessageTests {
    @Test("the sample messages of RFC 5769 and RFC 8489 read as printed and verify")
    func published() throws {
        guard let root = Vectors.root else { return }
        let cases = try #require(try Vectors.json(root.appending(path: "stun/rfc5769-rfc8489-vectors.json")).array)
        #expect(cases.count == 5)
        for sample in cases {
            let name = try #require(sample["id"]?.string)
            let message = try STUNMessage(#require(hex(sample["hex"]?.string ?? "")))
            let password = try #require(sample["password"]?.string)
            if let software = sample["software"]?.string { #expect(try message.software() == software, "\(name)") }
            if let address = sample["xor_mapped_address"]?.string {
                #expect(message.type == STUNMessageType(.success, .binding))
                #expect(try message.xorMappedAddress()?.description == address, "\(name)")
            } else {
                #expect(message.type == STUNMessageType(.request, .binding))
            }
            let key: STUNKey
            if let realm = sample["realm"]?.string, let username = sample["username"]?.string {
                #expect(try message.realm() == realm && message.nonce() == sample["nonce"]?.string, "\(name)")
                if sample["userhash"] == nil {
                    #expect(try message.username() == username, "\(name)")
                } else {
                    #expect(try message.userHash()?.count == 32, "\(name)")
                }
                key = .longTerm(username: username, realm: realm, password: password)
            } else {
                if let username = sample["username"]?.string { #expect(try message.username() == username, "\(name)") }
                key = .shortTerm(password: password)
            }
            try message.verifyIntegrity(key)
            #expect(message.hasValidFingerprint == (sample["fingerprint"]?.bool == true ? true : nil), "\(name)")
            #expect(throws: WebRTCError(.notAuthentic, "")) {
                try message.verifyIntegrity(.shortTerm(password: "other"))
            }
            // Any changed byte shows, whichever it is.
            for at in 20..<message.bytes.count {
                var bytes = message.bytes
                bytes[at] ^= 1
                guard let damaged = try? STUNMessage(bytes) else { continue }
                let authentic = (try? damaged.verifyIntegrity(key)) != nil
                // Padding and reserved bytes are covered too; only the fingerprint itself lies outside.
                #expect(
                    !authentic || damaged.hasValidFingerprint == false || at >= bytes.count - 8,
                    "\(name) byte \(at)"
                )
            }
        }
    }

    @Test("captures of browsers' requests read, and their fingerprints hold")
    func browsers() throws {
        guard let root = Vectors.root else { return }
        let text = try String(contentsOf: root.appending(path: "stun/pion/frombrowsers.csv"), encoding: .utf8)
        var read = 0
        for line in text.split(separator: "\n").dropFirst(3) {
            let fields = line.split(separator: ",", omittingEmptySubsequences: false)
            let data = try #require(Data(base64Encoded: String(fields[1])))
            let message = try STUNMessage(Array(data))
            #expect(message.type == STUNMessageType(.request, .binding))
            #expect(message.hasValidFingerprint != false)
            read += 1
        }
        #expect(read > 5)
        let capture = try STUNMessage(Array(Data(contentsOf: root.appending(path: "stun/pion/ex1_chrome.stun"))))
        #expect(capture.type == STUNMessageType(.request, .binding))
    }

    @Test("the fuzz corpus never traps")
    func corpus() throws {
        let files = Vectors.files("stun/pion-fuzz", extensions: [""]).filter { !$0.hasDirectoryPath }
        for file in files {
            for bytes in goByteStrings(try String(contentsOf: file, encoding: .utf8)) { exercise(bytes) }
        }
        if Vectors.root != nil { #expect(files.count == 24) }
    }

    @Test("damaged messages never trap")
    func mutations() {
        var random = SeededRandom(seed: 8_489)
        let original = sample().bytes
        for _ in 0..<20_000 {
            var bytes = original
            for _ in 0..<Int.random(in: 1...4, using: &random) {
                bytes[Int.random(in: 0..<bytes.count, using: &random)] = UInt8.random(in: 0...255, using: &random)
            }
            if Bool.random(using: &random) {
                bytes.removeLast(Int.random(in: 0..<bytes.count, using: &random))
                if bytes.count >= 20 { (bytes[2], bytes[3]) = (0, UInt8(truncatingIfNeeded: bytes.count - 20)) }
            }
            exercise(bytes)
        }
    }

    @Test("what is written reads back: addresses of both families, errors, unknown types, both integrities")
    func roundTrip() throws {
        let v6 = TransportAddress(try #require(IPAddress("2001:db8::1")), port: 40_000)
        var writer = STUNWriter(STUNMessageType(.error, .init(rawValue: 0xABC)), transactionID: Array(1...12))
        writer.attribute(.software, "abc".utf8)
        writer.xorMappedAddress(v6)
        writer.mappedAddress(v6)
        writer.errorCode(.staleNonce)
        writer.unknownAttributes([.priority, .useCandidate, .init(rawValue: 0x7FFF)])
        writer.attribute(.priority, [1, 2, 3, 4])
        writer.messageIntegrity(.shortTerm(password: "secret"))
        writer.messageIntegritySHA256(.longTermSHA256(username: "u", realm: "r", password: "p"))
        writer.fingerprint()
        let message = try STUNMessage(writer.bytes)
        #expect(message.type.kind == .error && message.type.method.rawValue == 0xABC)
        #expect(Array(message.transactionID) == Array(1...12))
        #expect(try message.software() == "abc")
        #expect(try message.xorMappedAddress() == v6 && message.mappedAddress() == v6)
        #expect(try message.errorCode() == .staleNonce)
        #expect(try message.unknownAttributes()?.map(\.rawValue) == [0x24, 0x25, 0x7FFF])
        #expect(try message.number(.priority) == 0x0102_0304)
        #expect(message.hasValidFingerprint == true)
        // The stronger attribute decides.
        try message.verifyIntegrity(.longTermSHA256(username: "u", realm: "r", password: "p"))
        #expect(throws: WebRTCError(.notAuthentic, "")) { try message.verifyIntegrity(.shortTerm(password: "secret")) }
    }

    @Test("attributes behind the integrity do not count, and none may follow the fingerprint")
    func afterIntegrity() throws {
        var writer = STUNWriter(STUNMessageType(.request, .binding), transactionID: Array(1...12))
        writer.messageIntegrity(.shortTerm(password: "secret"))
        writer.attribute(.username, "injected".utf8)
        let message = try STUNMessage(writer.bytes)
        #expect(try message.username() == nil)
        try message.verifyIntegrity(.shortTerm(password: "secret"))
        writer.fingerprint()
        writer.attribute(.software, "late".utf8)
        #expect(throws: WebRTCError(.badMessage, "")) { try STUNMessage(writer.bytes) }
    }

    @Test("a message that is not framed as STUN is refused")
    func framing() throws {
        let good = sample().bytes
        _ = try STUNMessage(good)
        for (at, value): (Int, UInt8) in [(0, 0x80), (4, 0), (3, good[3] + 4), (23, 0xFF)] {
            var bytes = good
            bytes[at] = value
            #expect(throws: WebRTCError(.badMessage, "")) { try STUNMessage(bytes) }
        }
        #expect(throws: WebRTCError(.badMessage, "")) { try STUNMessage([]) }
        #expect(throws: WebRTCError(.badMessage, "")) { try STUNMessage(Array(good.dropLast())) }
        #expect(throws: WebRTCError(.badMessage, "")) { try STUNMessage(good + [0, 0, 0, 0]) }
        var many = STUNWriter(STUNMessageType(.request, .binding), transactionID: Array(1...12))
        for _ in 0...STUNMessage.maximumAttributes { many.attribute(.software, []) }
        #expect(throws: WebRTCError(.tooLarge, "")) { try STUNMessage(many.bytes) }
    }

    @Test("class and method are interleaved as RFC 8489 draws them")
    func types() {
        #expect(STUNMessageType(.request, .binding).rawValue == 0x0001)
        #expect(STUNMessageType(.indication, .binding).rawValue == 0x0011)
        #expect(STUNMessageType(.success, .binding).rawValue == 0x0101)
        #expect(STUNMessageType(.error, .binding).rawValue == 0x0111)
        for raw in UInt16(0)...0x3FFF {
            let type = STUNMessageType(rawValue: raw)
            if STUNMessageType(type.kind, type.method) != type { Issue.record("\(raw)") }
        }
    }

    private func sample() -> STUNWriter {
        var writer = STUNWriter(STUNMessageType(.success, .binding), transactionID: Array(1...12))
        writer.attribute(.username, "evtj:h6vY".utf8)
        writer.xorMappedAddress(TransportAddress(.v4(SIMD4(192, 0, 2, 1)), port: 32_853))
        writer.errorCode(.unknownAttribute)
        writer.unknownAttributes([.priority])
        writer.messageIntegrity(.shortTerm(password: "secret"))
        writer.messageIntegritySHA256(.shortTerm(password: "secret"))
        writer.fingerprint()
        return writer
    }

    private func exercise(_ bytes: [UInt8]) {
        _ = BindingResponder().respond(to: bytes, from: TransportAddress(.v4(SIMD4(192, 0, 2, 1)), port: 1))
        guard let message = try? STUNMessage(bytes) else { return }
        _ = (
            try? message.xorMappedAddress(), try? message.mappedAddress(), try? message.username(), try? message.realm()
        )
        _ = (try? message.nonce(), try? message.software(), try? message.userHash(), try? message.errorCode())
        _ = (try? message.unknownAttributes(), try? message.number(.priority), message.hasValidFingerprint)
        try? message.verifyIntegrity(.shortTerm(password: "secret"))
    }

    /// The byte strings of a Go fuzz corpus file.
    private func goByteStrings(_ text: String) -> [[UInt8]] {
        text.split(separator: "\n").compactMap { line in
            guard line.hasPrefix("[]byte(\""), line.hasSuffix("\")") else { return nil }
            var source = Array(line.utf8)[8..<(line.utf8.count - 2)]
            var bytes: [UInt8] = []
            let short: [UInt8: UInt8] = [
                0x6E: 10, 0x74: 9, 0x72: 13, 0x61: 7, 0x62: 8, 0x66: 12, 0x76: 11, 0x22: 0x22, 0x5C: 0x5C,
            ]
            while let byte = source.popFirst() {
                guard byte == 0x5C, let escape = source.popFirst() else {
                    bytes.append(byte)
                    continue
                }
                if let plain = short[escape] {
                    bytes.append(plain)
                } else {
                    let digits = source.prefix(escape == 0x78 ? 2 : escape == 0x75 ? 4 : 8)
                    source = source.dropFirst(digits.count)
                    let value = UInt32(String(decoding: digits, as: UTF8.self), radix: 16) ?? 0
                    if escape == 0x78 {
                        bytes.append(UInt8(truncatingIfNeeded: value))
                    } else if let scalar = Unicode.Scalar(value) {
                        bytes += Array(String(scalar).utf8)
                    }
                }
            }
            return bytes
        }
    }

    private func hex(_ text: String) -> [UInt8]? {
        let digits = Array(text)
        guard digits.count.isMultiple(of: 2) else { return nil }
        return stride(from: 0, to: digits.count, by: 2).compactMap { UInt8(String(digits[$0...($0 + 1)]), radix: 16) }
    }
}
