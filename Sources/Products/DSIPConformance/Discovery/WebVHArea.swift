import DSIPDiscovery
import DSIPIdentity
import Encoding

/// Kind `did-webvh`: a DID resolved from its log (did:webvh v1.0).
enum WebVHArea {
    static func run(_ vector: JSONValue) throws -> JSONValue {
        guard let input = vector["input"], let did = input["did"]?.string, let log = input["log"]?.string else {
            throw VectorFault("neither DID nor log")
        }
        do throws(WebVHFault) {
            let log = try WebVHLog(
                verifying: Array(log.utf8),
                of: did,
                witness: input["witness"]?.string.map { Array($0.utf8) },
                seen: input["cache"]?["versionId"]?.string,
                at: input["now"]?.int ?? 0
            )
            guard let document = log.document else {
                return [
                    "outcome": "deactivated", "versionId": .string(log.versionId), "cache": .string(log.versionId),
                ]
            }
            return [
                "outcome": "resolved", "versionId": .string(log.versionId), "versionTime": .string(log.versionTime),
                "document": document, "ttl": .int(log.ttl), "cache": .string(log.versionId),
            ]
        } catch {
            return ["outcome": "rejected", "reason": .string(error.rawValue)]
        }
    }
}
