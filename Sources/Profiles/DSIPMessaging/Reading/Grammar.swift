/// The string grammars of the profile's schemas.
enum Grammar {
    /// `^[a-z][a-z0-9-]*$`
    static func isToken(_ text: some StringProtocol) -> Bool {
        guard let first = text.utf8.first, isLower(first) else { return false }
        return text.utf8.allSatisfy { isLower($0) || isDigit($0) || $0 == UInt8(ascii: "-") }
    }

    /// `^[A-Za-z0-9_-]*$`; the alphabet alone, as the schemas have it. M§5.1
    static func isBase64URL(_ text: some StringProtocol) -> Bool {
        text.utf8.allSatisfy {
            isLower($0) || isUpper($0) || isDigit($0) || $0 == UInt8(ascii: "-") || $0 == UInt8(ascii: "_")
        }
    }

    /// `^[0-9a-f]{64}$`
    static func isSHA256(_ text: some StringProtocol) -> Bool {
        text.utf8.count == 64 && text.utf8.allSatisfy { isDigit($0) || (0x61...0x66).contains($0) }
    }

    /// `^[a-z0-9]+/\d+\.\d+$`
    static func isBinding(_ text: some StringProtocol) -> Bool {
        guard let slash = text.utf8.firstIndex(of: UInt8(ascii: "/")), slash > text.startIndex else { return false }
        guard text.utf8[..<slash].allSatisfy({ isLower($0) || isDigit($0) }) else { return false }
        let version = text.utf8[text.utf8.index(after: slash)...].split(
            separator: UInt8(ascii: "."),
            omittingEmptySubsequences: false
        )
        return version.count == 2 && version.allSatisfy { !$0.isEmpty && $0.allSatisfy(isDigit) }
    }

    /// `^[A-Za-z][A-Za-z0-9-]*$`
    static func isServiceType(_ text: some StringProtocol) -> Bool {
        guard let first = text.utf8.first, isLower(first) || isUpper(first) else { return false }
        return text.utf8.allSatisfy { isLower($0) || isUpper($0) || isDigit($0) || $0 == UInt8(ascii: "-") }
    }

    private static func isLower(_ byte: UInt8) -> Bool { (0x61...0x7a).contains(byte) }
    private static func isUpper(_ byte: UInt8) -> Bool { (0x41...0x5a).contains(byte) }
    private static func isDigit(_ byte: UInt8) -> Bool { (0x30...0x39).contains(byte) }
}
