import DSIPIdentity
import DSIPSignaling
import DSIPTrust
import Encoding

/// What verification found, for a terminal and as JSON.
struct VerificationReport {
    let at: Int64
    private let message: Verified<Message>?
    private let rejection: Rejection?
    /// Why documents were not had.
    var resolution: [String] = []

    init(accepted message: Verified<Message>, at now: Int64) {
        self.message = message
        self.rejection = nil
        self.at = now
    }

    init(rejected rejection: Rejection, at now: Int64) {
        self.message = nil
        self.rejection = rejection
        self.at = now
    }

    private enum Outcome: String { case ok, failed, skipped = "not reached" }

    private var stages: [(stage: VerificationStage, outcome: Outcome)] {
        let failed = rejection.map { VerificationStage($0.code) }
        let all = VerificationStage.allCases
        let last = failed.flatMap { all.firstIndex(of: $0) } ?? all.endIndex
        return all.enumerated().map { index, stage in
            (stage, index < last ? .ok : index == last ? .failed : .skipped)
        }
    }

    var text: String {
        var parts = [
            Console.table(
                stages.map { stage, outcome in
                    let word = outcome.rawValue.padding(to: Outcome.skipped.rawValue.count)
                    let painted =
                        switch outcome {
                        case .ok: Console.good(word)
                        case .failed: Console.bad(word)
                        case .skipped: word
                        }
                    return [painted, stage.sentence, "DSIP \(stage.section)"]
                }
            )
        ]
        if let rejection {
            parts.append("Rejected: \(rejection.code.rawValue) (\(rejection.detail)).")
            if let reason = rejection.reason { parts.append("The sender is told: \(reason.token).") }
            parts += resolution
            if let advice = VerificationStage.advice(rejection.code) { parts.append(advice) }
        }
        if let message { parts.append(Console.table(facts(message))) }
        return parts.joined(separator: "\n")
    }

    private func facts(_ message: Verified<Message>) -> [[String]] {
        let body = message.body
        var rows = [
            ["Type", body.type.rawValue], ["Signed by", message.signer.description], ["For", message.principal.string],
        ]
        rows.append(["Basis", TrustBasis.basis(of: message.principal)])
        if let delegation = message.delegation {
            rows.append([
                "Delegated",
                "until \(Console.time(delegation.expiresAt))"
                    + (delegation.deviceClass.map { ", \($0.rawValue)" } ?? ""),
            ])
        }
        if message.identity != message.principal { rows.append(["Speaks as", message.identity.string]) }
        if let to = body.to { rows.append(["To", to.string]) }
        rows.append(["Id", body.id.description])
        if let session = body.session { rows.append(["Session", session.description]) }
        rows.append(["Issued", "\(Console.time(body.issuedAt)) (\(body.issuedAt))"])
        rows.append(["Expires", "\(Console.time(body.expiresAt)) (\(body.expiresAt))"])
        return rows
    }

    var json: JSONValue {
        var object: JSONObject = [
            "accepted": .bool(message != nil), "at": .int(at), "code": .null, "reason": .null, "detail": .null,
            "stages": .array(
                stages.map { stage, outcome in
                    [
                        "stage": .string("\(stage)"),
                        "outcome": .string(outcome == .skipped ? "not-reached" : outcome.rawValue),
                    ]
                }
            ),
        ]
        if let rejection {
            object["code"] = .string(rejection.code.rawValue)
            object["reason"] = rejection.reason.map { .string($0.token) } ?? .null
            object["detail"] = .string(rejection.detail)
        }
        if let message {
            object["type"] = .string(message.body.type.rawValue)
            object["id"] = .string(message.body.id.description)
            object["signer"] = .string(message.signer.description)
            object["identity"] = .string(message.identity.string)
            object["principal"] = .string(message.principal.string)
            object["basis"] = .string(TrustBasis.basis(of: message.principal))
            object["delegated"] = .bool(message.delegation != nil)
            object["to"] = message.body.to.map { .string($0.string) } ?? .null
            object["session"] = message.body.session.map { .string($0.description) } ?? .null
            object["issued_at"] = .int(message.body.issuedAt)
            object["expires_at"] = .int(message.body.expiresAt)
        }
        return .object(object)
    }
}

extension String {
    func padding(to width: Int) -> String { self + String(repeating: " ", count: max(0, width - count)) }
}
