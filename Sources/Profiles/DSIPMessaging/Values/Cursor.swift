/// A place in a mailbox, opaque to everybody but the mailbox: 1 to 64 characters. M§5.4
public struct Cursor: Hashable, Sendable, CustomStringConvertible {
    public let text: String

    public init?(_ text: String) {
        guard !text.isEmpty, text.unicodeScalars.count <= 64 else { return nil }
        self.text = text
    }

    /// The place of item number `position`, as the mailbox of this module writes it: `c:` and 16 hexadecimal digits.
    public init(position: UInt64) {
        let digits = String(position, radix: 16)
        self.text = "c:" + String(repeating: "0", count: 16 - digits.count) + digits
    }

    /// The number of the item, when the cursor is one of ours.
    public var position: UInt64? {
        guard text.hasPrefix("c:"), text.utf8.count == 18, let value = UInt64(text.dropFirst(2), radix: 16),
            Cursor(position: value) == self
        else { return nil }
        return value
    }

    public var description: String { text }
}
