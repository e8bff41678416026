import DSIPDialect03
import DSIPIdentity
import DSIPMessaging
import DSIPSignaling
import DSIPTransport
import Encoding
import Foundation
import Synchronization
import Testing

/// Somebody who speaks the proposal and nothing else: JSON as it writes it, over `dsip.v0.3+json`.
final class ProposalPeer: Sendable {
    let key: SigningKey
    private let client: SignalingClient
    private let received = Mutex<[JSONValue]>([])
    private let isConnected = Mutex(false)

    init(at relay: TestRelay, as key: SigningKey = SigningKey(), speaking subprotocol: Subprotocol = .proposalJSON)
        throws
    {
        self.key = key

        var configuration = SignalingClient.Configuration(
            try RelayAddress(relay.url),
            key: key,
            clock: { Int64(Date().timeIntervalSince1970) }
        )
        configuration.roots = TrustRoots(additionalFiles: relay.rootPath.map { [$0] } ?? [])
        configuration.codecs = [ProposalCodec.json, ProposalCodec.cbor]
        configuration.subprotocol = subprotocol
        // Envelopes are verified; what is in them the tests read as it came.
        configuration.policy.supported = configuration.policy.supported.withRatchet()
        configuration.profiles = .ratchet.joined(
            with: ProfileReader(["accepted"]) { payload throws(ProfileReader.Refusal) in payload.value }
        )
        client = SignalingClient(configuration, source: SelfCertifyingSource())
    }

    var did: DID { key.did }

    func connect() async throws {
        Task { await self.client.run() }
        Task {
            for await event in self.client.events {
                switch event {
                case .state(.connected): self.isConnected.withLock { $0 = true }
                case .message(let message): self.note(message.envelope)
                case .profile(let message): self.note(message.envelope)
                case .rejected(let rejection): Issue.record("rejected: \(rejection)")
                case .state, .networkChanged: break
                }
            }
        }
        try await until("the 0.3 peer is connected") { self.isConnected.withLock { $0 } }
    }

    private func note(_ envelope: Envelope) {
        #expect(envelope.form == .proposal)
        if let said = ProposalCodec.message(in: envelope) { received.withLock { $0.append(said) } }
    }

    func close() { client.close() }

    /// Adds id, time and parties to what is said.
    func say(_ type: String, to recipient: DID? = nil, _ members: JSONObject) async throws {
        var message: JSONObject = ["type": .string(type)]
        if let recipient {
            message["id"] = members["id"] ?? .string(UUID().uuidString.lowercased())
            message["ts"] = .int(Int64(Date().timeIntervalSince1970))
            message["from"] = .string(did.string)
            message["to"] = .string(recipient.string)
        }
        for member in members.members { message[member.name] = member.value }
        try await client.send(ProposalCodec.json.sign(message, by: key))
    }

    func next(_ type: String, where holds: (JSONValue) -> Bool = { _ in true }) async throws -> JSONValue {
        var found: JSONValue?
        try await until("\(type) at the 0.3 peer’s", within: .seconds(60)) {
            found = self.received.withLock { list in
                guard let index = list.firstIndex(where: { $0["type"]?.string == type && holds($0) }) else {
                    return nil
                }
                return list.remove(at: index)
            }
            return found != nil
        }
        return try #require(found)
    }

    func invite(_ recipient: DID) async throws -> String {
        let id = UUID().uuidString.lowercased()
        try await say(
            "dsip.invite",
            to: recipient,
            [
                "id": .string(id), "cap": ["ver": "1.0", "features": ["webrtc", "e2ee"]],
                "media": ["sdp": .string(SDP.offer), "codecs": ["opus/48000/2"]],
                "net": ["ice": ["ufrag": "alce", "pwd": "0123456789012345678901"], "candidates": []],
                "identity": [
                    "proof": "DIDAuth-JWS", "credentials": [], "rcid": ["type": "rcid.v1", "displayName": "Carol"],
                ],
                "economics": ["rate_msat_per_sec": 0, "dest": nil],
            ]
        )
        return id
    }
}
