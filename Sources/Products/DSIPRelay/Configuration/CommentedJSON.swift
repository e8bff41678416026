/// JSON that may hold comments (`// …` to the end of the line, `/* … */`) and trailing commas, for configuration files.
enum CommentedJSON {
    /// The same text with comments and trailing commas turned into spaces; positions stay.
    static func plain(_ text: [UInt8]) -> [UInt8] {
        var out = text
        var i = 0
        var comma: Int?
        while i < out.count {
            switch out[i] {
            case UInt8(ascii: "\""):
                comma = nil
                i += 1
                while i < out.count, out[i] != UInt8(ascii: "\"") { i += out[i] == UInt8(ascii: "\\") ? 2 : 1 }
                i += 1
            case UInt8(ascii: "/") where i + 1 < out.count && out[i + 1] == UInt8(ascii: "/"):
                while i < out.count, out[i] != UInt8(ascii: "\n") {
                    out[i] = UInt8(ascii: " ")
                    i += 1
                }
            case UInt8(ascii: "/") where i + 1 < out.count && out[i + 1] == UInt8(ascii: "*"):
                out[i] = UInt8(ascii: " ")
                out[i + 1] = UInt8(ascii: " ")
                i += 2
                while i < out.count, !(out[i] == UInt8(ascii: "/") && text[i - 1] == UInt8(ascii: "*")) {
                    if out[i] != UInt8(ascii: "\n") { out[i] = UInt8(ascii: " ") }
                    i += 1
                }
                if i < out.count { out[i] = UInt8(ascii: " ") }
                i += 1
            case UInt8(ascii: ","):
                comma = i
                i += 1
            case UInt8(ascii: "}"), UInt8(ascii: "]"):
                if let comma { out[comma] = UInt8(ascii: " ") }
                comma = nil
                i += 1
            case UInt8(ascii: " "), UInt8(ascii: "\t"), UInt8(ascii: "\n"), UInt8(ascii: "\r"): i += 1
            default:
                comma = nil
                i += 1
            }
        }
        return out
    }
}
