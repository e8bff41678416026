import NIOCore
import Testing

@testable import DSIPTransport

@Suite struct EnvelopeReaderTests {
    @Test(
        "envelopes of every size come out as they went in, however the stream is cut",
        arguments: [1, 7, 1200, 1 << 20]
    )
    func roundTrip(piece: Int) throws {
        let envelopes = [1, 0x3f, 0x40, 0x3fff, 0x4000, Binding.maximumEnvelopeBytes].map {
            [UInt8](repeating: 7, count: $0)
        }
        var wire = ByteBuffer()
        for envelope in envelopes { EnvelopeReader.append(envelope, to: &wire) }
        var reader = EnvelopeReader()
        var read: [[UInt8]] = []
        while var part = wire.readSlice(length: min(piece, wire.readableBytes)), part.readableBytes > 0 {
            while case .message(let envelope)? = reader.next(&part) { read.append(envelope) }
            #expect(part.readableBytes == 0)
        }
        #expect(read == envelopes)
    }

    @Test("an envelope over the limit, or none at all, is refused by its length")
    func limits() {
        for (bytes, code) in [
            ([0x80, 0x01, 0x00, 0x01], CloseCode.tooLarge), ([0xff] + Array(repeating: 0xff, count: 7), .tooLarge),
            ([0x00], .protocolError), ([0x40, 0x00], .protocolError),
        ] as [([UInt8], CloseCode)] {
            var reader = EnvelopeReader()
            var buffer = ByteBuffer(bytes: bytes)
            guard case .violation(let found)? = reader.next(&buffer) else {
                Issue.record("\(bytes) was accepted")
                continue
            }
            #expect(found == code)
        }
    }

    @Test("a length in more bytes than it needs counts all the same")
    func longForm() throws {
        var reader = EnvelopeReader()
        var buffer = ByteBuffer(bytes: [0xc0, 0, 0, 0, 0, 0, 0, 2, 1, 2])
        guard case .message(let envelope)? = reader.next(&buffer) else {
            Issue.record("refused")
            return
        }
        #expect(envelope == [1, 2])
    }
}
