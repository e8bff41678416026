import DSIPIdentity
import DSIPSignaling

/// Looks for a subject's hint at many places at once: cache, relay, overlay and Pkarr are asked together and read as they answer.
///
/// The first live hint is told at once, so that dialing can begin; a better one is told after it, and the selection is final only when
/// all have answered or the time is up (hints profile §5: all records are collected, the winner selected by DSIP §8.3). Places that
/// held something older, or nothing, are then given the winner. Fed and drained:
///
/// ```swift
/// var search = HintSearch(subject, asking: [.cache, .overlay], until: now + 4, verifier: verifier)
/// search.answered(.overlay, records: values, at: now)
/// while let output = search.pollOutput() { … }
/// ```
public struct HintSearch: Sendable {
    public enum Place: Hashable, Sendable {
        case cache
        case relay(String)
        case overlay
        case pkarr(String)
        case mainline

        /// Whether zones of keys are kept there.
        var keepsZones: Bool {
            switch self {
            case .pkarr, .mainline: true
            case .cache, .relay, .overlay: false
            }
        }
    }

    public enum Output: Hashable, Sendable {
        /// The best so far; the first, or better than the one before.
        case candidate(FoundHint)
        /// Two live hints that claim one `seq`; the one that came first stands, and the person should know.
        case conflict(FoundHint, FoundHint)
        /// Give `bytes` to a place that has nothing as new.
        case repair(Place, bytes: [UInt8])
        /// Nothing more comes; nil when nobody had a live hint.
        case finished(FoundHint?)
    }

    /// Records read of one answer; the rest is passed over.
    public static let maximumRecords = 32
    public static let maximumPlaces = 16

    public let subject: DID
    /// Unix seconds.
    public let deadline: Int64
    /// Answers that did not verify.
    public private(set) var refused = 0
    private let verifier: HintVerifier
    private var waiting: Set<Place>
    /// What each place told last, by its payload; nil for nothing.
    private var told: [Place: [UInt8]?] = [:]
    private var records: FoundHint?
    private var packets: FoundHint?
    private var best: FoundHint?
    private var outputs: [Output] = []
    private var isFinished = false

    public init(_ subject: DID, asking places: [Place], until deadline: Int64, verifier: HintVerifier) {
        self.subject = subject
        self.deadline = deadline
        self.verifier = verifier
        self.waiting = Set(places.prefix(HintSearch.maximumPlaces))
    }

    public mutating func pollOutput() -> Output? { outputs.isEmpty ? nil : outputs.removeFirst() }

    /// A place of the overlay's records (§2) has answered.
    public mutating func answered(_ place: Place, records values: [[UInt8]], at now: Int64) {
        guard waiting.remove(place) != nil else { return }
        var newest: HintRecord?
        for value in values.prefix(HintSearch.maximumRecords) {
            guard let record = try? verifier.verify(value, at: now), record.subject == subject else {
                refused += 1
                continue
            }
            if record.seq > newest?.seq ?? .min { newest = record }
            HintSearch.take(FoundHint(record, from: place), into: &records, &outputs)
        }
        told[place] = .some(newest?.bytes)
        advance(to: now)
    }

    /// A place of Pkarr packets (§9) has answered; nil for nothing.
    public mutating func answered(_ place: Place, packet: [UInt8]?, at now: Int64) {
        guard waiting.remove(place) != nil else { return }
        told[place] = .some(nil)
        if let packet {
            if let hint = try? PkarrHint(packet, of: subject, at: now) {
                told[place] = packet
                HintSearch.take(FoundHint(hint, packet, from: place), into: &packets, &outputs)
            } else {
                refused += 1
            }
        }
        advance(to: now)
    }

    /// A place cannot be asked; it is not given anything either.
    public mutating func failed(_ place: Place, at now: Int64) {
        waiting.remove(place)
        advance(to: now)
    }

    /// Tells what is known at `now`, and ends at the deadline.
    public mutating func advance(to now: Int64) {
        guard !isFinished else { return }
        // Between the carriers, which number differently, the later issue is the newer word.
        let winner = [records, packets].compactMap { $0 }.filter { now < $0.expiresAt }
            .max { $0.issuedAt < $1.issuedAt }
        if let winner, winner != best {
            best = winner
            outputs.append(.candidate(winner))
        }
        guard waiting.isEmpty || now >= deadline else { return }
        isFinished = true
        repair()
        outputs.append(.finished(winner))
    }

    private mutating func repair() {
        for (place, held) in told {
            guard let winner = place.keepsZones ? packets : records, winner.bytes != held else { continue }
            outputs.append(.repair(place, bytes: winner.bytes))
        }
    }

    private static func take(_ hint: FoundHint, into held: inout FoundHint?, _ outputs: inout [Output]) {
        guard let old = held else {
            held = hint
            return
        }
        let precedence = HintPrecedence(of: hint.seq, over: old.seq, isSameContent: hint.isSame(as: old))
        if precedence.replaces { held = hint }
        if precedence.conflict == .sameSeqLive { outputs.append(.conflict(old, hint)) }
    }
}

/// A live hint, and where it was found. It chooses whom to dial; to people it is shown as a hint, never as authority.
public struct FoundHint: Hashable, Sendable {
    public let subject: DID
    public let endpoints: [ReachabilityHint.Endpoint]
    /// Within its carrier.
    let seq: Int64
    /// Unix seconds.
    public let issuedAt: Int64
    public let expiresAt: Int64
    public let place: HintSearch.Place
    /// As signed.
    public let bytes: [UInt8]

    init(_ record: HintRecord, from place: HintSearch.Place) {
        self.subject = record.subject
        self.endpoints = record.endpoints
        self.seq = record.seq
        self.issuedAt = record.issuedAt
        self.expiresAt = record.expiresAt
        self.place = place
        self.bytes = record.bytes
    }

    init(_ hint: PkarrHint, _ packet: [UInt8], from place: HintSearch.Place) {
        self.subject = hint.subject
        self.endpoints = hint.endpoints
        self.seq = Int64(clamping: hint.seq)
        self.issuedAt = hint.issuedAt
        self.expiresAt = hint.expiresAt
        self.place = place
        self.bytes = packet
    }

    fileprivate func isSame(as other: FoundHint) -> Bool {
        bytes == other.bytes || Envelope(bytes).map { $0.payloadText == Envelope(other.bytes)?.payloadText } ?? false
    }
}
