#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#elseif canImport(Darwin)
    import Darwin
#endif

/// 32 bytes of key material. Copies of a value share it, and it is overwritten when the last of them is gone.
///
/// `@unchecked Sendable`: the bytes are written before `init` returns and never after, until nobody holds it.
package final class Secret: @unchecked Sendable {
    package static let count = 32
    private let base: UnsafeMutableRawPointer

    /// - Parameter fill: writes all 32 bytes.
    init(fill: (UnsafeMutableRawBufferPointer) -> Void) {
        base = .allocate(byteCount: Self.count, alignment: 8)
        fill(UnsafeMutableRawBufferPointer(start: base, count: Self.count))
    }

    convenience init(copying bytes: UnsafeRawBufferPointer) {
        precondition(bytes.count == Self.count)
        self.init { $0.copyMemory(from: bytes) }
    }

    /// - Returns: nil unless there are 32 bytes.
    package convenience init?(_ bytes: some Collection<UInt8>) {
        guard bytes.count == Self.count else { return nil }
        self.init { $0.copyBytes(from: bytes) }
    }

    package convenience init(using random: inout some RandomNumberGenerator) {
        self.init { buffer in
            for offset in stride(from: 0, to: Self.count, by: 8) {
                buffer.storeBytes(of: random.next(), toByteOffset: offset, as: UInt64.self)
            }
        }
    }

    deinit {
        Self.wipe(UnsafeMutableRawBufferPointer(start: base, count: Self.count))
        base.deallocate()
    }

    package func withUnsafeBytes<R>(_ body: (UnsafeRawBufferPointer) throws -> R) rethrows -> R {
        try body(UnsafeRawBufferPointer(start: base, count: Self.count))
    }

    /// A copy that is not wiped: for what is about to be saved, and tests.
    package var bytes: [UInt8] { withUnsafeBytes { Array($0) } }

    /// Overwrites with zeros in a way the optimizer keeps.
    static func wipe(_ buffer: UnsafeMutableRawBufferPointer) {
        guard let start = buffer.baseAddress else { return }
        #if canImport(Darwin)
            memset_s(start, buffer.count, 0, buffer.count)
        #else
            explicit_bzero(start, buffer.count)
        #endif
    }

    /// 32 zero bytes: a salt, not a secret.
    static let zero = Secret { Secret.wipe($0) }
}

/// Whether two byte strings are equal, in time that depends on their lengths alone.
func constantTimeEqual(_ a: [UInt8], _ b: [UInt8]) -> Bool {
    guard a.count == b.count else { return false }
    return zip(a, b).reduce(UInt8(0)) { $0 | ($1.0 ^ $1.1) } == 0
}
