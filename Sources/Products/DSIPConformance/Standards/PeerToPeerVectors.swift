import Crypto
import Encoding
import FoundationEssentials
import Libp2p

/// Vectors of the Noise framework, libp2p, multiformats and IPNS, recognised by file name or members.
enum PeerToPeerVectors {
    /// Names of the lines, in their order.
    static let areas = ["noise", "libp2p", "multiformats", "ipns"]

    /// Whether a file that is no JSON belongs here.
    static func isVector(folder: String, name: String) -> Bool {
        ["ipns-record", "csv", "der", "pub"].contains { name.hasSuffix(".\($0)") }
            || folder.contains("/FuzzNewMultiaddr")
    }

    /// - Returns: nil when the file is none of these; nothing for a file that belongs to another's case.
    static func run(_ bytes: [UInt8], path: String) -> [ConformanceResult]? {
        let parts = path.split(separator: "/").map(String.init)
        guard parts.count > 1 else { return nil }
        let (folder, name) = (parts[parts.count - 2], parts[parts.count - 1])
        if name.hasSuffix(".ipns-record") { return [IPNSArea.run(bytes, name: name)] }
        if name.hasSuffix(".der") { return [Libp2pArea.foreignCertificate(bytes, id: "tls/\(name)")] }
        if folder.hasPrefix("FuzzNewMultiaddr") { return [Libp2pArea.address(bytes, id: "\(folder)/\(name)")] }
        if folder == "go-crypto-test_data", name.hasSuffix(".pub") {
            let signature = FileManager.default.contents(atPath: path.dropLast(3) + "sig").map { Array($0) }
            return signature.map { [Libp2pArea.signature($0, publicKey: bytes, id: "\(folder)/\(name)")] } ?? []
        }
        switch (folder, name) {
        case ("multibase", "basic.csv"), ("multibase", "leading_zero.csv"):
            return MultiformatsArea.bases(lines(bytes), file: name)
        case ("multihash", "test_cases.csv"): return MultiformatsArea.hashes(lines(bytes))
        case ("multicodec", "table.csv"): return MultiformatsArea.addressCodes(lines(bytes))
        case (_, _) where name.hasSuffix(".csv"): return []
        case (_, "unsigned-varint.json"): return json(bytes).map(MultiformatsArea.varints)
        case (_, "peer-id-key-vectors.json"): return json(bytes).map(Libp2pArea.keys)
        case (_, "tls-certificate-vectors.json"):
            return json(bytes)?.array?.map(Libp2pArea.certificate)
        default: break
        }
        guard name.hasPrefix("cacophony"), let vectors = json(bytes)?["vectors"]?.array else { return nil }
        return vectors.enumerated().map { NoiseArea.run($1, id: "\(name)/\($0)") }
    }

    static func skipped(_ id: String, _ area: String, _ reason: String) -> ConformanceResult {
        ConformanceResult(id: id, area: area, outcome: .skipped(reason))
    }

    private static func json(_ bytes: [UInt8]) -> JSONValue? {
        try? JSONValue(parsing: bytes, limits: .init(bytes: 64 << 20, depth: 64, members: 65_000))
    }

    /// Cells of comma-separated lines, without spaces around them.
    private static func lines(_ bytes: [UInt8]) -> [[String]] {
        String(decoding: bytes, as: UTF8.self).split(whereSeparator: \.isNewline).map { line in
            line.split(separator: ",", omittingEmptySubsequences: false).map { cell in
                var cell = cell
                while cell.first == " " { cell.removeFirst() }
                while cell.last == " " { cell.removeLast() }
                return String(cell)
            }
        }
    }
}

/// A transcript of a handshake and the messages after it, byte for byte.
enum NoiseArea {
    static func run(_ vector: JSONValue, id: String) -> ConformanceResult {
        let name = vector["protocol_name"]?.string ?? ""
        guard name == NoiseXX.name else {
            return PeerToPeerVectors.skipped(id, "noise", "\(name): only the pattern and suite of libp2p are spoken")
        }
        let messages = vector["messages"]?.array ?? []
        let expected: JSONValue = [
            "ciphertexts": .array(messages.map { $0["ciphertext"] ?? .null }),
            "payloads": .array(messages.map { $0["payload"] ?? .null }),
            "handshake_hash": vector["handshake_hash"] ?? .null,
        ]
        return StandardVectors.result(id, area: "noise", expected: expected) {
            func bytes(_ name: String, _ value: JSONValue) throws -> [UInt8] {
                guard let bytes = value[name]?.string.flatMap({ Hex.decode($0) }) else {
                    throw VectorFault("no \(name)")
                }
                return bytes
            }
            func side(_ role: NoiseXX.Role, _ prefix: String) throws -> NoiseXX {
                NoiseXX(
                    role,
                    staticKey: try .init(rawRepresentation: bytes("\(prefix)_static", vector)),
                    ephemeral: try .init(rawRepresentation: bytes("\(prefix)_ephemeral", vector)),
                    prologue: try bytes("\(prefix)_prologue", vector)
                )
            }
            var sides = [try side(.initiator, "init"), try side(.responder, "resp")]
            var ciphertexts: [JSONValue] = []
            var payloads: [JSONValue] = []
            for (index, message) in messages.prefix(3).enumerated() {
                let sent = try sides[index % 2].write(bytes("payload", message))
                ciphertexts.append(.string(Hex.encode(sent)))
                payloads.append(.string(Hex.encode(try sides[1 - index % 2].read(sent))))
            }
            var ends = sides.map { $0.finish() }
            guard ends[0].handshakeHash == ends[1].handshakeHash else { throw VectorFault("two transcripts") }
            for (index, message) in messages.enumerated().dropFirst(3) {
                let sent = try ends[index % 2].sending.encrypt(bytes("payload", message))
                ciphertexts.append(.string(Hex.encode(sent)))
                payloads.append(.string(Hex.encode(try ends[1 - index % 2].receiving.decrypt(sent))))
            }
            return [
                "ciphertexts": .array(ciphertexts), "payloads": .array(payloads),
                "handshake_hash": .string(Hex.encode(ends[0].handshakeHash)),
            ]
        }
    }
}

/// Keys, peer ids, signatures, addresses.
enum Libp2pArea {
    static func keys(_ vector: JSONValue) -> [ConformanceResult] {
        var results: [ConformanceResult] = []
        for (name, value) in vector["protobuf_keys_hex"]?.object?.members ?? [] {
            let id = "peer-ids/\(name)"
            guard let bytes = value.string.flatMap({ Hex.decode($0) }) else { continue }
            if name.hasSuffix("private key") {
                guard name.hasPrefix("ED25519") else {
                    results.append(PeerToPeerVectors.skipped(id, "libp2p", "private keys are Ed25519 here"))
                    continue
                }
                let publicKey = vector["protobuf_keys_hex"]?["ED25519 public key"] ?? .null
                results.append(
                    StandardVectors.result(id, area: "libp2p", expected: ["public": publicKey, "again": value]) {
                        let key = try IdentityKey(protobuf: bytes)
                        return [
                            "public": .string(Hex.encode(key.publicKey.protobuf)),
                            "again": .string(Hex.encode(key.protobuf)),
                        ]
                    }
                )
            } else {
                results.append(
                    StandardVectors.result(id, area: "libp2p", expected: ["again": value, "id": "same"]) {
                        let key = try PublicKey(protobuf: bytes)
                        let peer = PeerID(key)
                        let same = PeerID(peer.description) == peer && PeerID(peer.cid) == peer
                        return ["again": .string(Hex.encode(key.protobuf)), "id": same ? "same" : "different"]
                    }
                )
            }
        }
        for example in vector["peer_id_text_examples"]?.array ?? [] {
            guard let text = example.string else { continue }
            results.append(
                StandardVectors.result("peer-ids/\(text)", area: "libp2p", expected: example) {
                    guard let peer = PeerID(text) else { throw VectorFault("no peer id") }
                    return .string(text.hasPrefix("b") ? peer.cid : peer.description)
                }
            )
        }
        return results
    }

    /// Within the lifetime of every certificate here.
    private static let certificateTime: Int64 = 1_760_000_000_000

    /// A certificate of the TLS specification, and the peer it proves, or none.
    static func certificate(_ vector: JSONValue) -> ConformanceResult {
        let expected = vector["peer_id"]?.array?.first ?? "refused"
        return StandardVectors.result("tls/\(vector["title"]?.string ?? "")", area: "libp2p", expected: expected) {
            guard let bytes = vector["certificate_der_hex"]?.array?.first?.string.flatMap({ Hex.decode($0) }) else {
                throw VectorFault("no certificate")
            }
            do throws(Libp2pError) {
                return .string(PeerID(try HandshakeCertificate.verify([bytes], at: certificateTime)).description)
            } catch {
                guard error.code != .unsupported else { throw Unimplemented(error.reason) }
                return "refused"
            }
        }
    }

    /// Certificates whose extension was signed for another key, under many signature algorithms: none proves anything.
    static func foreignCertificate(_ bytes: [UInt8], id: String) -> ConformanceResult {
        StandardVectors.result(id, area: "libp2p", expected: "refused") {
            (try? HandshakeCertificate.verify([bytes], at: certificateTime)) == nil ? "refused" : "accepted"
        }
    }

    /// The message that the fixtures beside the keys sign.
    private static let signedText = "Libp2p is the _best_!"

    static func signature(_ signature: [UInt8], publicKey: [UInt8], id: String) -> ConformanceResult {
        StandardVectors.result(id, area: "libp2p", expected: ["signed": true, "other": false]) {
            let key = try PublicKey(protobuf: publicKey)
            guard key.canVerify else { throw Unimplemented("\(key.type) signatures") }
            return [
                "signed": .bool(key.isValid(signature: signature, for: Array(signedText.utf8))),
                "other": .bool(key.isValid(signature: signature, for: Array("other".utf8))),
            ]
        }
    }

    /// No input of the fuzz corpus traps, and what is read is written the same.
    static func address(_ bytes: [UInt8], id: String) -> ConformanceResult {
        StandardVectors.result(id, area: "libp2p", expected: "no change") {
            if let address = try? Multiaddr(bytes: bytes), address.bytes != bytes { return "changed" }
            if let address = try? Multiaddr(String(decoding: bytes, as: UTF8.self)) {
                let again = try Multiaddr(address.description)
                guard again == address, try Multiaddr(bytes: address.bytes) == address else { return "changed" }
            }
            return "no change"
        }
    }
}

/// Records under key names; the file's name tells the key, and what is broken.
enum IPNSArea {
    static func run(_ bytes: [UInt8], name: String) -> ConformanceResult {
        let stem = name.dropLast(".ipns-record".count)
        let key = stem.prefix { $0 != "_" }
        let kind = stem.dropFirst(key.count + 1)
        let isValid = !kind.contains("broken") && kind != "v1"
        return StandardVectors.result(
            "ipns/\(stem)",
            area: "ipns",
            expected: isValid ? "accepted" : "refused"
        ) {
            guard let peer = PeerID(key) else { throw VectorFault("the file is not named after a key") }
            do throws(Libp2pError) {
                _ = try IPNSRecord(verifying: bytes, name: peer)
                return "accepted"
            } catch {
                if error.code == .unsupported { throw Unimplemented(error.reason) }
                return "refused"
            }
        }
    }
}
