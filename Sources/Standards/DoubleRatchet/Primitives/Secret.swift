import Crypto
import FoundationEssentials

#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#elseif canImport(Darwin)
import Darwin
#endif

/// 32 bytes of key material. Copies of a value share it, and it is overwritten when the last of them is gone.
///
/// It is held as the library's own key, which wipes itself: a cipher takes it as it is.
package struct Secret: Sendable {
    package static let count = 32
    let symmetric: SymmetricKey

    init(copying bytes: UnsafeRawBufferPointer) {
        precondition(bytes.count == Self.count)
        symmetric = SymmetricKey(data: bytes)
    }

    /// - Parameter fill: writes all 32 bytes.
    init(fill: (UnsafeMutableRawBufferPointer) -> Void) {
        symmetric = withUnsafeTemporaryAllocation(byteCount: Self.count, alignment: 8) { buffer in
            defer { Self.wipe(buffer) }
            fill(buffer)
            return SymmetricKey(data: UnsafeRawBufferPointer(buffer))
        }
    }

    /// - Returns: nil unless there are 32 bytes.
    package init?(_ bytes: some Collection<UInt8>) {
        guard bytes.count == Self.count else { return nil }
        self.init { $0.copyBytes(from: bytes) }
    }

    package init(using random: inout some RandomNumberGenerator) {
        self.init { buffer in
            for offset in stride(from: 0, to: Self.count, by: 8) {
                buffer.storeBytes(of: random.next(), toByteOffset: offset, as: UInt64.self)
            }
        }
    }

    package func withUnsafeBytes<R>(_ body: (UnsafeRawBufferPointer) throws -> R) rethrows -> R {
        try symmetric.withUnsafeBytes(body)
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
