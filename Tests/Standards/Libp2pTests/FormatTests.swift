import Crypto
import Encoding
import Foundation
import Support
import Testing

@testable import Libp2p

@Suite("Keys, ids, addresses, records")
struct FormatTests {
    @Test("Public keys and peer ids of the specification's table")
    func keyVectors() throws {
        guard let root = Vectors.root else { return }
        let vectors = try Vectors.json(root.appending(path: "libp2p/peer-id-key-vectors.json"))
        let keys = try #require(vectors["protobuf_keys_hex"])
        for name in ["ECDSA", "ED25519", "secp256k1", "rsa"] {
            let text = try #require(keys["\(name) public key"]?.string)
            let bytes = try #require(Hex.decode(text))
            let key = try PublicKey(protobuf: bytes)
            #expect(key.protobuf == bytes)
            let id = PeerID(key)
            #expect(PeerID(id.description) == id)
            #expect(PeerID(id.cid) == id)
            #expect(PeerID(bytes: id.bytes) == id)
            #expect(id.publicKey == (bytes.count <= 42 ? key : nil))
        }
        let secret = try #require(keys["ED25519 private key"]?.string.flatMap { Hex.decode($0) })
        let identity = try IdentityKey(protobuf: secret)
        #expect(Hex.encode(identity.publicKey.protobuf) == keys["ED25519 public key"]?.string)
        #expect(identity.protobuf == secret)
        for example in vectors["peer_id_text_examples"]?.array ?? [] {
            let text = try #require(example.string)
            let id = try #require(PeerID(text))
            #expect(id.description == text || id.cid == text)
        }
    }

    @Test("RSA signatures of another implementation verify, and not over other data")
    func signatures() throws {
        guard let root = Vectors.root?.appending(path: "libp2p/go-crypto-test_data") else { return }
        let key = try PublicKey(protobuf: Data(contentsOf: root.appending(path: "0.pub")))
        let signature = try Data(contentsOf: root.appending(path: "0.sig"))
        #expect(key.type == .rsa)
        #expect(!key.isValid(signature: signature, for: Array("other data".utf8)))
        let other = try PublicKey(protobuf: Data(contentsOf: root.appending(path: "2.pub")))
        #expect(other.type == .secp256k1 && !other.canVerify)
    }

    @Test("A public key in a second encoding, of an unknown type or a wrong length is refused")
    func malformedKeys() throws {
        let good = IdentityKey().publicKey.protobuf
        #expect(throws: Libp2pError(.malformed, "")) {
            try PublicKey(protobuf: [0x08, 0x81, 0x00] + good.dropFirst(2))
        }
        #expect(throws: Libp2pError(.malformed, "")) { try PublicKey(protobuf: good + [0x18, 0x01]) }
        #expect(throws: Libp2pError(.malformed, "")) { try PublicKey(protobuf: good.dropLast()) }
        #expect(throws: Libp2pError(.unsupported, "")) { try PublicKey(protobuf: [0x08, 0x07] + good.dropFirst(2)) }
        #expect(PeerID("12D3KooW") == nil)
        #expect(PeerID("") == nil)
        #expect(PeerID(bytes: [0x12, 0x20] + [UInt8](repeating: 1, count: 31)) == nil)
    }

    @Test(
        "Addresses are read and written in one form",
        arguments: [
            "/ip4/127.0.0.1/tcp/4001", "/ip6/2001:db8::1/tcp/4001/ws", "/ip6/::/udp/0/quic-v1/webtransport",
            "/dns4/example.com/tcp/443/wss/p2p/12D3KooWD3eckifWpRn9wQpMG9R9hX3sD158z7EqHWmweQAJU5SA",
            "/ip4/192.0.2.7/tcp/1/p2p/QmYyQSo1c1Ym7orWxLYvCrM2EmxFTANf8wXmmE7DWjhx5N/p2p-circuit",
            "/unix/tmp/socket", "/memory/42", "/ip6zone/eth0/ip6/fe80::1/tcp/80", "/ip4/10.0.0.0/ipcidr/8",
        ]
    )
    func addresses(_ text: String) throws {
        let address = try Multiaddr(text)
        #expect(address.description == text)
        #expect(try Multiaddr(bytes: address.bytes) == address)
    }

    @Test(
        "Addresses that mean nothing are refused",
        arguments: [
            "", "/", "//", "ip4/1.2.3.4", "/ip4", "/ip4/", "/ip4/1.2.3", "/ip4/01.2.3.4", "/ip4/256.1.1.1",
            "/ip4/1.2.3.4/tcp/65536", "/ip4/1.2.3.4/tcp/-1", "/ip4/1.2.3.4/tcp/080", "/ip6/1::2::3/tcp/1",
            "/ip6/12345::/tcp/1", "/ip6/::1%eth0/tcp/1", "/nothing/1", "/p2p/nothing", "/dns4//tcp/1",
            "/ip4/1.2.3.4/tcp/1/", "/unix/", "/certhash/b",
        ]
    )
    func malformedAddresses(_ text: String) {
        #expect(throws: Libp2pError.self) { try Multiaddr(text) }
    }

    @Test("IPv6 text follows RFC 5952")
    func addressText() throws {
        for (text, canonical) in [
            ("2001:0db8:0:0:0:0:0:1", "2001:db8::1"), ("2001:db8:0:1:1:1:1:1", "2001:db8:0:1:1:1:1:1"),
            ("2001:0:0:1:0:0:0:1", "2001:0:0:1::1"), ("2001:db8:0:0:1:0:0:1", "2001:db8::1:0:0:1"),
            ("::ffff:192.0.2.1", "::ffff:c000:201"), ("::", "::"), ("1::", "1::"), ("::1", "::1"),
            ("ABCD::", "abcd::"),
        ] {
            #expect(IPAddress(text)?.description == canonical)
        }
        for text in [
            ":", ":::", "1:2:3:4:5:6:7", "1:2:3:4:5:6:7:8:9", "1::2:3:4:5:6:7:8", "::1.2.3", "1.2.3.4::", "g::",
        ] {
            #expect(IPAddress(text) == nil, "\(text)")
        }
        #expect(IPAddress("::ffff:10.1.2.3")?.isPrivate == true)
        #expect(IPAddress("::ffff:9.1.2.3")?.range == IPAddress("9.1.2.77")?.range)
        #expect(IPAddress("9.1.2.3")?.isPrivate == false)
        #expect(IPAddress("2001:db8:1::5")?.range == IPAddress("2001:db8:1:ffff::")?.range)
    }

    @Test("A published fuzz corpus of addresses is read without harm, and what is read survives being written")
    func addressCorpus() throws {
        guard let root = Vectors.root?.appending(path: "libp2p/go-multiaddr-fuzz") else { return }
        var count = 0
        for folder in ["FuzzNewMultiaddrBytes", "FuzzNewMultiaddrString"] {
            for file in try FileManager.default.contentsOfDirectory(
                at: root.appending(path: folder),
                includingPropertiesForKeys: nil
            ) {
                let input = Array(try Data(contentsOf: file))
                if let address = try? Multiaddr(bytes: input) { #expect(address.bytes == input) }
                let text = String(decoding: input, as: UTF8.self)
                if let address = try? Multiaddr(text) { #expect(try Multiaddr(address.description) == address) }
                count += 1
            }
        }
        #expect(count == 14)
    }

    @Test("A signed peer record verifies for its signer only")
    func peerRecords() throws {
        let key = IdentityKey()
        let record = PeerRecord(peerID: key.peerID, sequence: 7, addresses: [try Multiaddr("/ip4/192.0.2.1/tcp/4001")])
        let envelope = try record.envelope(signedBy: key)
        let read = try SignedEnvelope(bytes: envelope.bytes)
        #expect(try PeerRecord(verifying: read) == record)
        let foreign = try record.envelope(signedBy: IdentityKey())
        #expect(throws: Libp2pError(.wrongPeer, "")) { try PeerRecord(verifying: foreign) }
        for index in envelope.bytes.indices {
            var bytes = envelope.bytes
            bytes[index] ^= 1
            #expect(throws: Libp2pError.self, "byte \(index)") {
                try PeerRecord(verifying: SignedEnvelope(bytes: bytes))
            }
        }
    }

    @Test("Multihashes of the published table")
    func multihashes() throws {
        guard let file = Vectors.root?.appending(path: "multiformats/multihash/test_cases.csv") else { return }
        let functions: [String: Multihash.Function] = [
            "sha1": .sha1, "sha2-256": .sha256, "sha2-512": .sha512, "dbl-sha2-256": .doubleSHA256,
            "identity": .identity,
        ]
        var run = 0
        for line in try String(contentsOf: file, encoding: .utf8).split(whereSeparator: \.isNewline).dropFirst() {
            let cells = line.split(separator: ",", omittingEmptySubsequences: false).map {
                $0.trimmingCharacters(in: .whitespaces)
            }
            guard cells.count == 4, let expected = Hex.decode(cells[3]) else { continue }
            // The inputs of the table are texts, hexadecimal as they look.
            let input = Array(cells[2].utf8)
            let parsed = try Multihash(bytes: expected)
            #expect(parsed.bytes == expected)
            guard let function = functions[cells[0]], let bits = Int(cells[1]) else { continue }
            #expect(Multihash(function, of: input, length: bits / 8).bytes == expected)
            run += 1
        }
        #expect(run > 20)
    }

    @Test("Protocol buffer fields that lie about their length are refused")
    func protobuf() throws {
        for bytes: [UInt8] in [
            [0x0a], [0x0a, 5, 1], [0x08], [0x08, 0xff], [0x00, 1], [0x0b], [0x09, 1, 2], [0x0d, 1],
            [0x08] + [UInt8](repeating: 0xff, count: 10), [0x0a, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f],
        ] {
            #expect(throws: Libp2pError(.malformed, "")) {
                var reader = ProtobufReader(bytes)
                while try reader.next() != nil {}
            }
        }
        var reader = ProtobufReader([0x08, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01])
        expectEqual(try reader.next()?.varint(), .max)
    }

    @Test("An identify message survives the wire, and another peer's key or record is refused")
    func identify() throws {
        let key = IdentityKey()
        var message = Identify()
        message.publicKey = key.publicKey
        message.listenAddresses = [try Multiaddr("/ip4/127.0.0.1/tcp/1")]
        message.protocols = [Ping.protocolID, Identify.protocolID]
        message.observedAddress = try Multiaddr("/ip4/127.0.0.1/tcp/2")
        message.agentVersion = "dsip/1"
        message.protocolVersion = "ipfs/0.1.0"
        let record = PeerRecord(peerID: key.peerID, sequence: 1, addresses: [try Multiaddr("/ip4/9.9.9.9/tcp/1")])
        message.signedPeerRecord = try record.envelope(signedBy: key).bytes
        let read = try Identify(bytes: message.bytes)
        #expect(read == message)
        #expect(
            try read.addresses(of: key.peerID).map(\.description) == ["/ip4/9.9.9.9/tcp/1", "/ip4/127.0.0.1/tcp/1"]
        )
        #expect(throws: Libp2pError(.wrongPeer, "")) { try read.addresses(of: IdentityKey().peerID) }
    }
}
