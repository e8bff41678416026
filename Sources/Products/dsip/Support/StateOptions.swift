import ArgumentParser
import DSIPAgent
import DSIPIdentity
import DSIPRelay
import DSIPTransport
import Foundation

/// Where a person's wallet and contacts are, and how their relay is reached.
struct StateOptions: ParsableArguments {
    @Option(
        help: "Folder of wallet, contacts and call log. Also DSIP_STATE. (default: ~/.local/share/dsip)",
        completion: .directory
    )
    var state: String?

    @OptionGroup var network: NetworkOptions

    var folder: String { StateOptions.folder(state) }

    /// The folder that `given` names, else `DSIP_STATE`, else the standard one.
    static func folder(_ given: String?) -> String {
        let environment = ProcessInfo.processInfo.environment
        if let named = given ?? environment["DSIP_STATE"].flatMap({ $0.isEmpty ? nil : $0 }) {
            return (named as NSString).expandingTildeInPath
        }
        let data = environment["XDG_DATA_HOME"].flatMap { $0.hasPrefix("/") ? $0 : nil }
        return ((data ?? NSHomeDirectory() + "/.local/share") as NSString).appendingPathComponent("dsip")
    }

    var walletPath: String { folder + "/wallet.json" }
    var keyPath: String { folder + "/wallet.key" }
}

/// Relay, authorities and addresses.
struct NetworkOptions: ParsableArguments {
    @Option(help: "Relay that new identities are reached at, wss://… . Also DSIP_RELAY.")
    var relay: String?

    @Option(
        help:
            "PEM file of an authority to trust beside the system's, such as a development relay's ca.pem. Also DSIP_TRUST, separated by colons.",
        completion: .file(extensions: ["pem", "crt"])
    )
    var trust: [String] = []

    @Option(
        help:
            "Address or CIDR range that documents may be fetched from although it is not public. Also DSIP_ALLOW, separated by commas."
    )
    var allow: [String] = []

    private func variable(_ name: String) -> String? {
        ProcessInfo.processInfo.environment[name].flatMap { $0.isEmpty ? nil : $0 }
    }

    /// The relay asked for.
    func wantedRelay() throws -> String? {
        guard let url = relay ?? variable("DSIP_RELAY") else { return nil }
        guard RelayURL.isValid(url) else {
            throw CommandFailure(.usage, "“\(url)” is no relay address; one looks like wss://relay.example/dsip.")
        }
        return url
    }

    /// The development authority of a relay run by the same person on this machine is trusted without being named.
    var roots: TrustRoots {
        let named = trust + (variable("DSIP_TRUST")?.split(separator: ":").map(String.init) ?? [])
        guard named.isEmpty else { return TrustRoots(additionalFiles: named) }
        let own = RelaySetting.named("state")?.standard ?? ""
        let path = (own as NSString).expandingTildeInPath + "/tls/ca.pem"
        return TrustRoots(additionalFiles: FileManager.default.isReadableFile(atPath: path) ? [path] : [])
    }

    /// - Parameter relay: the person's own choice; an address literal in it is allowed.
    func allowed(with relay: String?) throws -> [AddressRange] {
        var ranges: [AddressRange] = []
        for text in allow + (variable("DSIP_ALLOW")?.split(separator: ",").map(String.init) ?? []) {
            guard let range = AddressRange(text.contains("/") ? text : text + (text.contains(":") ? "/128" : "/32"))
            else {
                throw CommandFailure(.usage, "“\(text)” is no address or range; one looks like 192.168.0.0/16.")
            }
            ranges.append(range)
        }
        if let host = relay.flatMap({ try? RelayAddress($0) })?.host {
            let hosts =
                host == "localhost" ? ["127.0.0.1/32", "::1/128"] : [host + (host.contains(":") ? "/128" : "/32")]
            ranges += hosts.compactMap { AddressRange($0) }
        }
        return ranges
    }

    /// Where a development relay listens that was started without settings.
    static let standardRelay = "wss://127.0.0.1:7443/dsip"
}
