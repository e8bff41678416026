import DSIPIdentity
import DSIPSignaling
import DSIPTransport
import Encoding
import Testing

@testable import DSIPRelay

@Suite("A relay that speaks quic/1.0", .serialized, .enabled(if: QUICBinding.isAvailable))
struct RelayQUICTests {
    @Test("devices go over to QUIC and keep their one line each; a call passes between them")
    func call() async throws {
        let harness = try await RelayHarness { $0.quic.enabled = true }
        let bob = key("bob")
        let alice = try await harness.connected("alice-phone", of: key("alice"))
        let phone = try await harness.connected("bob-phone", of: bob)
        for device in [alice, phone] {
            try await harness.until("a connection over QUIC") { device.bindings.last == QUICBinding.identifier }
            #expect(device.bindings == [Binding.identifier, QUICBinding.identifier])
        }
        try await harness.until("the old connections to be gone") { harness.metric("dsip_relay_connections") == 2 }
        let session = try await alice.invite(bob.did)
        #expect(try await phone.next(.invite).body.id == session)
        try await phone.say(Progress(.ringing, ringTimeout: 60), to: alice.did, session: session)
        #expect(try await alice.next(.progress).body.from == phone.did)
        await harness.relay.stop()
    }
}

extension TestDevice {
    /// What its connections came about by, in order.
    var bindings: [String] {
        states.compactMap { state in
            if case .connected(let relay) = state { relay.binding } else { nil }
        }
    }
}
