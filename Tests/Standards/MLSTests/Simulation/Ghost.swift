import Support

@testable import MLS

/// A removed member that kept its state and goes on listening, with all that is public handed to it: it must learn nothing, and
/// nobody must take anything from it.
struct Ghost {
    let id: Int
    /// As it was before its removal.
    let kept: Group
    /// The epoch its removal led to.
    let removedAt: UInt64

    /// The ghost as if it were in the epoch of `present`: with that epoch's public state and the secrets it kept.
    private func disguised(as present: PublicGroup) -> Group {
        var ghost = kept
        ghost.publicGroup = present
        ghost.status = .active
        ghost.proposals = ProposalQueue()
        ghost.pendingCommit = nil
        return ghost
    }

    /// Tries to read a message of an epoch it is no member of.
    ///
    /// - Returns: what it learnt, which is a violation.
    func read(_ message: MLSMessage, in present: PublicGroup, at now: UInt64) -> String? {
        for status in [Group.Status.active, .removed] {
            var ghost = disguised(as: present)
            ghost.status = status
            guard (try? ghost.process(message, at: now)) != nil else { continue }
            // A joiner's commit is public. That it removes whoever holds the ghost's old leaf takes no secret to see.
            if status == .active, ghost.status == .removed, ghost.epochAuthenticator.isEmpty { continue }
            return "read a message of epoch \(present.context.epoch)"
        }
        guard case .privateMessage(let frame) = message else { return nil }
        for secret in [kept.secrets.senderData] + kept.pastEpochs.map(\.senderData)
        where (try? frame.value.message.openSenderData(secret, kept.suite)) != nil {
            return "read the sender data of epoch \(present.context.epoch)"
        }
        return nil
    }

    /// Tries its message keys on a message whose sender and generation it was told.
    func open(_ message: MLSMessage, from leaf: LeafIndex, generation: UInt32, guard reuseGuard: UInt32) -> String? {
        guard case .privateMessage(let frame) = message else { return nil }
        let senderData = PrivateMessage.SenderData(leafIndex: leaf, generation: generation, reuseGuard: reuseGuard)
        for var tree in [kept.secretTree] + kept.pastEpochs.map(\.secretTree) {
            for kind in [SecretTree.Kind.application, .handshake] {
                guard let key = try? tree.key(kind, of: leaf, at: generation, .init(), kept.suite) else { continue }
                if (try? frame.value.message.openContent(senderData, key, kept.suite)) != nil {
                    return "opened a message with a key it kept"
                }
            }
        }
        return nil
    }

    /// Tries every private key it kept on every secret of a path, and its init secret on the epoch that came of it.
    ///
    /// - Parameter context: what the path's secrets are sealed under.
    func open(_ path: UpdatePath?, _ context: GroupContext, to next: PublicGroup) -> String? {
        let suite = kept.suite
        let preparation = suite.prepareEncryption("UpdatePathNode", context.encoded)
        for secret in path?.nodes.flatMap(\.secrets) ?? [] {
            for key in [kept.keys.leaf] + kept.keys.parents.values
            where (try? suite.decrypt(secret, with: key, preparation)) != nil {
                return "opened a path secret of epoch \(context.epoch)"
            }
        }
        for commitSecret in [Secret.zeros(suite.hash.byteCount), kept.secrets.initSecret] {
            let joiner = JoinerSecret(
                initSecret: kept.secrets.initSecret,
                commitSecret: commitSecret,
                next.context,
                suite
            )
            let guess = joiner.epochSecrets(.zeros(suite.hash.byteCount), next.context, suite)
            if guess.confirmationTag(next.context, suite) == next.confirmationTag {
                return "derived epoch \(next.context.epoch)"
            }
        }
        return nil
    }

    /// Looks for the present secrets of a member in all that it kept.
    func holds(secretsOf member: Group) -> String? {
        if kept.secrets.exporter == member.secrets.exporter || kept.secrets.initSecret == member.secrets.initSecret {
            return "holds a secret of epoch \(member.epoch)"
        }
        let state = kept.saved.bytes
        let secrets = member.secrets
        let wanted = [
            secrets.senderData, secrets.exporter, secrets.external, secrets.membershipKey, secrets.initSecret,
            secrets.epochAuthenticator, secrets.confirmationKey, secrets.resumptionPSK,
        ].map(\.bytes)
        for at in state.indices.dropLast(31) {
            for secret in wanted where state[at] == secret[0] && state[at...].starts(with: secret) {
                return "holds a secret of epoch \(member.epoch)"
            }
        }
        return nil
    }

    /// A message it makes in the epoch of `present`, which no member may take.
    func speak(in present: PublicGroup, using random: inout SeededRandom) -> MLSMessage? {
        var ghost = disguised(as: present)
        return try? ghost.protect(Array("I was never away".utf8), using: &random)
    }
}
