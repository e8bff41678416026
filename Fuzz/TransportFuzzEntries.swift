import DSIPTransport
import NIOCore

/// The stream of `quic/1.0`, before anything in it is an envelope.
let transportFuzzEntries: [FuzzEntry] = [
    FuzzEntry("quic-stream", seeds: streamSeeds) { bytes in
        let whole = read(bytes, piece: bytes.count)
        precondition(whole == read(bytes, piece: 3), "a stream read in pieces is another")
        guard let whole else { return }
        var wire = ByteBuffer()
        for envelope in whole { EnvelopeReader.append(envelope, to: &wire) }
        precondition(
            read(Array(wire.readableBytesView), piece: 1200) == whole,
            "envelopes changed when written and read"
        )
    }
]

/// - Returns: the envelopes, or nil when the stream is refused.
private func read(_ bytes: [UInt8], piece: Int) -> [[UInt8]]? {
    var (reader, envelopes) = (EnvelopeReader(), [[UInt8]]())
    for start in stride(from: 0, to: bytes.count, by: max(1, piece)) {
        var part = ByteBuffer(bytes: bytes[start..<min(bytes.count, start + piece)])
        while let event = reader.next(&part) {
            guard case .message(let envelope) = event else { return nil }
            envelopes.append(envelope)
        }
        precondition(part.readableBytes == 0, "bytes were left unread")
    }
    return envelopes
}

private let streamSeeds: [[UInt8]] = [1, 63, 64, 700].map { size in
    var wire = ByteBuffer()
    for count in [size, 1, size] { EnvelopeReader.append([UInt8](repeating: 7, count: count), to: &wire) }
    return Array(wire.readableBytesView)
}
