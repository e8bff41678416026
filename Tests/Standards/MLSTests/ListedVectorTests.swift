import Encoding
import Support
import Testing

@testable import DSIPConformance
@testable import MLS

/// Kinds of vectors that not every folder holds, made here: a runner must know their form, and must notice what is wrong.
@Suite("Kinds of vectors")
struct ListedVectorTests {
    private func hex(_ bytes: [UInt8]) -> JSONValue {
        .string(bytes.map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined())
    }

    private func outcome(_ vector: JSONValue) throws -> ConformanceResult {
        let file = JSONValue.array([vector]).utf8
        let results = try #require(ListedVectors.run(try JSONDocument(scanning: file), name: "own.json"))
        return try #require(results.first)
    }

    private func check(_ vector: JSONObject, breaking member: String, _ kind: String) throws {
        let good = try outcome(.object(vector))
        #expect(good.area == kind && good.outcome == .passed, "\(good.outcome)")
        var broken = vector
        broken[member] = hex([1, 2, 3])
        guard case .failed = try outcome(.object(broken)).outcome else {
            Issue.record("a wrong \(member) passes")
            return
        }
    }

    @Test("lengths, pre-shared keys and transcripts")
    func schedule() throws {
        let suite = try Suite(.x25519AES128)
        try check(
            ["vlbytes_header": hex([0x40, 0x40]), "length": 64],
            breaking: "vlbytes_header",
            "mls-deserialization"
        )

        let (id, nonce, key) = ([UInt8](repeating: 1, count: 4), [UInt8](repeating: 2, count: 32), Secret([3, 3]))
        let secret = preSharedKeySecret([(PreSharedKeyID(.external(id), nonce: nonce), key)], suite)
        let psk: JSONValue = ["psk_id": hex(id), "psk": hex(key.bytes), "psk_nonce": hex(nonce)]
        try check(
            ["cipher_suite": 1, "psks": [psk], "psk_secret": hex(secret.bytes)],
            breaking: "psk_secret",
            "mls-psk-secret"
        )

        let room = try Room(["alice"])
        let group = room.groups["alice"]!
        let content = FramedContent(
            groupID: group.id,
            epoch: 0,
            sender: .member(group.ownLeaf),
            authenticatedData: [],
            body: .commit(Commit(items: [], path: nil))
        )
        let signed = try AuthenticatedContent.signed(.publicMessage, content, by: group.signer, group.context, suite)
        let confirmed = signed.confirmedTranscriptHash(after: [9], suite)
        let tag = suite.hash.hmac(key: key, confirmed)
        var writer = WireWriter()
        writer.write(WireFormat.publicMessage.rawValue)
        writer.write(content.encoded)
        signed.with(confirmationTag: tag).auth.encode(to: &writer)
        try check(
            [
                "cipher_suite": 1, "confirmation_key": hex(key.bytes), "authenticated_content": hex(writer.bytes),
                "interim_transcript_hash_before": hex([9]), "confirmed_transcript_hash_after": hex(confirmed),
                "interim_transcript_hash_after": hex(
                    interimTranscriptHash(after: confirmed, confirmationTag: tag, suite)
                ),
            ],
            breaking: "interim_transcript_hash_after",
            "mls-transcript-hashes"
        )
    }

    @Test("trees")
    func trees() throws {
        var room = try Room(["alice", "bob", "carol"])
        try room.commit(by: "bob")
        let group = room.groups["alice"]!
        guard case .parent(let parent?, let left, let right) = group.publicGroup.tree.root.node,
            case .parent(_, let alice, let bob) = left.node, case .parent(_, let carol, let blank) = right.node
        else {
            Issue.record("the tree has another shape")
            return
        }
        #expect(parent.unmergedLeaves.isEmpty && left.parentNode != nil && right.isBlank)
        let vector: JSONObject = [
            "cipher_suite": 1, "group_id": hex(group.id), "tree": hex(group.ratchetTree.encoded),
            "resolutions": [[0], [1], [2], [3], [4], [4], []],
            "tree_hashes": .array(
                [alice, left, bob, group.publicGroup.tree.root, carol, right, blank].map { hex($0.hash) }
            ),
        ]
        try check(vector, breaking: "group_id", "mls-tree-validation")
        var broken = vector
        broken["resolutions"] = [[0], [0, 2], [2], [3], [4], [4], []]
        guard case .failed = try outcome(.object(broken)).outcome else {
            Issue.record("a wrong resolution passes")
            return
        }
    }

    @Test("suites that need X448 are skipped, with the reason")
    func skipped() throws {
        guard case .skipped(let reason) = try outcome(["cipher_suite": 4, "psks": [], "psk_secret": ""]).outcome else {
            Issue.record("suite 4 is not skipped")
            return
        }
        #expect(reason.contains("X448"))
    }
}
