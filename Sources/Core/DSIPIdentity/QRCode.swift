import CQRencode

/// A QR code (ISO/IEC 18004), drawn for a page or a terminal.
public struct QRCode: Sendable {
    /// How much of the symbol may be lost.
    public enum Correction: Sendable {
        /// 7 %, for long texts on screens.
        case low
        /// 15 %.
        case medium
    }

    /// Modules on one side, without the quiet zone.
    public let size: Int
    /// Row by row; true is dark.
    private let modules: [Bool]

    /// - Throws: `.tooLarge` when `text` does not fit a symbol (about 2,900 bytes at `low`).
    public init(_ text: String, correction: Correction = .medium) throws(IdentityError) {
        let bytes = Array(text.utf8)
        let level = correction == .low ? QR_ECLEVEL_L : QR_ECLEVEL_M
        guard !bytes.isEmpty, bytes.count <= 2953, let code = QRcode_encodeData(Int32(bytes.count), bytes, 0, level)
        else {
            throw IdentityError(.tooLarge, "the text does not fit a QR code")
        }
        defer { QRcode_free(code) }
        let size = Int(code.pointee.width)
        // The lowest bit of each byte is the colour; the others tell what the module is for.
        self.modules = (0..<size * size).map { code.pointee.data[$0] & 1 == 1 }
        self.size = size
    }

    /// Whether the module is dark; false outside the symbol.
    public func isDark(x: Int, y: Int) -> Bool {
        (0..<size).contains(x) && (0..<size).contains(y) && modules[y * size + x]
    }

    /// Modules of light around the symbol (ISO/IEC 18004 §9.1).
    public static let quietZone = 4

    /// An SVG image of one path, dark on light whatever the page's colours, with `label` for those who cannot see it.
    public func svg(label: String) -> String {
        let side = size + 2 * QRCode.quietZone
        var path = ""
        for y in 0..<size {
            var x = 0
            while x < size {
                guard isDark(x: x, y: y) else {
                    x += 1
                    continue
                }
                let start = x
                while isDark(x: x, y: y) { x += 1 }
                path += "M\(start + QRCode.quietZone) \(y + QRCode.quietZone)h\(x - start)v1h-\(x - start)z"
            }
        }
        return """
            <svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 \(side) \(side)" role="img" aria-label="\(QRCode.escaped(label))" \
            shape-rendering="crispEdges"><rect width="\(side)" height="\(side)" fill="#fff"/><path d="\(path)" fill="#000"/></svg>
            """
    }

    /// Lines of half blocks, two rows of modules to a line. Light modules are drawn, so that a dark terminal shows dark
    /// on light.
    ///
    /// - Parameter onDark: whether the terminal's background is dark.
    public func terminal(onDark: Bool = true) -> String {
        let zone = QRCode.quietZone
        let blocks: [Character] = [" ", "▄", "▀", "█"]
        return stride(from: -zone, to: size + zone, by: 2).map { y in
            String(
                (-zone..<size + zone).map { x -> Character in
                    // A row below the last of an odd number is outside the symbol and its quiet zone: left as the
                    // background.
                    let top = isDark(x: x, y: y) != onDark
                    let bottom = y + 1 < size + zone && isDark(x: x, y: y + 1) != onDark
                    return blocks[(top ? 2 : 0) + (bottom ? 1 : 0)]
                }
            )
        }.joined(separator: "\n")
    }

    private static func escaped(_ text: String) -> String {
        text.replacing("&", with: "&amp;").replacing("<", with: "&lt;").replacing(">", with: "&gt;")
            .replacing("\"", with: "&quot;")
    }
}
