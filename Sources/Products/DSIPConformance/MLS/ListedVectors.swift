import Encoding

/// Vectors published as arrays whose elements have no kind but their members: those of the MLS working group, and RFC 9180's.
enum ListedVectors {
    /// A kind: the members that tell it, and how one element is checked. A check throws what differs.
    struct Kind: Sendable {
        let name: String
        let members: [String]
        let check: @Sendable (VectorReader) throws -> Void
    }

    /// The first whose members are all there is the kind of an element.
    static let kinds: [Kind] = [
        Kind(name: "mls-tree-math", members: ["n_leaves", "root"], check: MLSBasics.treeMath),
        Kind(name: "mls-crypto-basics", members: ["ref_hash", "expand_with_label"], check: MLSBasics.cryptoBasics),
        Kind(name: "mls-deserialization", members: ["vlbytes_header", "length"], check: MLSBasics.deserialization),
        Kind(name: "mls-key-schedule", members: ["initial_init_secret", "epochs"], check: MLSSchedule.keySchedule),
        Kind(name: "mls-psk-secret", members: ["psks", "psk_secret"], check: MLSSchedule.preSharedKeys),
        Kind(name: "mls-transcript-hashes", members: ["authenticated_content"], check: MLSSchedule.transcriptHashes),
        Kind(name: "mls-secret-tree", members: ["encryption_secret", "leaves"], check: MLSSchedule.secretTree),
        Kind(name: "mls-message-protection", members: ["proposal_priv", "commit_priv"], check: MLSFraming.protection),
        Kind(name: "mls-messages", members: ["mls_welcome", "commit"], check: MLSFraming.messages),
        Kind(name: "mls-tree-validation", members: ["tree", "tree_hashes"], check: MLSTrees.validation),
        Kind(name: "mls-tree-operations", members: ["tree_before", "tree_after"], check: MLSTrees.operations),
        Kind(name: "mls-treekem", members: ["update_paths", "ratchet_tree"], check: MLSTrees.treeKEM),
        Kind(name: "mls-passive-client", members: ["initial_epoch_authenticator"], check: MLSGroups.passiveClient),
        Kind(name: "mls-welcome", members: ["welcome", "signer_pub"], check: MLSGroups.welcome),
        Kind(name: "hpke", members: ["kem_id", "aead_id", "encryptions"], check: HPKEArea.check),
    ]

    static var areas: [String] { kinds.map(\.name) }

    /// - Returns: nil when the file is no array of elements of a kind known here.
    static func run(_ document: JSONDocument, name: String) -> [ConformanceResult]? {
        guard document.root.isArray, document.root.elements.contains(where: { kind(of: $0) != nil }) else { return nil }
        let file = name.hasSuffix(".json") ? String(name.dropLast(".json".count)) : name
        return document.root.elements.enumerated().map { index, element in
            let id = "\(file)/\(index)"
            guard let kind = kind(of: element) else {
                return ConformanceResult(id: id, area: file, outcome: .failed("an element is of no kind known here"))
            }
            return ConformanceResult(id: id, area: kind.name, outcome: run(element.value, kind))
        }
    }

    private static func kind(of element: JSONView) -> Kind? {
        kinds.first { $0.members.allSatisfy { element.member($0) != nil } }
    }

    static func run(_ vector: JSONValue, _ kind: Kind) -> ConformanceResult.Outcome {
        if let suite = vector["cipher_suite"]?.int, suite == 4 || suite == 6 {
            return .skipped("cipher suite \(suite) needs X448, which is not to be had")
        }
        if vector["kem_id"]?.int == 33 { return .skipped("the KEM is X448, which is not to be had") }
        do {
            try kind.check(VectorReader(vector))
            return .passed
        } catch {
            return .failed("\(error)")
        }
    }
}
