import Crypto
import Encoding

/// Why a did:webvh log is refused. The raw values are the reason tokens of the conformance vectors.
public enum WebVHFault: String, Error, Hashable, Sendable {
    case invalidDID = "invalid-did"
    case logMalformed = "log-malformed"
    case versionNumber = "version-number"
    case versionTime = "version-time"
    case afterDeactivation = "after-deactivation"
    case parameters
    case scid
    case entryHash = "entry-hash"
    case preRotation = "pre-rotation"
    case proof
    case unauthorizedKey = "unauthorized-key"
    case identity
    case witness
    /// The log is shorter than one verified before: the host takes something back.
    case rollback
    /// The log tells another past than one verified before.
    case fork
}

/// A did:webvh log that has been verified whole: every entry's hash, proofs and witnesses, from the first on (did:webvh v1.0).
public struct WebVHLog: Sendable {
    public enum Limit {
        /// Bytes of a log.
        public static let bytes = 4 << 20
        public static let entries = 2048
        /// Bytes of the witnesses' file.
        public static let witnessBytes = 1 << 20
        /// Of one entry.
        static let json = JSONDocument.Limits(bytes: 512 << 10, depth: 32, members: 4096)
    }

    public let versionId: String
    public let versionTime: String
    /// The last entry's `state`; nil when the identity was deactivated, and has no keys any more.
    public let document: JSONValue?
    /// Seconds.
    public let ttl: Int64

    public var isDeactivated: Bool { if case .none = document { true } else { false } }

    /// Verifies a log in the order of the vectors' README; of several faults the first decides.
    ///
    /// - Parameters:
    ///   - did: whom was asked for.
    ///   - log: `did.jsonl`.
    ///   - witness: `did-witness.json`.
    ///   - seen: the highest `versionId` verified before for `did`.
    ///   - now: Unix seconds.
    public init(
        verifying log: [UInt8],
        of did: String,
        witness: [UInt8]? = nil,
        seen: String? = nil,
        at now: Int64
    ) throws(WebVHFault) {
        guard let identifier = WebVHIdentifier(did) else { throw .invalidDID }
        guard !log.isEmpty, log.count <= Limit.bytes else { throw .logMalformed }
        let lines = (log.last == UInt8(ascii: "\n") ? log.dropLast() : log[...])
            .split(separator: UInt8(ascii: "\n"), omittingEmptySubsequences: false)
        guard lines.count <= Limit.entries else { throw .logMalformed }
        var chain = WebVHChain(now: now)
        for line in lines { try chain.append(Array(line)) }
        guard identifier.scid.utf8.elementsEqual(chain.parameters.scid.utf8),
            chain.identities.contains(where: { $0.utf8.elementsEqual(did.utf8) })
        else { throw .identity }
        guard chain.isWitnessed(by: witness) else { throw .witness }
        try WebVHLog.compare(chain.versions, seen)
        guard let version = chain.versions.last, let time = chain.lastTime, let state = chain.state else {
            throw .logMalformed
        }
        self.versionId = version
        self.versionTime = time
        // Not `nil`, which a JSON value reads as its null.
        self.document = chain.parameters.deactivated ? Optional.none : .some(state)
        self.ttl = chain.parameters.ttl
    }

    private static func compare(_ versions: [String], _ seen: String?) throws(WebVHFault) {
        guard let seen, let dash = seen.utf8.firstIndex(of: UInt8(ascii: "-")) else { return }
        let digits = seen.utf8[..<dash]
        guard !digits.isEmpty, digits.allSatisfy({ $0 &- 0x30 < 10 }), digits.first != UInt8(ascii: "0"),
            seen.utf8.index(after: dash) != seen.utf8.endIndex
        else { return }
        // A number beyond what an Int holds is beyond every log.
        guard let number = Int(String(seen[..<dash])), number <= versions.count else { throw .rollback }
        guard versions[number - 1].utf8.elementsEqual(seen.utf8) else { throw .fork }
    }
}

/// The entries of a log, one upon the other.
private struct WebVHChain {
    let now: Int64
    private(set) var parameters = WebVHParameters()
    private(set) var versions: [String] = []
    /// Of each entry, who must approve it.
    private var witnesses: [WebVHParameters.Witness] = []
    private(set) var identities: [String] = []
    private(set) var state: JSONValue?
    private(set) var lastTime: String?
    private var time: WebVHTime?

    init(now: Int64) { self.now = now }

    mutating func append(_ line: [UInt8]) throws(WebVHFault) {
        let number = versions.count + 1
        guard let json = IJSON.read(line, limits: WebVHLog.Limit.json), let object = json.object, object.count == 5,
            let version = object["versionId"]?.string, let timeValue = object["versionTime"],
            let given = object["parameters"], let state = object["state"], state.object != nil,
            let proofs = object["proof"]?.array, !proofs.isEmpty
        else { throw .logMalformed }
        let hash = try WebVHChain.hash(of: version, number: number)
        try check(timeValue)
        let previous = parameters
        if previous.deactivated { throw .afterDeactivation }
        guard parameters.update(given, number: number) else { throw .parameters }
        var entry = object
        entry["proof"] = nil
        if number == 1, !WebVHChain.isSCID(parameters.scid, of: entry) { throw .scid }
        var hashed = entry
        hashed["versionId"] = .string(versions.last ?? parameters.scid)
        guard WebVHHash.of(JSONValue.object(hashed).canonical).utf8.elementsEqual(hash.utf8) else { throw .entryHash }
        let isPreRotated = number > 1 && !previous.nextKeyHashes.isEmpty
        if isPreRotated { try checkPreRotation(given, previous) }
        let authorised = number == 1 || isPreRotated ? parameters.updateKeys : previous.updateKeys
        try WebVHChain.check(proofs, of: entry, authorised)
        try checkIdentity(state, number: number)
        versions.append(version)
        witnesses.append(number == 1 || previous.witness.isNone ? parameters.witness : previous.witness)
        self.state = state
    }

    /// The hash of `<number>-<hash>`.
    private static func hash(of version: String, number: Int) throws(WebVHFault) -> String {
        let parts = version.split(separator: "-", maxSplits: 1, omittingEmptySubsequences: false)
        guard parts.count == 2, parts[0].utf8.elementsEqual(String(number).utf8), !parts[1].isEmpty,
            Base58.decode(parts[1].prefix(Base58.maximumLength)) != nil
        else { throw .versionNumber }
        guard WebVHHash.isHash(parts[1]) else { throw .entryHash }
        return String(parts[1])
    }

    private mutating func check(_ value: JSONValue) throws(WebVHFault) {
        guard let text = value.string, let read = WebVHTime(text), time.map({ $0 < read }) ?? true,
            read.seconds < now.addingReportingOverflow(300).partialValue
                || read.seconds == now.addingReportingOverflow(300).partialValue && read.nanoseconds == 0
        else { throw .versionTime }
        time = read
        lastTime = text
    }

    /// The identifier is the hash of the first entry with itself left out.
    private static func isSCID(_ scid: String, of entry: JSONObject) -> Bool {
        var entry = entry
        entry["versionId"] = "{SCID}"
        let text = JSONValue.object(entry).canonical.replacing(Array(scid.utf8), with: Array("{SCID}".utf8))
        guard let genesis = IJSON.read(text, limits: WebVHLog.Limit.json) else { return false }
        return WebVHHash.of(genesis.canonical).utf8.elementsEqual(scid.utf8)
    }

    private func checkPreRotation(_ given: JSONValue, _ previous: WebVHParameters) throws(WebVHFault) {
        guard given["updateKeys"] != nil, given["nextKeyHashes"] != nil,
            parameters.updateKeys.allSatisfy({ key in
                let hash = WebVHHash.of(Array(key.utf8))
                return previous.nextKeyHashes.contains { $0.utf8.elementsEqual(hash.utf8) }
            })
        else { throw .preRotation }
    }

    private static func check(_ proofs: [JSONValue], of entry: JSONObject, _ keys: [String]) throws(WebVHFault) {
        let digest = Array(SHA256.hash(data: JSONValue.object(entry).canonical))
        var isAuthorised = false
        for json in proofs {
            guard let proof = WebVHProof(json) else { throw .proof }
            guard keys.contains(where: { $0.utf8.elementsEqual(proof.key.utf8) }) else { continue }
            guard proof.isValid(over: digest) else { throw .proof }
            isAuthorised = true
        }
        guard isAuthorised else { throw .unauthorizedKey }
    }

    private mutating func checkIdentity(_ state: JSONValue, number: Int) throws(WebVHFault) {
        guard let id = state["id"]?.string, let identifier = WebVHIdentifier(id),
            identifier.scid.utf8.elementsEqual(parameters.scid.utf8)
        else { throw .identity }
        if let old = identities.last, !old.utf8.elementsEqual(id.utf8) {
            guard parameters.portable,
                (state["alsoKnownAs"]?.array ?? []).contains(where: { $0.string?.utf8.elementsEqual(old.utf8) ?? false }
                )
            else { throw .identity }
        }
        identities.append(id)
    }

    /// Whether every entry that needs it is approved, by proofs for it or for a later entry.
    func isWitnessed(by file: [UInt8]?) -> Bool {
        guard witnesses.contains(where: { !$0.isNone }) else { return true }
        guard let file, file.count <= WebVHLog.Limit.witnessBytes,
            let records = IJSON.read(file, limits: .init(bytes: WebVHLog.Limit.witnessBytes, depth: 8, members: 4096))
        else { return false }
        let named = witnesses.reduce(into: Set<String>()) { $0.formUnion($1.ids) }
        // The last entry that each witness has approved.
        var approved: [String: Int] = [:]
        for record in records.array ?? [] {
            guard let version = record["versionId"]?.string,
                let index = versions.firstIndex(where: { $0.utf8.elementsEqual(version.utf8) })
            else { continue }
            let document: JSONValue = ["versionId": .string(version)]
            let digest = Array(SHA256.hash(data: document.canonical))
            for json in record["proof"]?.array ?? [] {
                guard let proof = WebVHProof(json) else { continue }
                let witness = "did:key:" + proof.key
                guard named.contains(witness), approved[witness] ?? -1 < index, proof.isValid(over: digest) else {
                    continue
                }
                approved[witness] = index
            }
        }
        return witnesses.enumerated().allSatisfy { index, witness in
            witness.isNone || witness.ids.count { approved[$0] ?? -1 >= index } >= witness.threshold
        }
    }
}

/// I-JSON with integers only, as the logs are written (RFC 7493).
enum IJSON {
    static func read(_ bytes: [UInt8], limits: JSONDocument.Limits) -> JSONValue? {
        guard let document = try? JSONDocument(scanning: bytes, limits: limits), document.firstNonInteger == nil else {
            return nil
        }
        let value = document.root.value
        return isExact(value) ? value : nil
    }

    /// Whether every integer is exact as a double.
    private static func isExact(_ value: JSONValue) -> Bool {
        switch value {
        case .int(let number): number.magnitude < 1 << 53
        case .array(let elements): elements.allSatisfy(isExact)
        case .object(let object): object.members.allSatisfy { isExact($0.value) }
        default: true
        }
    }
}
