#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#endif

/// Points of secp256k1, by libsecp256k1 where it is installed (Debian: `libsecp256k1-1`): it is looked for when the program runs.
public struct Secp256k1: Sendable {
    private typealias Create = @convention(c) (UInt32) -> OpaquePointer?
    private typealias Parse =
        @convention(c) (OpaquePointer, UnsafeMutableRawPointer, UnsafePointer<UInt8>, Int) -> Int32
    private typealias Serialize =
        @convention(c) (OpaquePointer, UnsafeMutablePointer<UInt8>, UnsafeMutablePointer<Int>, UnsafeRawPointer, UInt32)
        -> Int32

    private let library: Library

    /// Nil where the library is not installed.
    public init?() {
        guard let library = Library.shared else { return nil }
        self.library = library
    }

    /// The point of a key.
    ///
    /// - Parameter key: 33 bytes, compressed, or 65.
    /// - Returns: 64 bytes, x and y; nil for what is no point of the curve.
    public func point(of key: [UInt8]) -> [UInt8]? {
        guard key.count == 33 || key.count == 65 else { return nil }
        // `secp256k1_pubkey` is opaque, 64 bytes.
        var parsed = [UInt64](repeating: 0, count: 8)
        var serialized = [UInt8](repeating: 0, count: 65)
        var count = serialized.count
        guard library.parse(library.context, &parsed, key, key.count) == 1,
            library.serialize(library.context, &serialized, &count, parsed, Library.uncompressed) == 1, count == 65
        else { return nil }
        return Array(serialized[1...])
    }

    /// C functions, which hold nothing, and a context that is never changed once made; unchecked, since the compiler knows of neither.
    private struct Library: @unchecked Sendable {
        static let uncompressed: UInt32 = 2
        private static let contextOfNoPurpose: UInt32 = 1

        let context: OpaquePointer
        let parse: Parse
        let serialize: Serialize

        /// Loaded once, and never unloaded. Versions 0.2 to 0.7: what is used here is the same in all.
        static let shared = ["libsecp256k1.so.1", "libsecp256k1.so.2", "libsecp256k1.so.5", "libsecp256k1.so.6"].lazy
            .compactMap(Library.init).first

        private init?(_ name: String) {
            guard let handle = dlopen(name, RTLD_NOW | RTLD_LOCAL) else { return nil }
            func find<Function>(_ name: String, as type: Function.Type) -> Function? {
                dlsym(handle, name).map { unsafeBitCast($0, to: type) }
            }
            guard let create = find("secp256k1_context_create", as: Create.self),
                let context = create(Library.contextOfNoPurpose),
                let parse = find("secp256k1_ec_pubkey_parse", as: Parse.self),
                let serialize = find("secp256k1_ec_pubkey_serialize", as: Serialize.self)
            else { return nil }
            (self.context, self.parse, self.serialize) = (context, parse, serialize)
        }
    }
}
