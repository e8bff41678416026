import ArgumentParser
import DSIPIdentity
import DSIPSignaling
import DSIPTrust
import Encoding
import Foundation

/// `dsip verify`: what an envelope is worth, stage by stage.
struct VerifyCommand: Subcommand {
    static let configuration = CommandConfiguration(
        commandName: "verify",
        abstract: "Verify a signed envelope: who signed, for whom, and which rule it breaks if any.",
        discussion: "Exit status 1 when it does not verify. Device delegations are verified too."
    )

    @Argument(help: "File with one DSIP-JOSE envelope; - is standard input.", completion: .file()) var file = "-"
    @Option(help: "Verify as of this time: Unix seconds, 2026-11-21T04:00:00Z, or issued for its own issued_at.")
    var at: String?
    @Option(help: "DID document to use instead of resolving; may be given several times.", completion: .file())
    var document: [String] = []
    @Option(
        help: "Envelope of a delegation to hold beside those presented; may be given several times.",
        completion: .file()
    )
    var delegation: [String] = []
    @Flag(help: "Resolve nothing over the network.") var offline = false
    @Flag(name: .customLong("allow-es256"), help: "Accept ES256 signatures.") var allowES256 = false
    @Flag(help: "Show the payload too.") var payload = false
    @OptionGroup var network: NetworkOptions
    @OptionGroup var output: OutputOptions

    func perform() async throws {
        let frame = trimmed(try PrivateOutput.read(file, limit: 1 << 20, what: "The envelope"))
        let now = try time(of: frame)
        let documents = try await Documents(
            files: document,
            fetcher: offline ? nil : network.fetcher(),
            allowing: network
        )
        if let envelope = Envelope(frame), let claim = Delegation.decode(envelope) {
            return try await verify(claim, envelope, at: now, documents)
        }
        try await verify(frame, at: now, documents)
    }

    private func verify(_ frame: [UInt8], at now: Int64, _ documents: Documents) async throws {
        var verifier = EnvelopeVerifier(policy: VerificationPolicy(allowES256: allowES256))
        var held = DelegationStore()
        for path in delegation {
            guard let envelope = Envelope(trimmed(try PrivateOutput.read(path, limit: 1 << 20, what: path))),
                held.insert(envelope)
            else { throw CommandFailure(.usage, "\(path) holds no delegation.") }
        }
        var documents = documents
        while true {
            var replay = ReplayWindow(capacity: 1, lastingCapacity: 1)
            let known = documents
            let verdict = verifier.verify(
                frame,
                at: now,
                replay: &replay,
                documents: { known.lookup($0) },
                delegations: held
            )
            switch verdict {
            case .needs(let did): await documents.resolve(did)
            case .accepted(let message): return report(VerificationReport(accepted: message, at: now), frame)
            case .rejected(let rejection):
                var report = VerificationReport(rejected: rejection, at: now)
                report.resolution = documents.failures
                self.report(report, frame)
                throw ExitCode(ExitStatus.failed.rawValue)
            }
        }
    }

    private func report(_ report: VerificationReport, _ frame: [UInt8]) {
        let content = payload ? Envelope(frame).flatMap { try? JSONValue(parsing: $0.decodedPayload()) } : nil
        if output.json {
            guard case .object(var json) = report.json else { return }
            if let content { json["payload"] = content }
            return Console.write(JSONValue.object(json))
        }
        Console.write(report.text)
        if let content { Console.write(content) }
    }

    // MARK: Delegations

    private func verify(_ claim: Delegation, _ envelope: Envelope, at now: Int64, _ documents: Documents) async throws {
        var documents = documents
        await documents.resolve(claim.subject)
        guard case .found(let document) = documents.lookup(claim.subject) else {
            throw CommandFailure(
                .notFound,
                "The document of \(claim.subject) could not be resolved; give it with --document FILE."
            )
        }
        var fault: DelegationFault?
        do {
            _ = try Delegation.verify(
                envelope,
                device: claim.device,
                subject: claim.subject,
                at: now,
                document: document,
                allowES256: allowES256
            )
        } catch { fault = error }
        if output.json {
            Console.write([
                "accepted": .bool(fault == nil), "code": fault.map { .string($0.rawValue) } ?? .null, "at": .int(now),
                "delegation": claim.json,
            ])
        } else {
            Console.write(
                Console.table([
                    ["Kind", "device delegation"], ["Identity", claim.subject.string], ["Device", claim.device.string],
                    ["May", claim.capabilities.joined(separator: ", ")],
                    ["Valid", "\(Console.time(claim.issuedAt)) to \(Console.time(claim.expiresAt))"],
                    ["Verdict", fault.map { Console.bad("does not hold: \($0.rawValue)") } ?? Console.good("holds")],
                ])
            )
        }
        if fault != nil { throw ExitCode(ExitStatus.failed.rawValue) }
    }

    // MARK: Input

    private func trimmed(_ bytes: [UInt8]) -> [UInt8] {
        let isSpace = { (byte: UInt8) in byte == 0x20 || (0x09...0x0d).contains(byte) }
        return Array(bytes.drop(while: isSpace).reversed().drop(while: isSpace).reversed())
    }

    private func time(of frame: [UInt8]) throws -> Int64 {
        guard let at else { return Console.now() }
        if let seconds = Int64(at), (0...(1 << 40)).contains(seconds) { return seconds }
        if at == "issued" {
            guard let payload = Envelope(frame).flatMap({ try? JSONValue(parsing: $0.decodedPayload()) }),
                let issued = payload["issued_at"]?.int
            else { throw CommandFailure(.failed, "The envelope says no issued_at that could be used.") }
            return issued
        }
        guard let date = try? Date(at, strategy: .iso8601) else {
            throw CommandFailure(.usage, "“\(at)” is no time; write Unix seconds, 2026-11-21T04:00:00Z, or issued.")
        }
        return Int64(date.timeIntervalSince1970)
    }
}

/// DID documents for one verification: those given as files, then those that resolve.
struct Documents {
    private var known: [DID: DocumentLookup] = [:]
    private let resolver: MethodResolver?
    /// Why a DID did not resolve.
    private(set) var failures: [String] = []

    init(files: [String], fetcher: (any DocumentFetcher)?, allowing network: NetworkOptions) async throws {
        resolver = fetcher.map { MethodResolver(fetcher: $0) }
        for path in files {
            let bytes = try PrivateOutput.read(path, limit: DIDDocument.Limit.bytes, what: path)
            guard let json = try? JSONValue(parsing: bytes, limits: .init(bytes: DIDDocument.Limit.bytes)),
                let did = json["id"]?.string.flatMap({ DID($0) })
            else { throw CommandFailure(.usage, "\(path) holds no DID document.") }
            do {
                known[did] = .found(try DIDDocument(parsing: bytes, expecting: did))
            } catch {
                throw CommandFailure(.usage, "\(path) holds no usable DID document: \(error.reason).")
            }
        }
    }

    func lookup(_ did: DID) -> DocumentLookup {
        if let found = known[did] { return found }
        if let document = DIDKey.document(of: did) { return .found(document) }
        return .unknown
    }

    /// Afterwards `lookup` answers something other than `.unknown`.
    mutating func resolve(_ did: DID) async {
        guard case .unknown = lookup(did) else { return }
        do throws(IdentityError) {
            guard let resolver else { throw IdentityError(.unreachable, "nothing is resolved with --offline") }
            known[did] = .found(try await resolver.resolve(did).document)
        } catch {
            known[did] = .unresolvable
            failures.append("\(did): \(error.reason).")
        }
    }
}
