import Encoding

/// Vectors of an earlier draft that the text of v0.12 decides otherwise. They are run, and reported apart when they differ.
enum Superseded {
    /// Vector id to the clause that decides.
    static let clauses: [String: String] = [
        "state/relay-user-cancel-all-legs":
            "DSIP §12.7 rule 3: a relay withholds no answer, not even of a leg it has cancelled",
        "broadcast/provenance-derivative-bound": oneIntegrityMode,
        "broadcast/provenance-policy-transcoding-forbidden": oneIntegrityMode,
        "broadcast/provenance-relay-operation": oneIntegrityMode,
    ]

    private static let oneIntegrityMode =
        "DSIP §22.3 (spec-gap 77): a statement has no integrity mode of its own, there is one, the delivered stream's"
}
