import Testing

@testable import DSIPMessaging

/// How much one commit takes. M§5.1, M§14.2
@Suite struct AdditionTests {
    private func size(_ commit: Int, _ welcome: Int, grants: Int = 0) -> CommitSize {
        var size = CommitSize(grants: Array(repeating: String(repeating: "g", count: 1000), count: grants))
        size.set([UInt8](repeating: 0, count: commit), welcome: [UInt8](repeating: 0, count: welcome))
        return size
    }

    @Test func `Grants take room beside the commit, and once more where its welcome is handed on`() {
        #expect(size(10_000, 3000).fits)
        #expect(size(10_000, 3000, grants: 3).fits)
        #expect(!size(10_000, 3000, grants: 8).fits)
        #expect(!size(MessagingProfile.maximumMLSBytes + 1, 100).fits)
        #expect(size(2000, 1000).fits(with: [UInt8](repeating: 0, count: 4000)))
        #expect(!size(2000, 1000).fits(with: [UInt8](repeating: 0, count: 20_000)))
    }
}
