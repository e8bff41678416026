import DSIPMessaging
import Support
import Testing

@Suite("A mailbox store") struct MailboxStoreTests {
    @Test("the store in memory keeps what every store promises")
    func memory() throws {
        let violations = try MailboxStoreSuite.violations(
            of: { MemoryMailboxStore() },
            reopening: { store in (store as? MemoryMailboxStore)?.reopened() ?? store }
        )
        #expect(violations.isEmpty, "\(violations)")
    }
}
