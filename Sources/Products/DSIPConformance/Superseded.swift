import Encoding

/// Vectors of an earlier draft that the text of v0.12 decides otherwise. They are run, and reported apart when they differ.
enum Superseded {
    /// Vector id to the clause that decides.
    static let clauses: [String: String] = [
        "state/relay-user-cancel-all-legs":
            "DSIP §12.7 rule 3: a relay withholds no answer, not even of a leg it has cancelled"
    ]
}
