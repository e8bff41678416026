import DSIPIdentity
import DSIPSignaling
import Encoding
import Support
import Testing

@Suite("Hostile bytes")
struct MutationTests {
    @Test("a valid envelope with any bytes changed never crashes and never verifies", arguments: [1, 2, 3] as [UInt64])
    func mutations(_ seed: UInt64) throws {
        let frame = try Fixture.invite(from: Fixture.alice.did)
            .signed(by: Fixture.phone, delegations: [try Fixture.delegation()]).bytes
        let original = try #require(Envelope(frame))
        var random = SeededRandom(seed: seed)
        let receiver = Receiver()
        for round in 0..<1500 {
            var bytes = frame
            switch Int.random(in: 0..<5, using: &random) {
            case 0: bytes[Int.random(in: bytes.indices, using: &random)] = UInt8.random(in: 0...255, using: &random)
            case 1: bytes.remove(at: Int.random(in: bytes.indices, using: &random))
            case 2:
                bytes.insert(
                    UInt8.random(in: 0...255, using: &random),
                    at: Int.random(in: bytes.indices, using: &random)
                )
            case 3: bytes.removeLast(Int.random(in: 1...bytes.count, using: &random))
            default:
                bytes.swapAt(
                    Int.random(in: bytes.indices, using: &random),
                    Int.random(in: bytes.indices, using: &random)
                )
            }
            // A change of spacing, or of nothing, leaves the three parts as they were.
            guard Envelope(bytes) != original else { continue }
            guard case .accepted = receiver.verify(bytes) else { continue }
            Issue.record("seed \(seed), round \(round): a changed envelope was accepted")
        }
        #expect(receiver.code(frame) == nil)
    }

    @Test("any signed payload gets a verdict, however strange", arguments: [7, 8] as [UInt64])
    func strangePayloads(_ seed: UInt64) throws {
        var random = SeededRandom(seed: seed)
        let receiver = Receiver()
        let payload = Fixture.invite().payload()
        for _ in 0..<400 {
            var bytes = payload
            for _ in 0...Int.random(in: 0..<4, using: &random) {
                bytes[Int.random(in: bytes.indices, using: &random)] = UInt8.random(in: 0x20...0x7e, using: &random)
            }
            _ = receiver.verify(try Fixture.frame(header: .object(Fixture.header()), payload: bytes))
        }
    }

    @Test("headers that claim much are bounded")
    func manyDelegations() throws {
        let delegation = try Fixture.delegation(by: Fixture.mallory)
        var header = Fixture.header()
        header["delegations"] = .array(Array(repeating: delegation.json, count: 40))
        let frame = try Fixture.frame(
            header: .object(header),
            payload: Fixture.invite(from: Fixture.alice.did).payload()
        )
        let receiver = Receiver()
        #expect(receiver.code(frame) == .delegationInvalid)
        var deep = Array("{\"alg\":\"EdDSA\",\"kid\":".utf8)
        deep += Array(repeating: UInt8(ascii: "["), count: 5000)
        #expect(receiver.code(try Fixture.frame(header: deep, payload: [0x7b, 0x7d])) == .headerInvalid)
    }
}
