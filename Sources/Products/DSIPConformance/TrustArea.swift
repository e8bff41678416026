import DSIPIdentity
import DSIPTrust
import Encoding

/// Kind `trust`: the lines that a client shows, letter by letter.
enum TrustArea {
    static func run(_ vector: JSONValue) throws -> JSONValue {
        guard let input = vector["input"] else { throw VectorFault("no input") }
        switch input["check"]?.string {
        case "basis":
            guard let identity = input["identity"]?.string.flatMap({ DID($0) }) else {
                throw VectorFault("no identity")
            }
            return .string(TrustBasis.basis(of: identity, claims: (input["claims"]?.array ?? []).compactMap(\.object)))
        case "tel-caller":
            return input["claim"]?.object.flatMap(TrustBasis.telephoneCaller).map { .string($0) } ?? .null
        case "downgrade":
            return .string(GatewayDowngrade.line(losses: (input["losses"]?.array ?? []).compactMap(\.string)))
        case let check: throw Unimplemented("the check \(check ?? "?")")
        }
    }
}
