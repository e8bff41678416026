import Crypto
import DSIPIdentity
import DSIPMessaging
import DSIPTransport
import Encoding
import NIOConcurrencyHelpers
import NIOCore

/// Fetches blobs of other services over https: addresses that strangers chose, so each is held against the policy. M§8.4 rule 6
///
/// A few at a time; what waits is bounded, and what finds no room counts as not to be had for now, which is asked for again later.
final class BlobReplicator: Sendable {
    private struct State {
        var running = 0
        var waiting = CircularBuffer<@Sendable () async -> Void>()
        var isStopped = false
    }

    private static let atOnce = 8
    private static let maximumWaiting = 1024
    /// Bytes of a blob that is read into memory: a group's ratchet tree.
    private static let maximumRead: Int64 = 8 << 20

    private let store: BlobStore
    private let client: GuardedHTTPClient
    private let metrics: RelayMetrics
    private let state = NIOLockedValueBox(State())

    init(_ store: BlobStore, client: GuardedHTTPClient, metrics: RelayMetrics) {
        self.store = store
        self.client = client
        self.metrics = metrics
    }

    /// What waits is let go.
    func stop() async { state.withLockedValue { $0.isStopped = true } }

    /// Keeps the body when it is what `blob` says.
    func fetch(_ blob: BlobReference, _ done: @escaping @Sendable (BlobResponse) -> Void) {
        let isQueued = run { [self] in
            let response = await fetched(blob)
            metrics.replications.add(outcome(response, blob))
            done(response)
        }
        if !isQueued { done(BlobResponse(status: 0)) }
    }

    /// Reads a blob whole, from here or from where it is; nil when it is not to be had, or is not what `blob` says.
    func read(_ blob: BlobReference, _ done: @escaping @Sendable ([UInt8]?) -> Void) {
        let isQueued = run { [self] in done(await wholly(blob)) }
        if !isQueued { done(nil) }
    }

    private func outcome(_ response: BlobResponse, _ blob: BlobReference) -> String {
        if response.matches(sha256: blob.sha256, size: blob.size) { return "stored" }
        return response.status == 200 ? "mismatch" : "unavailable"
    }

    private func fetched(_ blob: BlobReference) async -> BlobResponse {
        do {
            let writer = try await store.run { folder throws(RelayError) in try folder.begin(size: blob.size) }
            let store = store
            let isTooLong = NIOLockedValueBox(false)
            do {
                let status = try await client.download(
                    blob.uri,
                    limit: blob.size,
                    timeout: BlobStore.patience(for: blob.size)
                ) { part throws(IdentityError) in
                    do throws(RelayError) {
                        if try await !store.write(part, to: writer) { isTooLong.withLockedValue { $0 = true } }
                    } catch {
                        throw IdentityError(.refused, error.reason)
                    }
                }
                let response = BlobResponse(status: status, sha256: writer.sha256, size: writer.written)
                guard response.matches(sha256: blob.sha256, size: blob.size), !isTooLong.withLockedValue({ $0 }) else {
                    await store.discard(writer)
                    return response
                }
                try await store.keep(writer, as: blob.sha256)
                return response
            } catch let error as IdentityError where error.code == .tooLarge {
                await store.discard(writer)
                // Other bytes than those named: the origin would serve them again.
                return BlobResponse(status: 200)
            } catch {
                await store.discard(writer)
                throw error
            }
        } catch {
            return BlobResponse(status: 0)
        }
    }

    private func wholly(_ blob: BlobReference) async -> [UInt8]? {
        guard blob.size <= BlobReplicator.maximumRead else { return nil }
        if let reader = try? await store.reader(blob.sha256), reader.size == blob.size {
            return try? await store.run { _ throws(RelayError) in try reader.read(Int(blob.size), at: 0) }
        }
        let body = NIOLockedValueBox<[UInt8]>([])
        let status = try? await client.download(blob.uri, limit: blob.size) { part in
            body.withLockedValue { $0.append(contentsOf: part.readableBytesView) }
        }
        let bytes = body.withLockedValue { $0 }
        guard status == 200, bytes.count == blob.size, Hex.encode(Array(SHA256.hash(data: bytes))) == blob.sha256 else {
            return nil
        }
        return bytes
    }

    /// - Returns: false when too much waits.
    private func run(_ work: @escaping @Sendable () async -> Void) -> Bool {
        let start: Bool? = state.withLockedValue { state in
            guard !state.isStopped, state.waiting.count < BlobReplicator.maximumWaiting else { return nil }
            guard state.running < BlobReplicator.atOnce else {
                state.waiting.append(work)
                return false
            }
            state.running += 1
            return true
        }
        guard let start else { return false }
        if start { Task { await self.drain(work) } }
        return true
    }

    private func drain(_ first: @escaping @Sendable () async -> Void) async {
        var next: (@Sendable () async -> Void)? = first
        while let work = next {
            await work()
            next = state.withLockedValue { state in
                if !state.isStopped, let work = state.waiting.popFirst() { return work }
                state.running -= 1
                return nil
            }
        }
    }
}
