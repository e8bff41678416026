#if canImport(Darwin)
import Darwin
#elseif canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#endif

/// Bytes that are overwritten with zeros when their last holder lets go of them.
///
/// Copies share one allocation. Comparison takes the same time whatever the bytes are; there is no description, so that a
/// log cannot hold one.
public struct Secret: @unchecked Sendable, Equatable, CustomReflectable {
    // One allocation: the count and the bytes behind it. Written before it is shared, never after.
    private final class Storage: ManagedBuffer<Int, UInt64> {
        static func make(_ count: Int) -> Storage {
            unsafeDowncast(create(minimumCapacity: (count + 7) / 8) { _ in count }, to: Storage.self)
        }

        var bytes: UnsafeMutableRawBufferPointer {
            withUnsafeMutablePointers { UnsafeMutableRawBufferPointer(start: $1, count: $0.pointee) }
        }

        deinit { Secret.wipe(bytes) }
    }

    private let storage: Storage

    /// A secret of `count` bytes that `body` writes; they start as zeros.
    package init(count: Int, _ body: (UnsafeMutableRawBufferPointer) -> Void) {
        storage = Storage.make(count)
        storage.bytes.initializeMemory(as: UInt8.self, repeating: 0)
        body(storage.bytes)
    }

    init(copying bytes: UnsafeRawBufferPointer) {
        storage = Storage.make(bytes.count)
        storage.bytes.copyMemory(from: bytes)
    }

    /// Copies `bytes`; the caller's copy is the caller's to forget.
    public init(_ bytes: some Collection<UInt8>) {
        self.init(count: bytes.count) { $0.copyBytes(from: bytes) }
    }

    /// `count` random bytes.
    public init<Random: RandomNumberGenerator>(count: Int, using random: inout Random) {
        self.init(count: count) { random.fill($0) }
    }

    /// The same with zeros before it, when it is shorter than `count`.
    func padded(to count: Int) -> Secret {
        guard self.count < count else { return self }
        return Secret(count: count) { output in
            withUnsafeBytes {
                UnsafeMutableRawBufferPointer(rebasing: output[(count - self.count)...]).copyMemory(from: $0)
            }
        }
    }

    package static func zeros(_ count: Int) -> Secret { Secret(count: count) { _ in } }

    public var count: Int { storage.header }

    public func withUnsafeBytes<R, Failure: Error>(
        _ body: (UnsafeRawBufferPointer) throws(Failure) -> R
    ) throws(Failure) -> R {
        defer { withExtendedLifetime(storage) {} }
        return try body(UnsafeRawBufferPointer(storage.bytes))
    }

    /// A copy that is no longer overwritten: for saving, and for handing exported secrets to the application.
    public var bytes: [UInt8] { withUnsafeBytes { Array($0) } }

    /// Overwrites with zeros in a way the optimizer keeps.
    static func wipe(_ buffer: UnsafeMutableRawBufferPointer) {
        guard let start = buffer.baseAddress else { return }
        #if canImport(Darwin)
        memset_s(start, buffer.count, 0, buffer.count)
        #else
        explicit_bzero(start, buffer.count)
        #endif
    }

    public static func == (a: Secret, b: Secret) -> Bool {
        a.withUnsafeBytes { a in b.withUnsafeBytes { b in constantTimeEqual(a, b) } }
    }

    public var customMirror: Mirror { Mirror(self, children: []) }
}

extension RandomNumberGenerator {
    mutating func fill(_ buffer: UnsafeMutableRawBufferPointer) {
        var offset = 0
        while offset < buffer.count {
            var word = next()
            withUnsafeBytes(of: &word) { word in
                let count = min(8, buffer.count - offset)
                buffer.baseAddress?.advanced(by: offset).copyMemory(from: word.baseAddress!, byteCount: count)
                offset += count
            }
        }
    }

    mutating func bytes(_ count: Int) -> [UInt8] {
        [UInt8](unsafeUninitializedCapacity: count) { buffer, initialized in
            fill(UnsafeMutableRawBufferPointer(buffer))
            initialized = count
        }
    }
}

func constantTimeEqual(_ a: UnsafeRawBufferPointer, _ b: UnsafeRawBufferPointer) -> Bool {
    guard a.count == b.count else { return false }
    var difference: UInt8 = 0
    for index in 0..<a.count { difference |= a[index] ^ b[index] }
    return difference == 0
}

func constantTimeEqual(_ a: [UInt8], _ b: [UInt8]) -> Bool {
    a.withUnsafeBytes { a in b.withUnsafeBytes { b in constantTimeEqual(a, b) } }
}
