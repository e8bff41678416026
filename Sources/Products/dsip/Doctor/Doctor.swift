import DSIPAgent
import DSIPIdentity
import DSIPTransport
import Encoding
import Foundation

/// The checks of `dsip doctor`, in the order in which things depend on each other.
struct Doctor {
    let state: StateOptions
    var report: DoctorReport

    /// What the wallet and agent checks found out.
    struct Findings {
        var agent: StateHolder.Announcement?
        var identity: IdentityView?
        var relay: String?
        var isBound = false
    }

    init(state: StateOptions, report: DoctorReport) {
        self.state = state
        self.report = report
    }

    mutating func examine(peer: String?) async throws {
        var findings = Findings()
        findings.relay = try state.network.wantedRelay()
        try await examineState(&findings)
        var caution: String?
        if let relay = findings.relay {
            var hops = try RelayHops(relay: relay, prefix: "", roots: state.network.roots, clock: Console.now)
            await hops.examine(&report)
            caution = hops.failure
        } else {
            report.add(
                .failed(
                    "relay",
                    "no relay is known",
                    next: "Name one with --relay wss://…, or make an identity: dsip id create NAME."
                )
            )
            caution = "no relay is known"
        }
        await examineDHT(findings)
        try await examineOwnName(findings)
        if let peer { try await examine(peer: peer, own: findings.relay, relayFault: caution) }
        await examinePage(findings)
    }

    // MARK: Here

    private mutating func examineState(_ findings: inout Findings) async throws {
        let files = FileManager.default
        let folder = state.folder
        guard let attributes = try? files.attributesOfItem(atPath: folder) else {
            report.add(
                .failed(
                    "state",
                    "\(folder) does not exist",
                    next: "Make an identity with dsip id create NAME, or name the folder with --state."
                )
            )
            report.add(.skipped("wallet", because: "there is no state folder"))
            return
        }
        let mode = (attributes[.posixPermissions] as? NSNumber)?.intValue ?? 0
        if !files.isWritableFile(atPath: folder) {
            report.add(
                .failed(
                    "state",
                    "\(folder) cannot be written",
                    next: "Make yourself its owner: chown -R $USER \(folder)"
                )
            )
        } else if mode & 0o077 != 0 {
            report.add(
                .warning(
                    "state",
                    "\(folder) is open to others (mode \(String(mode, radix: 8)))",
                    next: "Close it: chmod 700 \(folder)"
                )
            )
        } else {
            report.add(.ok("state", folder))
        }
        try await examineWallet(&findings)
    }

    private mutating func examineWallet(_ findings: inout Findings) async throws {
        do throws(IdentityError) {
            guard let wantsPassphrase = try WalletFile.wantsPassphrase(state.walletPath) else {
                return report.add(
                    .failed("wallet", "there is none in \(state.folder)", next: "Make one with dsip id create NAME.")
                )
            }
            if wantsPassphrase, !hasPassphrase, try await runningAgent(&findings) == nil {
                return report.add(
                    .warning(
                        "wallet",
                        "locked with a passphrase; looks undamaged",
                        next: "To look inside, name a file with the passphrase in \(SecretInput.walletVariable)."
                    )
                )
            }
        } catch {
            return report.add(.failed("wallet", error.reason, next: Doctor.advice(error)))
        }
        do {
            let (identity, connection) = try await state.withAgent { agent in
                let current = try await agent.identities().first(where: \.isCurrent)
                return (current, try await agent.call("state.get")["relay"])
            }
            guard let identity else {
                return report.add(
                    .failed("wallet", "opens, but holds no identity", next: "Make one with dsip id create NAME.")
                )
            }
            findings.identity = identity
            findings.relay = findings.relay ?? identity.json["relay"]?.string
            report.add(.ok("wallet", "opens; you are \(identity.name), \(identity.did)"))
            try await examineAgent(&findings, connection)
        } catch let error as AgentError {
            let isLocked = [.wrongPassphrase, .damaged].contains(error.code)
            report.add(
                .failed(
                    "wallet",
                    error.message,
                    next: isLocked
                        ? "Restore it: dsip id import BACKUP, or dsip id restore NAME with the phrase, in another --state folder."
                        : "See what the sentence says."
                )
            )
        } catch let failure as CommandFailure {
            report.add(.failed("wallet", failure.sentence, next: "See what the sentence says."))
        }
    }

    private var hasPassphrase: Bool {
        !(ProcessInfo.processInfo.environment[SecretInput.walletVariable] ?? "").isEmpty
    }

    private func runningAgent(_ findings: inout Findings) async throws(IdentityError) -> StateHolder.Announcement? {
        guard case .agent(let announcement)? = try? StateHolder.take(state.folder) else { return nil }
        findings.agent = announcement
        return announcement
    }

    private mutating func examineAgent(_ findings: inout Findings, _ connection: JSONValue?) async throws {
        guard let agent = try await runningAgent(&findings) else {
            report.add(.warning("agent", "none is running; nobody can reach you here", next: "Start it: dsip up"))
            return
        }
        findings.isBound = connection?["state"]?.string == "connected"
        let sentence = connection?["sentence"]?.string ?? "it does not say how it stands with the relay"
        if findings.isBound {
            report.add(.ok("agent", "process \(agent.process) at \(agent.base). \(sentence)"))
        } else {
            report.add(
                .failed(
                    "agent",
                    "process \(agent.process): \(sentence)",
                    next: "The checks of the relay below say where it ends."
                )
            )
        }
    }

    private static func advice(_ error: IdentityError) -> String {
        switch error.code {
        case .damaged:
            "Put the file back from a copy, or begin in another --state folder: dsip id import BACKUP, or dsip id restore NAME."
        case .unsupported: "Install the newer version of dsip that wrote it."
        default: "See that you may read the file."
        }
    }

    // MARK: Own name

    private mutating func examineOwnName(_ findings: Findings) async throws {
        guard let identity = findings.identity, let alias = identity.json["alias"]?.string else {
            if findings.identity != nil { report.add(.ok("own name", "none; people need your dsip: link")) }
            return
        }
        var lookup = Lookup(fetcher: try fetcher(findings.relay))
        do {
            try await lookup.find(alias)
            if lookup.did?.string == identity.did {
                report.add(.ok("own name", "\(alias) names you"))
            } else {
                report.add(
                    .failed(
                        "own name",
                        "\(alias) names \(lookup.did?.string ?? "nobody")",
                        next: "Register it anew: dsip id register NAME."
                    )
                )
            }
        } catch let failure as CommandFailure {
            report.add(
                .failed(
                    "own name",
                    "\(alias): \(failure.sentence)",
                    next: "Ask who runs the relay, or register it anew: dsip id register NAME."
                )
            )
        }
    }

    private func fetcher(_ relay: String?) throws -> HTTPDocumentFetcher {
        HTTPDocumentFetcher(
            policy: AddressPolicy(allowing: try state.network.allowed(with: relay)),
            roots: state.network.roots
        )
    }

    // MARK: Peer

    private mutating func examine(peer: String, own: String?, relayFault: String?) async throws {
        var address = peer
        if (try? IdentityURI(entered: peer)) == nil,
            let known = try? await state.withAgent(.files, { door in try await door.contact(peer) })
        {
            address = IdentityURI(.did(DID(known.did)!), relay: known.json["relay"]?.string).description
        }
        var lookup = Lookup(fetcher: try fetcher(own))
        do {
            try await lookup.find(address)
        } catch let failure as CommandFailure {
            if failure.status == .usage { throw failure }
            report.add(.failed("peer", failure.sentence, next: "Ask them for a new link."))
            return report.add(.skipped("peer relay", because: "the peer was not found"))
        }
        report.add(.ok("peer", lookup.did?.string ?? ""))
        guard let relay = lookup.relay ?? own else {
            return report.add(.skipped("peer relay", because: "the address does not tell it"))
        }
        guard relay != own else {
            return report.add(
                relayFault.map { .skipped("peer relay", because: "it is your own, and \($0)") }
                    ?? .ok("peer relay", "is your own\(lookup.relay == nil ? ", as far as the address tells" : "")")
            )
        }
        var hops = try RelayHops(relay: relay, prefix: "peer ", roots: state.network.roots, clock: Console.now)
        await hops.examine(&report)
    }

    // MARK: Page

    private mutating func examinePage(_ findings: Findings) async {
        guard let agent = findings.agent else { return }
        switch await PageProbe.look(at: agent) {
        case .good: report.add(.ok("page", "\(agent.base) answers and its token is good"))
        case .unreachable(let why):
            report.add(.failed("page", why, next: "Restart dsip up; see whether another program took the port."))
        case .withoutPage:
            report.add(
                .warning(
                    "page",
                    "the API answers, the page is not there",
                    next: "Start dsip up where its Web folder is, or set DSIP_WEB."
                )
            )
        case .tokenRefused:
            report.add(
                .failed(
                    "page",
                    "\(agent.base) refuses the token",
                    next: "Another program has the port; restart dsip up with --port."
                )
            )
        case .unguarded:
            report.add(
                .failed(
                    "page",
                    "\(agent.base) answers without a token",
                    next: "That is not dsip; restart dsip up with --port."
                )
            )
        }
    }
}
