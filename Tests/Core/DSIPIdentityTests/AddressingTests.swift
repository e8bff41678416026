import Encoding
import Foundation
import Support
import Testing

@testable import DSIPIdentity

@Suite("Aliases") struct AliasTests {
    @Test("an alias is asked for by WebFinger at its host")
    func url() throws {
        let alias = try #require(Alias("@Alice@Example.COM:8443"))
        #expect(alias.description == "Alice@example.com:8443")
        #expect(
            alias.webFingerURL
                == "https://example.com:8443/.well-known/webfinger?resource=acct%3AAlice%40example.com%3A8443"
        )
        #expect(Alias("acct:alice@example.com") == Alias("alice@example.com"))
    }

    @Test(
        "what is no alias",
        arguments: [
            "", "@", "alice", "alice@", "@example.com", "a@b@c", "al ice@example.com", "alice@127.0.0.1",
            "alice@exa mple", "älice@example.com", "alice@ex/ample",
        ]
    )
    func malformed(text: String) { #expect(Alias(text) == nil) }

    @Test("a name of a ledger is read in lower case, and only what no other name looks like")
    func ledgerNames() throws {
        let alias = try #require(Alias(ledger: "Alice.ETH"))
        #expect(alias.form == .ledger && alias.description == "alice.eth" && alias == Alias(ledger: "alice.eth"))
        #expect(try #require(Alias(ledger: "a.b.example-1")).host == "b.example-1")
        #expect(Alias(ledger: "_x.alice.eth")?.user == "_x")
        #expect(Alias("alice.eth") == nil && alias != Alias("alice@eth"))
        for bad in [
            "alice", "alice.", ".eth", "a..eth", "älice.eth", "al ice.eth", "alice@eth", "xn--lice-5qa.eth", "-a.eth",
            "a-.eth", "a_b.eth", "_.eth", "127.0.0.1", "a.0x1", "a$.eth", "a.b.c.d.e.f.g.h.i",
            String(repeating: "a", count: 64) + ".eth",
        ] {
            #expect(Alias(ledger: bad) == nil, "\(bad)")
        }
    }

    @Test("the DID is found in our relation, then self, then the subject, then the aliases")
    func places() throws {
        func parse(_ json: String) throws -> ResolvedAlias { try WebFinger.parse(Array(json.utf8)) }
        let links = #"{"rel":"https://dsip.org/rel/did","href":"did:web:a"},{"rel":"self","href":"did:web:b"}"#
        #expect(
            try parse(#"{"subject":"did:web:c","aliases":["did:web:d"],"links":[\#(links)]}"#).did.string == "did:web:a"
        )
        #expect(
            try parse(#"{"subject":"did:web:c","links":[{"rel":"self","href":"did:web:b"}]}"#).did.string == "did:web:b"
        )
        #expect(try parse(#"{"subject":"did:web:c","aliases":["did:web:d"]}"#).did.string == "did:web:c")
        #expect(
            try parse(#"{"subject":"acct:a@b","aliases":["https://x","did:web:d"],"links":7}"#).did.string
                == "did:web:d"
        )
        #expect(throws: IdentityError(.refused, "")) { try parse(#"{"aliases":["did:web:d","did:web:e"]}"#) }
        #expect(throws: IdentityError(.notFound, "")) { try parse(#"{"subject":"acct:a@b"}"#) }
        #expect(throws: IdentityError(.malformed, "")) { try parse("[]") }
    }

    @Test("the answer that is written is the answer that is read")
    func roundTrip() async throws {
        let alias = try #require(Alias("bob@example.com"))
        let key = SigningKey(seeded: 5)
        let fetcher = TableFetcher()
        fetcher.answer(
            alias.webFingerURL,
            WebFinger.document(for: alias, did: key.did, relay: "wss://r.example/dsip").text
        )
        let resolved = try await WebFinger.resolve(alias, fetcher: fetcher)
        #expect(resolved == ResolvedAlias(did: key.did, relay: "wss://r.example/dsip"))
        let bad = WebFinger.document(for: alias, did: key.did, relay: "http://r.example")
        #expect(try WebFinger.parse(bad.utf8).relay == nil)
    }

    @Test("relay URLs are wss, with a host and nothing that hides one")
    func relayURLs() {
        for good in [
            "wss://r.example", "wss://r.example:8443/dsip?x=1", "wss://127.0.0.1:9", "wss://[::1]:443/",
            "wss://localhost",
        ] {
            #expect(RelayURL.isValid(good), "\(good)")
        }
        for bad in [
            "", "ws://r.example", "https://r.example", "wss://", "wss:///x", "wss://user@r.example",
            "wss://r.example#x", "wss://r.example:0",
            "wss://r.example:99999", "wss://[::1", "wss://[1.2.3.4]", "wss://r ex", "wss://r\n", "wss://300.1.1.1",
            "wss://r.example/" + String(repeating: "a", count: 512),
        ] {
            #expect(!RelayURL.isValid(bad), "\(bad)")
        }
    }
}

@Suite("dsip: links") struct IdentityURITests {
    @Test("links read back as they were written, for any text in them")
    func roundTrip() throws {
        var random = SeededRandom(seed: 77)
        let alphabet = Array("aÄ漢🙂 &=?#%+/'\"<>;:@")
        for i in 0..<200 {
            let name =
                "n"
                + String(
                    (0..<Int.random(in: 0...20, using: &random)).map { _ in alphabet.randomElement(using: &random)! }
                )
            let target: IdentityURI.Target =
                i % 2 == 0 ? .did(SigningKey(seeded: UInt8(i)).did) : .alias(Alias("bob+x@example.com:\(i + 1)")!)
            let link = IdentityURI(
                target,
                relay: i % 3 == 0 ? "wss://relay.example:8443/dsip?a=b&c=%20" : nil,
                name: name,
                token: i % 5 == 0 ? "t-._~0" : nil
            )
            #expect(try IdentityURI(parsing: link.description) == link, "\(link)")
            #expect(link.description.utf8.allSatisfy { $0 > 0x20 && $0 < 0x7f })
        }
    }

    @Test("what people type is read: links, DIDs, names")
    func entered() throws {
        let did = SigningKey(seeded: 1).did
        #expect(try IdentityURI(entered: " \n\(did)\t").target == .did(did))
        #expect(try IdentityURI(entered: "alice@example.com").target == .alias(Alias("alice@example.com")!))
        #expect(try IdentityURI(entered: " Alice.eth ").target == .alias(Alias(ledger: "alice.eth")!))
        #expect(try IdentityURI(parsing: "dsip:alice.eth").description == "dsip:alice.eth")
        #expect(try IdentityURI(entered: "DSIP:\(did)?future=1&name=A%20B").name == "A B")
        for bad in ["", "alice", "https://example.com", "dsip:", "dsip:alice"] {
            #expect(throws: IdentityError(.malformed, "")) { try IdentityURI(entered: bad) }
        }
    }

    @Test(
        "doubtful links are refused",
        arguments: [
            "dsip:did:key", "dsip:did:web:a?relay=ws://x", "dsip:did:web:a?relay", "dsip:did:web:a?name=%",
            "dsip:did:web:a?name=%FF",
            "dsip:did:web:a?name=%0A", "dsip:did:web:a?name=%E2%80%AEevil", "dsip:did:web:a?name=",
            "dsip:did:web:a?name=a&name=b",
            "dsip:did:web:a?token=%20", "dsip:did:web:a#x", "dsip:did:web:a/x", "dsip://did:web:a",
        ]
    )
    func refused(text: String) {
        #expect(throws: IdentityError(.malformed, "")) { try IdentityURI(parsing: text) }
    }

    @Test("a link that is too long is not looked at; random text never faults")
    func bounds() {
        #expect(throws: IdentityError(.tooLarge, "")) {
            try IdentityURI(parsing: "dsip:did:web:a?name=" + String(repeating: "a", count: 3000))
        }
        var random = SeededRandom(seed: 3)
        let base = Array("dsip:did:web:a?relay=wss%3A%2F%2Fr&name=x&token=t".utf8)
        for _ in 0..<3000 {
            var bytes = base
            for _ in 0..<3 {
                bytes[Int.random(in: 0..<bytes.count, using: &random)] = UInt8.random(in: 0...255, using: &random)
            }
            _ = try? IdentityURI(entered: String(decoding: bytes, as: UTF8.self))
        }
    }
}

@Suite("QR codes") struct QRCodeTests {
    let link =
        "dsip:did:key:z6MkhzX9qTeXBWkucyMVric1E9JrqUD5LPAkD2BNavakAptf?relay=wss%3A%2F%2Frelay.example%2Fdsip&name=Alice"

    @Test("a code has its three finder patterns and timing lines")
    func structure() throws {
        let code = try QRCode(link)
        #expect((code.size - 17).isMultiple(of: 4))
        for (x0, y0) in [(0, 0), (code.size - 7, 0), (0, code.size - 7)] {
            for y in 0..<7 {
                for x in 0..<7 {
                    let ring = max(abs(x - 3), abs(y - 3))
                    #expect(code.isDark(x: x0 + x, y: y0 + y) == (ring != 2))
                }
            }
        }
        for i in 8..<code.size - 8 { #expect(code.isDark(x: i, y: 6) == i.isMultiple(of: 2)) }
        #expect(!code.isDark(x: -1, y: 0) && !code.isDark(x: 0, y: code.size))
    }

    @Test("the drawings hold the modules and the quiet zone, and the label is escaped")
    func drawings() throws {
        let code = try QRCode(link, correction: .low)
        let svg = code.svg(label: #"<"A" & B>"#)
        #expect(svg.contains(#"aria-label="&lt;&quot;A&quot; &amp; B&gt;""#) && svg.contains(#"role="img""#))
        #expect(svg.contains("viewBox=\"0 0 \(code.size + 8) \(code.size + 8)\""))
        let lines = code.terminal().split(separator: "\n", omittingEmptySubsequences: false)
        #expect(lines.count == (code.size + 9) / 2 && lines.allSatisfy { $0.count == code.size + 8 })
        #expect(lines[0].allSatisfy { $0 == "█" })
        #expect(
            code.terminal(onDark: false).split(separator: "\n", omittingEmptySubsequences: false)[0].allSatisfy {
                $0 == " "
            }
        )
        for (row, line) in lines.enumerated() {
            for (column, block) in line.enumerated() {
                let top = !code.isDark(x: column - 4, y: 2 * row - 4)
                #expect((block == "█" || block == "▀") == top)
            }
        }
    }

    @Test("text that does not fit is refused")
    func tooLong() {
        #expect(throws: IdentityError(.tooLarge, "")) { try QRCode(String(repeating: "a", count: 5000)) }
        #expect(throws: IdentityError(.tooLarge, "")) { try QRCode("") }
    }
}
