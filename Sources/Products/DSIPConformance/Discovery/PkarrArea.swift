import DSIPDiscovery
import DSIPIdentity
import DSIPSignaling
import Encoding

/// Kind `pkarr`: hints in an identity's own zone (hints profile §9, §10).
enum PkarrArea {
    static func run(_ vector: JSONValue) throws -> JSONValue {
        guard let input = vector["input"], let check = input["check"]?.string else { throw VectorFault("no check") }
        do {
            switch check {
            case "hint": return try hint(input)
            case "select": return try select(input)
            case "devices": return try devices(input)
            case "store": return store(input)
            case "carry": return carry(input)
            case "next-ts": return nextTimestamp(input)
            case "bep44-signable":
                return [
                    "bytes": .string(
                        Hex.encode(
                            BEP44.signable(
                                sequence: try seq(input),
                                value: try hex(input["value"]),
                                salt: try salt(input)
                            )
                        )
                    )
                ]
            case "bep44-verify": return ["valid": .bool(try isValid(input))]
            case "z32-encode": return ["z32": .string(ZBase32.encode(try hex(input["key"])))]
            case "z32-decode": return ["key": .string(Hex.encode(try ZBase32.key(input["z32"]?.string ?? "")))]
            default: throw Unimplemented("the check \(check)")
            }
        } catch let error as DiscoveryError {
            return ["outcome": "rejected", "reason": .string(error.code.rawValue)]
        }
    }

    // MARK: Reading

    private static func hint(_ input: JSONValue) throws -> JSONValue {
        let subject = try subject(input)
        let hint = try PkarrHint(payload(input["payload"]), of: subject, at: now(input))
        return [
            "outcome": "hint", "subject": .string(subject.string), "seq": .int(Int64(clamping: hint.seq)),
            "issued_at": .int(hint.issuedAt), "expires_at": .int(hint.expiresAt),
            "endpoints": json(hint.endpoints),
        ]
    }

    private static func select(_ input: JSONValue) throws -> JSONValue {
        let precedence = try PkarrHint.choose(
            payload(input["payload"]),
            over: input["held"]?.string.flatMap { Hex.decode($0) },
            of: try subject(input),
            at: now(input)
        )
        return .object(HintArea.json(precedence, held: "held"))
    }

    private static func devices(_ input: JSONValue) throws -> JSONValue {
        let subject = try subject(input)
        let pointer = try PkarrPointer(payload(input["payload"]), of: subject, at: now(input))
        guard let document = DIDKey.document(of: subject) else { throw VectorFault("no document of \(subject)") }
        var revocations = Revocations()
        for text in input["revocations"]?.array ?? [] {
            if let envelope = text.string.flatMap({ Envelope(compact: $0) }),
                let revocation = try? DelegationRevocation.verify(envelope, document: document)
            {
                revocations.insert(revocation)
            }
        }
        let entries: [JSONValue] = pointer.devices.map { device in
            do throws(PkarrDeviceHint.Fault) {
                let text = input["devices"]?[device.string]?.string
                let hint = try PkarrDeviceHint(
                    // What does not decode is no payload of any length.
                    text.map { Hex.decode($0) ?? [] },
                    of: device,
                    for: document,
                    at: now(input),
                    revocations: revocations
                )
                return [
                    "device": .string(device.string), "outcome": "hint", "endpoints": json(hint.endpoints),
                    "expires_at": .int(hint.expiresAt),
                ]
            } catch {
                return ["device": .string(device.string), "outcome": "rejected", "reason": .string(error.token)]
            }
        }
        return [
            "outcome": "devices", "seq": .int(Int64(clamping: pointer.seq)), "expires_at": .int(pointer.expiresAt),
            "devices": .array(entries),
        ]
    }

    // MARK: Keeping and publishing

    private static func store(_ input: JSONValue) -> JSONValue {
        let outcome = PkarrShelf.judge(
            payload(input["payload"]),
            zone: input["key"]?.string ?? "",
            held: input["held"]?.string.flatMap { Hex.decode($0) },
            at: now(input)
        )
        return switch outcome {
        case .stored: ["outcome": "stored"]
        case .kept(let kept): ["outcome": "kept", "reason": .string(kept.rawValue)]
        case .rejected(let code): ["outcome": "rejected", "reason": .string(code.rawValue)]
        }
    }

    private static func carry(_ input: JSONValue) -> JSONValue {
        guard let zone = input["zone"]?.string, let bytes = input["dns"]?.string.flatMap({ Hex.decode($0) }),
            let records = try? PkarrZone.carried(from: DNSMessage(bytes), zone: zone)
        else { return ["error": "malformed"] }
        return [
            "keep": .array(
                records.map {
                    [
                        "name": .string(Hex.encode($0.name.wire)), "type": .int(Int64($0.type)),
                        "ttl": .int(Int64($0.ttl)), "rdata": .string(Hex.encode($0.data)),
                    ]
                }
            )
        ]
    }

    private static func nextTimestamp(_ input: JSONValue) -> JSONValue {
        let previous = input["previous"]?.int.map { UInt64(clamping: $0) }
        let clock = UInt64(clamping: input["clock"]?.int ?? 0)
        guard let next = try? PkarrZone.nextTimestamp(clock: clock, previous: previous) else {
            return ["error": "exhausted"]
        }
        return ["ts": .int(Int64(clamping: next))]
    }

    private static func isValid(_ input: JSONValue) throws -> Bool {
        guard let key = PublicKey(ed25519: try hex(input["public_key"])) else { return false }
        return BEP44.isValid(
            try hex(input["signature"]),
            sequence: try seq(input),
            value: try hex(input["value"]),
            salt: try salt(input),
            under: key
        )
    }

    // MARK: Members

    /// Text that is no DID at all is no did:key either.
    private static func subject(_ input: JSONValue) throws -> DID {
        guard let did = input["did"]?.string.flatMap({ DID($0) }) else { throw DiscoveryError(.notDIDKey, "no DID") }
        return did
    }

    private static func payload(_ value: JSONValue?) -> [UInt8] { value?.string.flatMap { Hex.decode($0) } ?? [] }

    private static func hex(_ value: JSONValue?) throws -> [UInt8] {
        guard let bytes = value?.string.flatMap({ Hex.decode($0) }) else { throw VectorFault("not base16") }
        return bytes
    }

    private static func salt(_ input: JSONValue) throws -> [UInt8] {
        input["salt"].map(\.isNull) ?? true ? [] : try hex(input["salt"])
    }

    private static func seq(_ input: JSONValue) throws -> UInt64 {
        guard let seq = input["seq"]?.int, seq >= 0 else { throw VectorFault("no seq") }
        return UInt64(seq)
    }

    private static func now(_ input: JSONValue) -> Int64 { input["now"]?.int ?? 0 }

    private static func json(_ endpoints: [ReachabilityHint.Endpoint]) -> JSONValue {
        .array(
            endpoints.map { endpoint in
                var object: JSONObject = [
                    "uri": .string(endpoint.uri), "bindings": .array(endpoint.bindings.map { .string($0) }),
                ]
                object["service"] = endpoint.parameters["service"]
                return .object(object)
            }
        )
    }
}
