import Encoding

/// What the running agent's host in the DHT is good for, and whether others can dial it.
extension Doctor {
    mutating func examineDHT(_ findings: Findings) async {
        guard let agent = findings.agent else { return report.add(.skipped("dht", because: "no agent is running")) }
        let network: JSONValue
        do {
            network = try await RunningAgentDoor(announcement: agent).call("network.get", ["examine": .bool(true)])
        } catch {
            return report.add(.failed("dht", "\(error)", next: "Start it anew: dsip up"))
        }
        let mode = network["dht"]?.string ?? "off"
        guard mode != "off" else {
            report.add(.ok("dht", "off; your relay is asked whom it knows"))
            return report.add(.skipped("reach", because: "the DHT is off"))
        }
        let hosts = network["hosts"]?.int ?? 0
        guard hosts > 0 else {
            report.add(
                .warning(
                    "dht",
                    "\(mode); no other host is known",
                    next: "Name one with dsip up --dht-bootstrap, or meet those of your network with --lan."
                )
            )
            return report.add(.skipped("reach", because: "nobody is there who could dial back"))
        }
        report.add(.ok("dht", "\(mode); \(hosts) other \(hosts == 1 ? "host is" : "hosts are") known"))
        report.add(Doctor.reach(network, isServer: mode == "server"))
    }

    private static func reach(_ network: JSONValue, isServer: Bool) -> DoctorCheck {
        let places = (network["reached_at"]?.array ?? []).prefix(2).compactMap(\.string).joined(separator: ", ")
        switch network["reach"]?.string {
        case "direct": return .ok("reach", "direct: others dialled this machine at \(places)")
        case "hole-punched": return .ok("reach", "hole-punched: through \(places) at first, then directly")
        case "relayed": return .ok("reach", "relayed: others come through \(places)")
        case "unreachable":
            return isServer
                ? .warning(
                    "reach",
                    "nobody can dial this machine, and no host relays for it",
                    next: "Open the port of --dht-listen in the router, or be a client: dsip up --dht client"
                ) : .ok("reach", "nobody can dial this machine; as a client it need not be dialled")
        default: return .ok("reach", "not known: fewer than four hosts could be asked to dial back")
        }
    }
}
