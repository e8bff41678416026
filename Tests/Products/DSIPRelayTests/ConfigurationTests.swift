import DSIPIdentity
import Foundation
import Testing

@testable import DSIPRelay

@Suite("Configuration")
struct ConfigurationTests {
    private func file(_ text: String) throws -> String {
        let path = NSTemporaryDirectory() + "relay-\(UUID().uuidString).jsonc"
        try text.write(toFile: path, atomically: true, encoding: .utf8)
        return path
    }

    @Test("options come before the environment, the environment before the file")
    func precedence() throws {
        let path = try file(
            #"{ "port": 1, "host": "192.0.2.1", "drain-seconds": 3, /* a */ "tls": {"names": ["a", "b"]}, }"#
        )
        let read = try RelayConfiguration.read(
            file: path,
            environment: ["DSIP_RELAY_PORT": "2", "DSIP_RELAY_HOST": "192.0.2.2", "HOME": "/h"],
            options: ["port": "3"]
        )
        #expect(read.port == 3)
        #expect(read.host == "192.0.2.2")
        #expect(read.drainSeconds == 3)
        #expect(read.tls.names == ["a", "b"])
        #expect(read.stateFolder == "/h/.local/state/dsip/relay")
    }

    @Test("what is wrong is said where it was written and with what to do")
    func sentences() throws {
        func sentence(_ text: String?, _ environment: [String: String] = [:]) throws -> String {
            do {
                _ = try RelayConfiguration.read(file: text.map(file), environment: environment)
                return "accepted"
            } catch let error as RelayError {
                #expect(error.code == .configuration)
                return error.reason
            }
        }
        #expect(try sentence(#"{"prt": 1}"#).contains("perhaps port is meant"))
        #expect(try sentence(#"{"tls": {"certificat": "x"}}"#).contains("perhaps tls.certificate is meant"))
        #expect(try sentence(#"{"port": "x"}"#).contains("port in "))
        #expect(try sentence(nil, ["DSIP_RELAY_PORT": "many"]).contains("DSIP_RELAY_PORT is not a whole number"))
        #expect(try sentence(nil, ["DSIP_RELAY_PORTT": "1"]).contains("perhaps DSIP_RELAY_PORT is meant"))
        #expect(try sentence(nil, ["DSIP_RELAY_PORT": "70000"]).contains("0 to 65535"))
        #expect(try sentence(#"{"tls": {"certificate": "x"}}"#).contains("belong together"))
        #expect(try sentence(#"{"hostname": "https://relay.example.com"}"#).contains("without scheme or path"))
        #expect(try sentence(#"{"scope": {"kind": "private"}}"#).contains("scope.serves"))
        #expect(try sentence(#"{"scope": {"kind": "secret"}}"#).contains("open, private or closed"))
        #expect(try sentence(#"{"scope": {"kind": "closed", "serves": ["bob"]}}"#).contains("is no DID"))
        #expect(try sentence("[1]").contains("does not hold an object"))
        #expect(try sentence("{").contains("is not JSON"))
        #expect(try sentence(#"{"log": {"level": "loud"}}"#).contains("trace, debug"))
    }

    @Test("every setting has its own option and variable, and the example file sets every key to its default")
    func table() throws {
        #expect(Set(RelaySetting.all.map(\.environment)).count == RelaySetting.all.count)
        #expect(Set(RelaySetting.all.map(\.option)).count == RelaySetting.all.count)
        let example = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
            .deletingLastPathComponent().deletingLastPathComponent().appending(path: "docs/relay.example.jsonc")
        let text = try String(contentsOf: example, encoding: .utf8)
        for setting in RelaySetting.all {
            let leaf = setting.key.split(separator: ".").last!
            #expect(text.contains("\"\(leaf)\""), "\(setting.key) is missing in the example")
        }
        let read = try RelayConfiguration.read(file: example.path, environment: ["HOME": "/h"])
        let standard = RelayConfiguration(stateFolder: "/h/.local/state/dsip/relay")
        #expect(read.limits == standard.limits && read.holding == standard.holding && read.names == standard.names)
        #expect(read.stun == standard.stun && read.tls == standard.tls && read.scope == standard.scope)
        #expect(read.stateFolder == standard.stateFolder && read.port == standard.port && read.host == standard.host)
    }

    @Test("authorities are host names with a port, and name did:webs")
    func authority() {
        #expect(Authority("Relay.Example.com")?.did.string == "did:web:relay.example.com")
        #expect(Authority("localhost:7443")?.did.string == "did:web:localhost%3A7443")
        #expect(Authority("localhost:443")?.signaling == "wss://localhost/dsip")
        #expect(Authority("localhost:7443")?.did(of: "al.ice")?.string == "did:web:localhost%3A7443:users:al.ice")
        for bad in ["", "a b", "-a", "a-", "a..b", "host:0", "host:x", "host:1:2", "a/b", "héte.example", "[::1]"] {
            #expect(Authority(bad) == nil, "\(bad)")
        }
    }
}
