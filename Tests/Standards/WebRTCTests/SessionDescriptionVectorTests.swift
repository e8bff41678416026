import Foundation
import Support
import Testing
import WebRTC

@Suite("Published session descriptions") struct SessionDescriptionVectorTests {
    /// Files that are not session descriptions by RFC 8866, each with why. Everything else must parse.
    static let refused: [String: WebRTCError.Code] = [
        "gortc/sdp_session_ex_lasttiming.txt": .badLine,  // z= before t=
        "gortc/sdp_session_ex_media_unknown_type.txt": .badLine,  // line letters outside ASCII
        "gortc/sdp_session_no_media_fmt.txt": .missingLine,  // no t=, and m= without a format
        "gortc/spd_session_ex2.txt": .badValue,  // v=1337
        // Fragments without v=, o=, s=, t=.
        "gortc/spd_session_ex_attributes.txt": .missingLine, "gortc/spd_session_ex_bandwidth.txt": .missingLine,
        "gortc/spd_session_ex_ip.txt": .missingLine, "gortc/spd_session_ex_keys.txt": .missingLine,
        "gortc/spd_session_ex_media.txt": .missingLine, "gortc/spd_session_ex_name.txt": .missingLine,
        "gortc/spd_session_ex_raw.txt": .badLine, "gortc/spd_session_ex_repeat.txt": .missingLine,
        "gortc/spd_session_ex_uri.txt": .missingLine,
        "mozilla/08.sdp": .badValue,  // a fingerprint too short for its hash
        "mozilla/11.sdp": .badValue,  // a=ice-lite in a section
        "mozilla/21.sdp": .badValue,  // a=mid for the session
        "sdp-transform/invalid.sdp": .badLine,  // f=
        // c= before s=
        "sdp-transform/mediaclk-avbtp.sdp": .missingLine, "sdp-transform/mediaclk-ptp-v2-w-rate.sdp": .missingLine,
        "sdp-transform/mediaclk-rtp.sdp": .missingLine,
        // Examples that leave out t=.
        "sdp-transform/tcp-active.sdp": .missingLine, "sdp-transform/tcp-passive.sdp": .missingLine,
        // v=1, then descriptions of RFC 2327 times without o=, s= or t=.
        "sofia/message-1.sdp": .badValue, "sofia/message-4.sdp": .missingLine, "sofia/message-5.sdp": .missingLine,
        "sofia/message-6.sdp": .missingLine, "sofia/message-7.sdp": .missingLine, "sofia/message-8.sdp": .missingLine,
    ]
    /// c= after t=, which is read, and written where it belongs.
    static let reordered: Set = ["sdp-transform/extmap-encrypt.sdp", "sdp-transform/normal.sdp"]

    @Test("every published description parses and comes back byte for byte, or is refused for its known fault")
    func corpora() throws {
        let files = Vectors.files("sdp", extensions: ["sdp", "txt"]).filter { $0.lastPathComponent != "SOURCE.txt" }
        var accepted = 0
        for file in files {
            let name = file.pathComponents.suffix(2).joined(separator: "/")
            let bytes = try Self.read(file)
            let mustFail = name.contains("_err")
            do throws(WebRTCError) {
                let description = try SessionDescription(parsing: bytes)
                #expect(!mustFail && Self.refused[name] == nil, "\(name) was accepted")
                accepted += 1
                let written = description.serialized()
                #expect(try SessionDescription(parsing: written) == description, "\(name)")
                if !Self.reordered.contains(name) { #expect(Self.lines(written) == Self.lines(bytes), "\(name)") }
            } catch {
                #expect(mustFail || Self.refused[name] == error.code, "\(name): \(error)")
            }
        }
        guard Vectors.root != nil else { return }
        #expect(files.count == 110)
        #expect(accepted == 49)
        #expect(files.filter { $0.lastPathComponent.contains("_err") }.count == 33)
    }

    /// The `;` lines of that folder are remarks to its reader, not SDP.
    private static func read(_ file: URL) throws -> [UInt8] {
        let bytes = Array(try Data(contentsOf: file))
        guard file.path.contains("mozilla/") else { return bytes }
        return Array(
            bytes.split(separator: 0x0A, omittingEmptySubsequences: false).filter { $0.first != 0x3B }.joined(
                separator: [0x0A])
        )
    }

    private static func lines(_ text: String) -> [[UInt8]] { lines(Array(text.utf8)) }
    private static func lines(_ bytes: [UInt8]) -> [[UInt8]] {
        bytes.split(separator: 0x0A).map { Array($0.last == 0x0D ? $0.dropLast() : $0) }.filter { !$0.isEmpty }
    }
}
