import DSIPIdentity
import DSIPMessaging
import DoubleRatchet
import Encoding
import FoundationEssentials

/// Numbers that two people compare, so that nobody stands between them.
extension Agent {
    public func safetyNumber(in id: String, with did: String? = nil) throws(AgentError) -> JSONValue {
        let (number, owner, other) = try safety(id, did)
        let svg: String
        do {
            svg = try QRCode(Base64URL.encode(number.scannable)).svg(label: "QR code of the safety number")
        } catch {
            throw AgentError(.internal, "The QR code could not be drawn: \(error.reason).")
        }
        return [
            "digits": .string(number.grouped), "svg": .string(svg),
            "compared": .string(try compared(number, owner, other)),
            "basis":
                "It is made of both identities and their keys. The same number on both screens means that nobody stands between.",
        ]
    }

    /// - Parameter scanned: what the other's QR code holds, or the digits as they read them out.
    public func compareSafetyNumber(
        in id: String,
        with did: String? = nil,
        scanned: String
    ) throws(AgentError) -> JSONValue {
        let (number, owner, other) = try safety(id, did)
        let digits = scanned.filter { !$0.isWhitespace }
        let isSame: Bool
        if digits.count == 60, digits.utf8.allSatisfy({ $0 &- 0x30 < 10 }) {
            isSame = digits == number.digits
        } else if let bytes = Base64URL.decode(scanned) ?? Data(base64Encoded: scanned).map({ Array($0) }) {
            switch number.compare(scanned: bytes) {
            case .same: isSame = true
            case .different: isSame = false
            case .incomparable: throw AgentError(.badRequest, "This is no safety number of this kind.")
            }
        } else {
            throw AgentError(.badRequest, "Scan the other’s code, or type its 60 digits.")
        }
        // Of a number that changes later, nothing has been compared.
        try store.set(Agent.safetySetting(owner, other), (isSame ? "same " : "different ") + number.digits)
        return ["result": .string(isSame ? "same" : "different")]
    }

    private func compared(_ number: SafetyNumber, _ owner: DID, _ other: DID) throws(AgentError) -> String {
        let parts = (try store.setting(Agent.safetySetting(owner, other)) ?? "").split(separator: " ")
        guard parts.count == 2, parts[1] == number.digits else { return "never" }
        return String(parts[0])
    }

    private func safety(_ id: String, _ did: String?) throws(AgentError) -> (SafetyNumber, owner: DID, other: DID) {
        let (thread, desk) = try conversation(id)
        let record = try show(thread, desk).record
        guard let other = did.map({ DID($0) }) ?? record.peer, record.members.contains(other) else {
            throw AgentError(.badRequest, "“did” must name somebody in the conversation.")
        }
        return (SafetyNumber(local: try party(desk.identity), remote: try party(other)), desk.identity, other)
    }

    /// An identity and the keys that speak for it: by them its devices get into groups.
    private func party(_ did: DID) throws(AgentError) -> SafetyNumber.Party {
        let keys = directory.keys(of: did)
        guard !keys.isEmpty else {
            throw AgentError(
                .unresolvable,
                "The keys of \(Agent.short(did)) are not known at the moment. Try again later."
            )
        }
        return SafetyNumber.Party(name: Array(did.string.utf8), keys: keys.map { Array($0.multibase.utf8) })
    }

    private static func safetySetting(_ owner: DID, _ other: DID) -> String { "safety \(owner) \(other)" }
}
