import DSIPSignaling
import MLS

/// Whether a commit and what goes with it fit into the frames that they travel in: their own deposit, and that of the welcome, which
/// the hub sends on to each mailbox with the whole deposit as its `origin` and the grants beside it. M§5.1, M§14.2
struct CommitSize {
    /// People whom one commit adds at most; fewer, when they have many devices or long grants.
    static let people = 8

    private let grants: Int
    /// As they travel, encoded once.
    private(set) var commit: [UInt8] = []
    private(set) var welcome: [UInt8]?

    /// - Parameter grants: compact envelopes, as they go with the commit.
    init(grants: [String]) { self.grants = grants.reduce(0) { $0 + $1.utf8.count + 8 } }

    mutating func set(_ bundle: CommitBundle) { set(bundle.commit.encoded, welcome: bundle.welcome?.message.encoded) }

    mutating func set(_ commit: [UInt8], welcome: [UInt8]?) {
        (self.commit, self.welcome) = (commit, welcome)
    }

    var fits: Bool { fits(with: nil) }

    /// - Parameter info: the GroupInfo that goes with it, if any does.
    func fits(with info: [UInt8]?) -> Bool {
        let (commit, welcome, info) = (commit.count, welcome?.count ?? 0, info?.count ?? 0)
        guard max(commit, welcome, info) <= MessagingProfile.maximumMLSBytes else { return false }
        let deposit = (commit + welcome + info) * 4 / 3 + grants + 4096
        let origin = welcome == 0 ? 0 : deposit * 4 / 3 + 1024
        let handedOn = welcome == 0 ? 0 : origin + welcome * 4 / 3 + grants
        return max(deposit, handedOn) * 4 / 3 < ProtocolLimits.frame - 4096
    }
}
