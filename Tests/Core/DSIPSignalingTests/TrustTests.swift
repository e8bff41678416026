import DSIPIdentity
import DSIPTrust
import Encoding
import Testing

@Suite("The basis of verification")
struct TrustTests {
    @Test(
        "a line names the basis",
        arguments: [
            ("did:key:z6Mk", "Self-issued identity"), ("did:web:a.example", "Domain verified (did:web:a.example)"),
            ("did:jwk:eyJ", "Self-issued identity"),
            ("did:webvh:Qm1:a.example", "Signed log (did:webvh:Qm1:a.example)"),
            ("did:dht:abc", "Self-issued identity, its document in a signed zone"),
            ("did:ion:abc:def", "Self-issued identity, as it was created"),
            ("did:plc:abc", "Unrecognized identity method"),
        ]
    )
    func basis(_ did: String, _ line: String) throws {
        #expect(TrustBasis.lines(identity: try #require(DID(did))) == [line])
    }

    @Test("a telephone claim outranks the gateway that carries it, and brings the caller's line")
    func telephone() throws {
        let claim: JSONObject = [
            "type": "tel", "number": "+15551234567", "attestation": "A", "verified": true,
            "verifier": "did:web:gw.example", "cnam": "ACME",
        ]
        #expect(
            TrustBasis.lines(identity: try #require(DID("did:web:gw.example")), claims: [["type": "brand"], claim]) == [
                "Gateway attested by gw.example · STIR attestation A (verified)", "PSTN caller +15551234567 · ACME",
            ]
        )
    }

    @Test("an attestation that is none of STIR's counts as none")
    func noAttestation() {
        let claim: JSONObject = ["type": "tel", "number": "+1", "attestation": "Z", "verifier": "did:web:gw.example"]
        #expect(TelephoneClaim(claim)?.basis == "Gateway attested by gw.example · no attestation")
    }

    @Test("no line ever carries a tick, whatever the claims say")
    func neverATick() throws {
        let claim: JSONObject = ["type": "verified", "badge": "✓"]
        for line in TrustBasis.lines(identity: try #require(DID("did:key:z6Mk")), claims: [claim]) {
            #expect(!line.contains("✓") && !line.contains("✔"))
        }
    }

    @Test("losses at a gateway are joined in the order given")
    func downgrade() {
        #expect(
            GatewayDowngrade.line(losses: ["no-srtp-on-trunk", "no-attestation"])
                == "Trust downgraded crossing the gateway (§6.3): media is not encrypted on the PSTN trunk; "
                + "the caller carried no verified attestation"
        )
    }
}
