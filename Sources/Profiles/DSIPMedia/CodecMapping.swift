import WebRTC

/// The codec identifiers of the binding and what they are called in SDP. B§3.4
enum CodecMapping {
    private struct Row: Sendable {
        let id: String
        let encoding: String
        let clockRate: UInt32
        let channels: UInt8?
    }

    private static let table = [
        Row(id: "codec:audio/opus", encoding: "opus", clockRate: 48_000, channels: 2),
        Row(id: "codec:video/h264", encoding: "h264", clockRate: 90_000, channels: nil),
        Row(id: "codec:video/vp8", encoding: "vp8", clockRate: 90_000, channels: nil),
        Row(id: "codec:video/av1", encoding: "av1", clockRate: 90_000, channels: nil),
    ]

    /// Whether the section carries the codec: an `a=rtpmap`, under a payload type that the `m=` line lists.
    ///
    /// An identifier outside the table goes by its last part, as registered identifiers carry the encoding's name there.
    static func carries(_ section: MediaSection, _ id: String) -> Bool {
        guard let slash = id.firstIndex(of: "/"), id[..<slash] == "codec:\(section.kind)" else { return false }
        let row = table.first { $0.id == id }
        let encoding = row?.encoding ?? id[id.index(after: slash)...].lowercased()
        return listed(section).contains { map in
            map.encoding.lowercased() == encoding
                && (row.map { $0.clockRate == map.clockRate && $0.channels ?? 1 == map.channels ?? 1 } ?? true)
        }
    }

    /// The identifiers of the table that a section carries, in the section's order of preference.
    static func identifiers(of section: MediaSection) -> [String] {
        let maps = listed(section)
        var ids: [String] = []
        for format in section.formats {
            guard let map = maps.first(where: { String($0.payloadType) == format }),
                let row = table.first(where: {
                    $0.encoding == map.encoding.lowercased() && $0.clockRate == map.clockRate
                        && $0.channels ?? 1 == map.channels ?? 1 && $0.id.hasPrefix("codec:\(section.kind)/")
                }), !ids.contains(row.id)
            else { continue }
            ids.append(row.id)
        }
        return ids
    }

    private static func listed(_ section: MediaSection) -> [RTPMap] {
        section.rtpMaps.filter { section.formats.contains(String($0.payloadType)) }
    }
}
