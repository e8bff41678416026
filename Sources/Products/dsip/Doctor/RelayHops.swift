import DSIPIdentity
import DSIPSignaling
import DSIPTransport
import Encoding
import Foundation

/// The hops to one relay: name, TCP, TLS, clock, WebSocket, hello, STUN.
struct RelayHops {
    /// Clocks that differ by more cannot signal (DSIP §12.9); half of it deserves a look.
    static let tolerance = ProtocolLimits.replayWindow

    /// What failed; nil when the relay answered the hello.
    private(set) var failure: String?
    private let address: RelayAddress
    private let prefix: String
    private let roots: TrustRoots
    private let clock: @Sendable () -> Int64

    /// - Throws: `CommandFailure` for what is no relay address.
    init(relay: String, prefix: String, roots: TrustRoots, clock: @escaping @Sendable () -> Int64) throws {
        do {
            address = try RelayAddress(relay)
        } catch {
            throw CommandFailure(.usage, "“\(relay)” is no relay address: \(error.reason).")
        }
        self.prefix = prefix
        self.roots = roots
        self.clock = clock
    }

    private static let order = ["dns", "tcp", "tls", "clock", "websocket", "hello", "stun"]

    mutating func examine(_ report: inout DoctorReport) async {
        guard let target = await resolve(&report), await dial(target, &report) else { return }
        guard let capabilities = await greet(&report) else { return }
        await askSTUN(capabilities, &report)
    }

    /// Notes the failure, and that the hops after it were left out.
    private mutating func fail(_ hop: String, _ detail: String, next: String, _ report: inout DoctorReport) {
        report.add(.failed(prefix + hop, detail, next: next))
        failure = "its \(hop) check failed"
        for later in RelayHops.order.drop(while: { $0 != hop }).dropFirst() {
            report.add(.skipped(prefix + later, because: "\(prefix)\(hop) failed"))
        }
    }

    // MARK: DNS

    private mutating func resolve(_ report: inout DoctorReport) async -> [UInt8]? {
        do throws(TransportError) {
            let addresses = try await SystemHostResolver().addresses(of: address.host)
            guard let first = addresses.first else { throw TransportError(.unreachable, "no address is known") }
            report.add(
                .ok(prefix + "dns", "\(address.host) is \(addresses.map(AddressText.of).joined(separator: ", "))")
            )
            return first
        } catch {
            fail(
                "dns",
                error.reason,
                next: "Check the spelling of the relay, and this machine’s network and name server.",
                &report
            )
            return nil
        }
    }

    // MARK: TCP, TLS, clock

    private mutating func dial(_ target: [UInt8], _ report: inout DoctorReport) async -> Bool {
        let probe = await TLSProbe.dial(address, at: AddressText.of(target), roots: roots)
        guard let connected = probe.connected else {
            fail(
                "tcp",
                "\(AddressText.of(target)) port \(address.port): \(probe.failure ?? "no answer")",
                next: "See whether the relay is running, and whether a firewall is between.",
                &report
            )
            return false
        }
        report.add(.ok(prefix + "tcp", "port \(address.port) answers in \(connected) ms"))
        guard let version = probe.version else {
            fail("tls", probe.failure ?? "no secure connection", next: TLSProbe.advice(probe.failure ?? ""), &report)
            return false
        }
        let days = probe.certificateEnds.map { ($0 - clock()) / 86_400 }
        let end = probe.certificateEnds.map { ", certificate until \(Console.time($0))" } ?? ""
        if let days, days < 14 {
            report.add(
                .warning(
                    prefix + "tls",
                    "\(version)\(end)",
                    next: "The certificate ends in \(days) days; whoever runs the relay must renew it."
                )
            )
        } else {
            report.add(.ok(prefix + "tls", version + end))
        }
        return examineClock(probe, &report)
    }

    private mutating func examineClock(_ probe: TLSProbe.Finding, _ report: inout DoctorReport) -> Bool {
        guard let theirs = probe.date else {
            report.add(
                .ok(prefix + "clock", "the relay’s HTTP tells no time; the hello below tells whether the clocks agree")
            )
            return true
        }
        let skew = clock() - theirs
        let side = skew > 0 ? "ahead of" : "behind"
        if abs(skew) > RelayHops.tolerance {
            fail(
                "clock",
                "this machine is \(abs(skew)) s \(side) the relay; at most \(RelayHops.tolerance) s are tolerated",
                next: "Set this machine’s clock (timedatectl set-ntp true); if it is right, the relay’s is wrong.",
                &report
            )
            return false
        }
        if abs(skew) > RelayHops.tolerance / 2 {
            report.add(
                .warning(
                    prefix + "clock",
                    "\(abs(skew)) s \(side) the relay",
                    next: "Let the clock be set by the network: timedatectl set-ntp true"
                )
            )
        } else {
            report.add(.ok(prefix + "clock", "within \(max(1, abs(skew))) s of the relay"))
        }
        return true
    }

    // MARK: WebSocket and hello

    private mutating func greet(_ report: inout DoctorReport) async -> RelayCapabilities? {
        switch await HelloProbe.greet(address, roots: roots, clock: clock) {
        case .connected(let relay):
            report.add(.ok(prefix + "websocket", "\(address.target) is upgraded"))
            report.add(.ok(prefix + "hello", "signed by \(relay.identity)\(RelayHops.describe(relay.capabilities))"))
            return relay.capabilities
        case .refused(let refusal):
            report.add(.ok(prefix + "websocket", "\(address.target) is upgraded"))
            let why = refusal.report.reason.token
            fail(
                "hello",
                "\(refusal.relay) refuses: \(why)",
                next: why == "policy.denied" || why.hasPrefix("policy.")
                    ? "A private relay greets its own people only; the agent line above tells whether it takes you."
                    : "Update this program or the relay: they do not agree on the protocol.",
                &report
            )
        case .failed(let error):
            if error.code == .upgrade {
                fail(
                    "websocket",
                    error.reason,
                    next: "Check the path in the relay’s address; it is usually /dsip.",
                    &report
                )
            } else if [.protocolViolation, .closed, .notConnected].contains(error.code) {
                report.add(.ok(prefix + "websocket", "\(address.target) is upgraded"))
                fail(
                    "hello",
                    error.reason,
                    next: "If both clocks are right, ask who runs the relay to look at its log.",
                    &report
                )
            } else {
                fail("websocket", error.reason, next: "The connection worked a moment ago; try again.", &report)
            }
        case .silent:
            report.add(.ok(prefix + "websocket", "\(address.target) is upgraded"))
            fail(
                "hello",
                "no answer within \(HelloProbe.patience) s",
                next: "Ask who runs the relay; it may be overloaded.",
                &report
            )
        }
        return nil
    }

    private static func describe(_ capabilities: RelayCapabilities) -> String {
        var parts: [String] = []
        if capabilities.storeAndForward == true {
            parts.append("holds messages" + (capabilities.offlineRetention.map { " for \($0 / 3600) h" } ?? ""))
        }
        if let rate = capabilities.invitesPerMinute { parts.append("\(rate) calls a minute") }
        return parts.isEmpty ? "" : "; " + parts.joined(separator: ", ")
    }

    // MARK: STUN

    private mutating func askSTUN(_ capabilities: RelayCapabilities, _ report: inout DoctorReport) async {
        let uris = (capabilities.other["stun"]?.array ?? []).prefix(4).compactMap(\.string)
        guard let uri = uris.first else {
            report.add(
                .warning(
                    prefix + "stun",
                    "the relay offers none",
                    next: "Calls between two homes may find no way; set stun on the relay."
                )
            )
            return
        }
        let name = prefix + "stun"
        do {
            let (seen, milliseconds) = try await STUNProbe.ask(uri)
            report.add(.ok(name, "\(uri) sees this machine as \(seen), in \(milliseconds) ms"))
        } catch {
            report.add(
                .failed(
                    name,
                    "\(uri): \(error.sentence)",
                    next: "Let UDP through to it, or calls between two homes may find no way."
                )
            )
        }
    }
}

/// Addresses in text.
enum AddressText {
    /// - Parameter bytes: 4 or 16, in network order.
    static func of(_ bytes: [UInt8]) -> String {
        guard bytes.count == 16 else { return bytes.map(String.init).joined(separator: ".") }
        var storage = [CChar](repeating: 0, count: Int(INET6_ADDRSTRLEN))
        guard inet_ntop(AF_INET6, bytes, &storage, socklen_t(INET6_ADDRSTRLEN)) != nil else { return "?" }
        return String(decoding: storage.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }
}
