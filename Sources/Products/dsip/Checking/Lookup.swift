import DSIPDiscovery
import DSIPIdentity
import DSIPTransport
import Encoding
import Foundation

/// Finds whom an address means, and keeps what each step was and how long it took (DSIP §8.1).
struct Lookup: Sendable {
    struct Step: Sendable {
        var what: String
        var milliseconds: Int64
        var error: String?

        var json: JSONValue {
            ["step": .string(what), "ms": .int(milliseconds), "error": error.map { .string($0) } ?? .null]
        }
    }

    let fetcher: any DocumentFetcher
    private let aliases: AliasPlaces
    private let pkarr: (any PkarrSource)?
    private let ethereum: [EthereumNetwork]

    private(set) var steps: [Step] = []
    private(set) var alias: Alias?
    private(set) var did: DID?
    private(set) var document: DIDDocument?
    /// Of the document, else of the link or alias, which are hints (DSIP §8.1 rule 4).
    private(set) var relay: String?
    private(set) var relaySource: String?
    private(set) var name: String?

    init(
        fetcher: any DocumentFetcher,
        aliases: AliasPlaces = AliasPlaces(),
        pkarr: (any PkarrSource)? = nil,
        ethereum: [EthereumNetwork] = []
    ) {
        (self.fetcher, self.aliases, self.pkarr, self.ethereum) = (fetcher, aliases, pkarr, ethereum)
    }

    /// - Throws: `CommandFailure` with the step that failed; `steps` tells how far it came.
    mutating func find(_ input: String) async throws {
        let uri: IdentityURI
        do {
            uri = try IdentityURI(entered: input)
        } catch {
            throw CommandFailure(.usage, "“\(input)” is no address: \(error.reason).")
        }
        name = uri.name
        set(relay: uri.relay, from: "the link")
        switch uri.target {
        case .did(let did): self.did = did
        case .alias(let alias): try await find(alias)
        }
        try await findDocument()
    }

    private mutating func find(_ alias: Alias) async throws {
        self.alias = alias
        let (fetcher, aliases) = (fetcher, aliases)
        guard alias.form == .ledger else {
            let claim = try await step(DiscoveryStep.alias(alias, .webFinger)) { () async throws(IdentityError) in
                try await aliases.claim(alias, .webFinger, fetcher: fetcher)
            }
            return take(claim)
        }
        // Either ledger may have the name, so both are asked.
        let sources = aliases.sources.filter { $0.knows(.ledger) }
        let what = sources.map { DiscoveryStep.alias(alias, $0) }.joined(separator: ", ")
        let claim = try await step(what.isEmpty ? "ask for \(alias)" : what) { () async throws(IdentityError) in
            let finding = await aliases.finding(of: alias, from: sources, fetcher: fetcher)
            return try finding.agreed()
        }
        take(claim)
    }

    private mutating func take(_ claim: AliasClaim) {
        did = claim.did
        set(relay: claim.relay, from: "the alias")
    }

    private mutating func findDocument() async throws {
        guard let did else { return }
        let clock = { @Sendable in Int64(Date().timeIntervalSince1970) }
        let resolver = MethodResolver(fetcher: fetcher, pkarr: pkarr, ethereum: ethereum, clock: clock)
        let resolved = try await step(DiscoveryStep.document(did)) { () async throws(IdentityError) in
            try await resolver.resolve(did)
        }
        document = resolved.document
        set(relay: resolved.document.signalingEndpoint, from: "the document")
    }

    /// What the person's running agent finds beyond the documents: it asks its relay and the DHT.
    mutating func ask(_ agent: some AgentDoor) async {
        guard let did, relay == nil else { return }
        let start = ContinuousClock.now
        var step = Step(what: "ask the running agent where it is reached", milliseconds: 0)
        do {
            let found = try await agent.call("peer.lookup", ["input": .string(did.string)])
            set(relay: found["relay"]?.string, from: "the running agent")
            if relay != nil, let how = (found["steps"]?.array ?? []).last?.string { step.what += ". \(how)" }
        } catch {
            step.error = "\(error)"
        }
        let passed = (ContinuousClock.now - start).components
        step.milliseconds = passed.seconds * 1000 + passed.attoseconds / 1_000_000_000_000_000
        steps.append(step)
    }

    private mutating func set(relay: String?, from source: String) {
        guard let relay else { return }
        self.relay = relay
        relaySource = source
    }

    private mutating func step<R: Sendable>(
        _ what: String,
        _ body: () async throws(IdentityError) -> R
    ) async throws -> R {
        let start = ContinuousClock.now
        func elapsed() -> Int64 {
            let passed = (ContinuousClock.now - start).components
            return passed.seconds * 1000 + passed.attoseconds / 1_000_000_000_000_000
        }
        do throws(IdentityError) {
            let result = try await body()
            steps.append(Step(what: what, milliseconds: elapsed()))
            return result
        } catch {
            steps.append(Step(what: what, milliseconds: elapsed(), error: error.reason))
            throw Lookup.failure(error, did: did)
        }
    }

    private static func failure(_ error: IdentityError, did: DID?) -> CommandFailure {
        switch error.code {
        case .unsupported:
            return CommandFailure(.notFound, "This kind of identity is not supported here: \(error.reason).")
        case .malformed where did?.method == "key":
            return CommandFailure(.notFound, "The address is damaged: \(error.reason). Ask for it again.")
        case .refused where error.reason.contains("public address"):
            return CommandFailure(
                .notFound,
                "\(error.reason). If it is in a network of yours, allow its address with --allow."
            )
        default: return CommandFailure(.notFound, "It could not be resolved: \(error.reason).")
        }
    }

    var json: JSONValue {
        [
            "did": did.map { .string($0.string) } ?? .null, "alias": alias.map { .string($0.description) } ?? .null,
            "name": name.map { .string($0) } ?? .null, "relay": relay.map { .string($0) } ?? .null,
            "relay_source": relaySource.map { .string($0) } ?? .null, "document": document?.json ?? .null,
            "steps": .array(steps.map(\.json)),
        ]
    }
}
