import ArgumentParser
import DSIPAgent
import DSIPDiscovery
import DSIPIdentity
import DSIPTransport
import Encoding
import Foundation

/// Where to ask besides the identity's own place.
struct PlaceOptions: ParsableArguments {
    @Option(
        help: ArgumentHelp(
            "With --explain: a node that serves reachability hints over HTTP; may be given several times.",
            valueName: "https://…"
        )
    )
    var hints: [String] = []

    @Option(
        help: ArgumentHelp(
            "With --explain: a relay that is asked for what proves a document, which is verified here; may be given several times.",
            valueName: "https://…"
        )
    )
    var mesh: [String] = []

    func validate() throws {
        for url in hints + mesh where !url.hasPrefix("https://") || url.hasSuffix("/") {
            throw ValidationError("“\(url)” is no such place; one looks like https://node.example")
        }
    }
}

/// `dsip resolve --explain`: every step of a discovery, and what it rests on.
struct Explanation {
    private let target: IdentityURI.Target
    private let relay: String?
    private let discoverer: Discoverer

    init(
        _ address: String,
        _ places: PlaceOptions,
        _ pkarr: PkarrPlaces,
        _ fetcher: HTTPDocumentFetcher,
        _ aliases: AliasPlaces,
        _ ethereum: [EthereumNetwork]
    ) throws {
        let uri: IdentityURI
        do {
            uri = try IdentityURI(entered: address)
        } catch {
            throw CommandFailure(.usage, "“\(address)” is no address: \(error.reason).")
        }
        (target, relay) = (uri.target, uri.relay)
        let seconds = { @Sendable in Int64(Date().timeIntervalSince1970) }
        var sources = Discovery.Sources()
        sources.aliases = aliases.sources
        sources.carriers = places.mesh
        sources.hints = places.hints.map { .relay($0) } + pkarr.hints
        var source = NetworkSource(
            resolver: MethodResolver(fetcher: fetcher, pkarr: pkarr.source, ethereum: ethereum, clock: seconds),
            fetcher: fetcher,
            clock: seconds
        )
        source.aliases = aliases
        source.mainline = pkarr.mainline
        source.carriers = places.mesh.map { RelayCarrier($0, fetcher: fetcher) }
        discoverer = Discoverer(
            source: source,
            sources: sources,
            verifier: HintVerifier(),
            clock: { Int64(Date().timeIntervalSince1970 * 1000) }
        )
    }

    func show(asJSON: Bool) async throws {
        let found = await discoverer.search(target, relay: relay)
        Console.write(asJSON ? json(found).pretty : text(found))
        if found.document == nil, let failure = found.failure {
            throw CommandFailure(.notFound, "It could not be resolved: \(failure.reason).")
        }
    }

    private func text(_ found: Discovered) -> String {
        var lines = [
            Console.table(
                found.steps.map { step in
                    [
                        step.isSuccess ? Console.good("ok    ") : Console.bad("failed"), "\(step.milliseconds) ms",
                        step.what, step.outcome,
                    ]
                }
            )
        ]
        lines += found.steps.compactMap { step in step.basis.map { "  \(step.what) rests on: \($0)" } }
        if let alias = found.alias, case .conflict(let dids, let signed) = alias.verdict {
            lines.append("The places do not agree on whom \(alias.alias) means:")
            lines += alias.claims.map { "  \($0.source.rawValue) says \($0.did); \($0.basis.text)" }
            if let signed { lines.append("  Signed records name \(signed) only. Ask the person which is right.") }
            if signed == nil {
                lines.append("  Nothing decides between these \(dids.count). Ask the person which is right.")
            }
        }
        for source in found.alias?.suspicions ?? [] {
            lines.append("\(source.rawValue) gave an answer that must not be believed.")
        }
        if let carrier = found.carrier {
            lines.append("The document was carried by \(carrier) and verified here: its own place did not answer.")
        }
        if let alias = found.alias, let document = found.document {
            let confirmed = alias.isConfirmed(by: document)
            lines.append("The identity itself \(confirmed ? "names" : "does not name") the alias \(alias.alias).")
        }
        if let did = found.did { lines.append("Address  \(did)") }
        lines += found.routes.map { "Reached  \($0.way), \($0.origin.text)" }
        if found.hasConflictingHints { lines.append("Two hints claim to be the same one; somebody may be posing.") }
        return lines.joined(separator: "\n")
    }

    private func json(_ found: Discovered) -> JSONValue {
        let steps = found.steps.map { step -> JSONValue in
            [
                "step": .string(step.what), "outcome": .string(step.outcome), "ok": .bool(step.isSuccess),
                "basis": step.basis.map { .string($0) } ?? .null, "ms": .int(step.milliseconds),
            ]
        }
        let routes = found.routes.map { route -> JSONValue in
            ["way": .string(route.way.description), "origin": .string(route.origin.text)]
        }
        let claims = (found.alias?.claims ?? []).map { claim -> JSONValue in
            [
                "source": .string(claim.source.rawValue), "did": .string(claim.did.string),
                "basis": .string(claim.basis.text),
            ]
        }
        return [
            "did": found.did.map { .string($0.string) } ?? .null, "claims": .array(claims), "steps": .array(steps),
            "routes": .array(routes), "carrier": found.carrier.map { .string($0) } ?? .null,
            "document": found.document?.json ?? .null,
        ]
    }
}
