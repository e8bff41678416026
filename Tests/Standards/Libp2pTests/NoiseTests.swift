import Crypto
import Encoding
import Foundation
import Support
import Testing

@testable import Libp2p

@Suite("Noise")
struct NoiseTests {
    @Test("The published transcript of Noise_XX_25519_ChaChaPoly_SHA256, byte for byte")
    func transcript() throws {
        guard let root = Vectors.root else { return }
        let file = root.appending(path: "noise/cacophony.Noise_XX_25519_ChaChaPoly_SHA256.json")
        let vector = try #require(try Vectors.json(file)["vectors"]?.array?.first)
        func bytes(_ name: String, of value: JSONValue) throws -> [UInt8] {
            try #require(value[name]?.string.flatMap { Hex.decode($0) })
        }
        func key(_ name: String) throws -> NoiseXX.PrivateKey {
            try NoiseXX.PrivateKey(rawRepresentation: bytes(name, of: vector))
        }
        var initiator = NoiseXX(
            .initiator,
            staticKey: try key("init_static"),
            ephemeral: try key("init_ephemeral"),
            prologue: try bytes("init_prologue", of: vector)
        )
        var responder = NoiseXX(
            .responder,
            staticKey: try key("resp_static"),
            ephemeral: try key("resp_ephemeral"),
            prologue: try bytes("resp_prologue", of: vector)
        )
        let messages = try #require(vector["messages"]?.array)
        for (index, message) in messages.prefix(3).enumerated() {
            let payload = try bytes("payload", of: message)
            let expected = try bytes("ciphertext", of: message)
            if index % 2 == 0 {
                expectEqual(try initiator.write(payload), expected)
                expectEqual(try responder.read(expected), payload)
            } else {
                expectEqual(try responder.write(payload), expected)
                expectEqual(try initiator.read(expected), payload)
            }
        }
        var (first, second) = (initiator.finish(), responder.finish())
        #expect(first.handshakeHash == (try bytes("handshake_hash", of: vector)))
        #expect(first.handshakeHash == second.handshakeHash)
        for (index, message) in messages.dropFirst(3).enumerated() {
            let payload = try bytes("payload", of: message)
            let expected = try bytes("ciphertext", of: message)
            // The responder sent the last but one handshake message, so it speaks next.
            if index % 2 == 0 {
                expectEqual(try second.sending.encrypt(payload), expected)
                expectEqual(try first.receiving.decrypt(expected), payload)
            } else {
                expectEqual(try first.sending.encrypt(payload), expected)
                expectEqual(try second.receiving.decrypt(expected), payload)
            }
        }
    }

    private struct Pair {
        var a: NoiseChannel
        var b: NoiseChannel
        var atA = ByteQueue()
        var atB = ByteQueue()
        let keyA = IdentityKey()
        let keyB = IdentityKey()

        init(expecting: PeerID? = nil, muxers: ([String], [String]) = (["/yamux/1.0.0"], ["/yamux/1.0.0"])) {
            a = NoiseChannel(
                .initiator,
                identity: keyA,
                expecting: expecting,
                muxers: muxers.0,
                staticKey: .init(),
                ephemeral: .init()
            )
            b = NoiseChannel(
                .responder,
                identity: keyB,
                expecting: nil,
                muxers: muxers.1,
                staticKey: .init(),
                ephemeral: .init()
            )
        }

        mutating func handshake(
            tamper: (Int, inout [UInt8]) -> Void = { _, _ in }
        ) throws -> (NoiseChannel.Established?, NoiseChannel.Established?) {
            var message = try a.start()
            tamper(0, &message)
            atB.append(message)
            message = try b.receiveHandshake(&atB)?.output ?? []
            tamper(1, &message)
            atA.append(message)
            let first = try a.receiveHandshake(&atA)
            message = first?.output ?? []
            tamper(2, &message)
            atB.append(message)
            let second = try b.receiveHandshake(&atB)
            return (first?.established, second?.established)
        }
    }

    @Test("Both sides learn the other's peer id and the muxer")
    func handshake() throws {
        var pair = Pair()
        let (first, second) = try pair.handshake()
        #expect(first?.peer == pair.keyB.peerID)
        #expect(second?.peer == pair.keyA.peerID)
        #expect(first?.muxer == "/yamux/1.0.0" && second?.muxer == "/yamux/1.0.0")
        let text = (0..<200_000).map { UInt8(truncatingIfNeeded: $0) }
        var wire: [UInt8] = []
        try pair.a.seal(text, into: &wire)
        var read: [UInt8] = []
        for chunk in stride(from: 0, to: wire.count, by: 997) {
            pair.atB.append(wire[chunk..<min(wire.count, chunk + 997)])
            while let part = try pair.b.open(&pair.atB) { read += part }
        }
        #expect(read == text)
    }

    @Test("A changed bit anywhere in the handshake ends it")
    func tampering() throws {
        for message in 0..<3 {
            for place in [2, 20, 33, 40, 70, 90, 120, 180] {
                var pair = Pair()
                var reached = true
                #expect(throws: Libp2pError.self, "message \(message), byte \(place)") {
                    _ = try pair.handshake { index, bytes in
                        guard index == message else { return }
                        guard place < bytes.count else {
                            reached = false
                            return
                        }
                        bytes[place] ^= 0x40
                    }
                    // The first message is the key alone.
                    if !reached { throw Libp2pError(.malformed, "") }
                }
            }
        }
    }

    @Test("Another peer than the one dialled is refused before we say who we are")
    func wrongPeer() throws {
        var pair = Pair(expecting: IdentityKey().peerID)
        #expect(throws: Libp2pError(.wrongPeer, "")) { try pair.handshake() }
    }

    @Test(
        "Muxers: the initiator's preference among what both know; none in common ends it; a silent peer is asked later"
    )
    func muxers() throws {
        var preferred = Pair(muxers: (["/b", "/a"], ["/a", "/b"]))
        expectEqual(try preferred.handshake().0?.muxer, "/b")
        var disjoint = Pair(muxers: (["/a"], ["/b"]))
        #expect(throws: Libp2pError(.noCommonProtocol, "")) { try disjoint.handshake() }
        var silent = Pair(muxers: (["/a"], []))
        let (first, second) = try silent.handshake()
        #expect(first != nil && first?.muxer == nil && second?.muxer == nil)
    }

    @Test("An identity that did not sign the Noise key is refused")
    func stolenIdentity() throws {
        let honest = IdentityKey()
        let payload = try NoisePayload(signing: [UInt8](repeating: 1, count: 32), by: honest, muxers: [])
        #expect(throws: Libp2pError(.unauthentic, "")) {
            try NoisePayload(verifying: payload.bytes, staticKey: [UInt8](repeating: 2, count: 32))
        }
    }

    @Test("A key of small order gives no secret")
    func smallOrder() throws {
        var responder = NoiseXX(.responder, staticKey: .init(), ephemeral: .init())
        _ = try responder.read([UInt8](repeating: 0, count: 32))
        #expect(throws: Libp2pError(.unauthentic, "")) { try responder.write([]) }
    }

    @Test("A cipher refuses what was replayed, reordered or cut")
    func cipher() throws {
        var sending = NoiseCipher(key: [UInt8](repeating: 7, count: 32))
        var receiving = sending
        let first = try sending.encrypt([1, 2, 3])
        let second = try sending.encrypt([4])
        expectEqual(try receiving.decrypt(first), [1, 2, 3])
        var replayed = receiving
        #expect(throws: Libp2pError(.unauthentic, "")) { try replayed.decrypt(first) }
        var cut = receiving
        #expect(throws: Libp2pError.self) { try cut.decrypt(second.dropLast()) }
        expectEqual(try receiving.decrypt(second), [4])
    }
}
