/// What the Ethereum Name Service knows a name by (ENSIP-1).
public enum Namehash {
    /// - Parameter name: normalised (ENSIP-15), labels with points between; the empty name is the root.
    /// - Returns: 32 bytes.
    public static func hash(_ name: String) -> [UInt8] {
        name.split(separator: ".").reversed().reduce([UInt8](repeating: 0, count: 32)) { node, label in
            Keccak256.hash(node + Keccak256.hash(label.utf8))
        }
    }
}
